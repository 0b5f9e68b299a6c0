package refine

import (
	"bytes"
	"cmp"

	"carom/pipeline/event"
)

// first is the earliest counted event of its kind, by event time and then by id: of facts, and of the hits that made
// room. Those that are at hand are compared with it.
type first struct {
	kind  event.Kind
	time  event.Millis
	id    event.ID
	holds bool // it was published as the first
}

func (f *first) before(g *first) bool {
	return cmp.Or(cmp.Compare(f.time, g.time), bytes.Compare(f.id[:], g.id[:])) < 0
}

// recurring are the kinds of which a message may have several events. Of the others the only one is the first.
const recurring kindSet = 1<<event.Delivered | 1<<event.Open | 1<<event.Click | 1<<event.Bounce | 1<<event.Delay |
	1<<event.Complaint | 1<<event.Reply | 1<<event.AutoReply

// first returns what is remembered of a kind, nil for nothing.
func (s *state) first(k event.Kind) *first {
	for i := range s.firsts {
		if s.firsts[i].kind == k {
			return &s.firsts[i]
		}
	}
	return nil
}

func (s *state) setFirst(k event.Kind, f first) {
	f.kind = k
	if there := s.first(k); there != nil {
		*there = f
		return
	}
	s.firsts = append(s.firsts, f)
}

// countFirst sets First of a fact where it is due, and takes it from the one that held it.
func (p *Partition) countFirst(r *event.Refined, s *state) error {
	switch {
	case !counts(r):
		return nil
	case !recurring.has(r.Kind):
		r.First = true
		return nil
	}
	f := first{time: r.Time, id: r.ID, holds: true}
	before := s.first(r.Kind)
	if before != nil && !f.before(before) {
		return nil
	}
	if before != nil {
		if err := p.holdFirst(s, before, false); err != nil {
			return err
		}
	}
	r.First = true
	s.setFirst(r.Kind, f)
	return nil
}

// holdFirst publishes a remembered event again where being the first is news.
func (p *Partition) holdFirst(s *state, f *first, holds bool) error {
	if f.holds == holds {
		return nil
	}
	f.holds = holds
	r := &p.again
	if ok, err := p.recall(s, f.id, p.step.entries[timelineEntry{s.key, f.id}], r); err != nil || !ok {
		return err
	}
	r.First = holds
	r.Revision++
	return p.keepEntry(s, f.id, p.emit(r))
}

// keepEntry keeps what was emitted of an event that is not among the hits at hand.
func (p *Partition) keepEntry(s *state, id event.ID, at place) error {
	p.step.entries[timelineEntry{s.key, id}] = at
	return p.keep(s, id, at)
}

// counts reports whether a fact can be the first of its kind: a reply only if a human wrote it, and a complaint taken
// back is none.
func counts(r *event.Refined) bool {
	switch r.Kind {
	case event.Open, event.Click, event.Reply:
		return r.Actor.Verdict == event.Human
	case event.Complaint:
		return r.FeedbackType != notSpam
	}
	return true
}
