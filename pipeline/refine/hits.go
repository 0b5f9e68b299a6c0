package refine

import (
	"slices"

	"carom/pipeline/burst"
	"carom/pipeline/event"
)

// maxHits is how many opens and clicks of one message are judged together: the latest by event time. Those that had to
// make room stay as they were published.
const maxHits = 64

// telling is what was done about a hit so far. Its Final verdict is what was found last, and published if it stands.
type telling struct {
	told      uint32 // how often it was published: the revision is one less
	waiting   bool   // a click that is evidence for others, and not judged yet
	stands    bool   // published, and not taken back since
	kept      bool   // the timeline has it, withheld unless it stands
	gone      bool   // judged, and not kept: it can't be published again
	nameless  bool   // it names nobody, and so counts for nobody
	anonymous bool   // it must not be kept

	at place // in this step, if it wrote the entry
}

// insert puts a hit into its place among those of s, and returns that; -1 if it is there already.
func (s *state) insert(h burst.Hit, t telling) int {
	i, found := slices.BinarySearchFunc(s.hits, h, func(a, b burst.Hit) int { return burst.Compare(&a, &b) })
	if found {
		return -1
	}
	s.hits, s.tellings = slices.Insert(s.hits, i, h), slices.Insert(s.tellings, i, t)
	return i
}

// find returns where the hit with an id is, -1 if it is not among those of s.
func (s *state) find(id event.ID) int {
	return slices.IndexFunc(s.hits, func(h burst.Hit) bool { return h.ID == id })
}

// alive reports whether hit i shows that a human has the message.
func (s *state) alive(i int) bool {
	return s.hits[i].Final.Verdict == event.Human && !s.tellings[i].waiting && !s.tellings[i].nameless
}

// living returns the marks of all that is known of s: those of facts, and of hits as they are judged now.
func (s *state) living() marks {
	m := s.marks
	for i := range s.hits {
		if s.alive(i) {
			m.add(hitMark(s.hits[i].Kind), s.hits[i].Time)
		}
	}
	return m
}

func hitMark(k event.Kind) mark {
	if k == event.Open {
		return markOpened
	}
	return markClicked
}

// evidence is what bears on the hits of s besides themselves.
func (s *state) evidence() burst.Message {
	m := burst.Message{Sent: s.ref.SentAt, Opened: s.opened, Shared: s.ref.Flags.Has(event.Shared)}
	if f := s.first(event.Delivered); f != nil {
		m.Delivered = f.time
	}
	return m
}

// fix pins the verdicts on which hits may bear that had to make room: seen again without those, they would be others.
func (s *state) fix(reach event.Millis) {
	for i := range s.hits {
		if !s.fixed(s.hits[i].Time, reach) {
			return
		}
		s.hits[i].Fixed = true
	}
}

// fixed reports whether a hit at a time is judged once, because not all that bears on it is at hand.
func (s *state) fixed(at, reach event.Millis) bool { return s.horizon != 0 && at <= s.horizon+reach }

// crowded settles whatever the earliest hit bears on, if it has to make room.
func (s *state) crowded(reach event.Millis) {
	if len(s.hits) <= maxHits {
		return
	}
	s.horizon = max(s.horizon, s.hits[0].Time)
	for i := range s.hits {
		if !s.fixed(s.hits[i].Time, reach) {
			return
		}
		s.tellings[i].waiting = false
	}
}

// leave has the earliest hit make room, which must have been judged. What follows from it stays.
func (p *Partition) leave(s *state) error {
	h, t := &s.hits[0], &s.tellings[0]
	if s.alive(0) {
		s.marks.add(hitMark(h.Kind), h.Time)
		if !h.Final.Repeat && (!t.gone || h.Final.First) {
			p.remember(s, h.Kind, first{time: h.Time, id: h.ID, holds: h.Final.First}, t)
		}
	}
	if h.Kind == event.Open && (s.opened == 0 || h.Time < s.opened) {
		s.opened = h.Time
	}
	return p.dropHit(s, 0)
}

// dropHit takes a hit out of those of s, and out of the timeline if it is withheld there.
func (p *Partition) dropHit(s *state, i int) error {
	if t := &s.tellings[i]; t.kept && !t.stands {
		if err := p.forget(s, s.hits[i].ID); err != nil {
			return err
		}
		s.events--
	}
	s.hits, s.tellings = slices.Delete(s.hits, i, i+1), slices.Delete(s.tellings, i, i+1)
	return nil
}

// remember keeps the earliest human hit of its kind among those that made room. One of which the timeline has nothing
// can't be published again, but no later one becomes the first.
func (p *Partition) remember(s *state, k event.Kind, f first, t *telling) {
	if before := s.first(k); before != nil && !f.before(before) {
		return
	}
	s.setFirst(k, f)
	if !t.gone && t.at.step == p.step.number {
		p.step.entries[timelineEntry{s.key, f.id}] = t.at
	}
}
