package refine

import (
	"carom/pipeline/burst"
	"carom/pipeline/event"
)

// Reasons with which an event is taken back.
const (
	reasonRepeat    = "repeat"    // it repeats another hit, as is known now
	reasonWithdrawn = "withdrawn" // what implied it was no human's
)

// review judges all hits of s anew, and publishes what differs from what was published of them. heard is the hit that
// came just now, if one did: it is nowhere else yet.
//
//	hits of s ─▶ burst ─▶ firsts ─▶ the same as before? ─ no ─▶ events, under the same id with the next revision
//	                         │                                    │
//	                         └─▶ inferred open ───────────────────┴─▶ addresses, where a bounce now stands or is lifted
func (p *Partition) review(s *state, heard *event.Refined) error {
	bounced := s.bounced()
	p.verdicts = p.opts.Burst.Judge(s.evidence(), s.hits, p.verdicts)
	inferred := s.inferable(p.verdicts)
	s.chooseFirsts(p.verdicts, inferred.stands)
	if err := p.infer(s, inferred, heard); err != nil {
		return err
	}
	p.lost = life{}
	for i := range s.hits {
		if err := p.tell(s, i, p.verdicts[i], heard); err != nil {
			return err
		}
	}
	for _, k := range [...]event.Kind{event.Open, event.Click} {
		if f := s.first(k); f != nil {
			if err := p.holdFirst(s, f, s.frozenHolds(f, inferred.stands)); err != nil {
				return err
			}
		}
	}
	return p.tellLife(s, bounced)
}

// chooseFirsts sets First of the earliest human hit of each kind. What waits is not counted yet, and what can't be
// published again stays as it is.
func (s *state) chooseFirsts(verdicts []burst.Verdict, inferred bool) {
	open, click := inferred, false
	for i := range verdicts {
		v, t := &verdicts[i], &s.tellings[i]
		v.First = false
		if !s.humanNow(i, v) || v.Repeat || t.gone && !s.hits[i].Final.First {
			continue
		}
		taken := &click
		if s.hits[i].Kind == event.Open {
			taken = &open
		}
		if *taken {
			continue
		}
		*taken = true
		f := first{time: s.hits[i].Time, id: s.hits[i].ID}
		frozen := s.first(s.hits[i].Kind)
		v.First = frozen == nil || f.before(frozen)
	}
}

// humanNow reports whether hit i counts as a human's by what was just found.
func (s *state) humanNow(i int, v *burst.Verdict) bool {
	return v.Verdict == event.Human && !s.tellings[i].waiting && !s.tellings[i].nameless
}

// frozenHolds reports whether the earliest hit that made room is the first of its kind.
func (s *state) frozenHolds(f *first, inferred bool) bool {
	if f.kind == event.Open && inferred {
		return false
	}
	for i := range s.hits {
		if s.hits[i].Kind == f.kind && s.hits[i].Final.First {
			return false
		}
	}
	return true
}

// tell publishes what is found about hit i, where that is news.
func (p *Partition) tell(s *state, i int, v burst.Verdict, heard *event.Refined) error {
	h, t := &s.hits[i], &s.tellings[i]
	before := h.Final
	if t.waiting || t.gone {
		return nil
	}
	if s.alive(i) && v.Verdict != event.Human {
		p.lost = life{kind: h.Kind, time: h.Time, id: h.ID, revision: t.told}
	}
	if t.anonymous && !v.Repeat && p.toldBefore(s, i, v.Verdict) {
		v.Repeat, v.First = true, false
	}
	h.Final = v
	fresh := heard != nil && heard.ID == h.ID
	switch {
	case v.Repeat && !t.stands:
		if before.Verdict != event.NoVerdict {
			return nil // and is known to be one
		}
		p.metrics.dropped(dropRepeat)
		return p.keepRepeat(s, i, heard)
	case t.stands && v == before:
		return nil
	}
	if !t.stands && before.Repeat && t.told == 0 {
		p.metrics.restored.Inc()
	}
	r := heard
	if !fresh {
		r = &p.again
		if json := p.hand.get(h.ID); json != nil && t.told == 0 {
			if err := r.DecodeJSON(json); err != nil {
				return err
			}
		} else if ok, err := p.recall(s, h.ID, t.at, r); err != nil || !ok {
			t.gone = true
			return err
		}
		r.Actor.Reasons = stripped(r.Actor.Reasons)
	}
	return p.publish(s, i, r)
}

// toldBefore reports whether an anonymous hit like hit i was published that came shortly after it by event time, and
// before it here: that one can't be taken back, so this one is the repeat.
func (p *Partition) toldBefore(s *state, i int, v event.Verdict) bool {
	h, window := &s.hits[i], event.Millis(p.opts.Repeat.Milliseconds())
	for j := i + 1; j < len(s.hits) && s.hits[j].Time-h.Time <= window; j++ {
		o := &s.hits[j]
		if s.tellings[j].anonymous && s.tellings[j].stands && o.Kind == h.Kind && o.Link == h.Link && o.Client == h.Client &&
			(o.Final.Verdict == event.Human) == (v == event.Human) && o.Final.Verdict.Machine() == v.Machine() {
			return true
		}
	}
	return false
}

// stripped leaves of the reasons of a published hit those of its request.
func stripped(reasons []string) []string {
	reasons = burst.Strip(reasons)
	if n := len(reasons); n > 0 && reasons[n-1] == reasonRepeat {
		reasons = reasons[:n-1]
	}
	return reasons
}

// keepRepeat withholds a hit that repeats another: should that one turn out to be another's, this one is none. A click
// that waited is withheld already.
func (p *Partition) keepRepeat(s *state, i int, r *event.Refined) (err error) {
	t := &s.tellings[i]
	switch {
	case t.anonymous:
		return p.disown(s, i)
	case t.kept:
		return nil
	case !s.room():
		t.gone = true
		return nil
	}
	t.kept = true
	t.at, err = p.withhold(s, r)
	return err
}

// publish publishes a hit as it is judged now: for the first time, again, or to take it back.
func (p *Partition) publish(s *state, i int, r *event.Refined) (err error) {
	h, t := &s.hits[i], &s.tellings[i]
	v := h.Final
	r.Revision, r.First, r.Actor.Verdict = t.told, v.First, v.Verdict
	p.reasons = v.Reasons.Append(append(p.reasons[:0], r.Actor.Reasons...))
	if v.Repeat {
		r.Actor.Verdict = event.Unknown
		p.reasons = append(p.reasons, reasonRepeat)
	}
	r.Actor.Reasons = p.reasons
	t.at = p.emit(r)
	t.told++
	t.stands = !v.Repeat
	switch {
	case t.anonymous:
		return p.disown(s, i)
	case v.Repeat:
		t.at, err = p.withhold(s, r)
		return err
	case !t.kept && !s.room():
		t.gone, h.Fixed = true, true
		return nil
	}
	t.kept = true
	s.recorded.add(h.Kind)
	return p.keep(s, r.ID, t.at)
}

// disown parts an anonymous hit, which is judged once, from what was published of it: nothing may lead from the message
// there.
func (p *Partition) disown(s *state, i int) error {
	h, t := &s.hits[i], &s.tellings[i]
	id, kept := h.ID, t.kept
	h.ID, h.Fixed, t.kept, t.gone = event.ID{}, true, false, true
	if !kept {
		return nil
	}
	s.events--
	return p.forget(s, id)
}
