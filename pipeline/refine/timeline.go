package refine

import (
	"fmt"
	"slices"

	"carom/pipeline/event"
)

// The timeline holds, under message key and event id, each event as it was published last:
//
//	{"id":…}         an event that stands
//	0x00 {"id":…}    a hit that is withheld: a click that waits, a repeat
//
// A withheld hit has its request's reasons, so that it can be published when its verdict is known, or changes.
const withheldMark = 0

// place says where, in what a step collects, the JSON of a timeline entry lies.
type place struct {
	step     uint32 // its number; 0: nowhere
	withheld bool   // in step.withheld, and not in step.events
	from, to uint32
}

// emit gives r its origin and writes it to the events. The place is that of its JSON.
func (p *Partition) emit(r *event.Refined) place {
	r.Origin.Partition, r.Origin.Offset, r.Origin.N = p.number, p.now.offset, p.meta.events
	p.meta.events++
	out := &p.step.events
	value := out.append(p.now.at, r)
	at := place{step: p.step.number, from: uint32(len(out.buf) - len(value)), to: uint32(len(out.buf))}
	if p.withheld() {
		out.withhold()
		p.metrics.withheld.Inc()
	} else {
		p.metrics.event(r)
	}
	if r.Revision > 0 {
		p.metrics.revisions.Inc()
	}
	return at
}

// keep writes what was emitted to the timeline of s.
func (p *Partition) keep(s *state, id event.ID, at place) error {
	p.scratch = p.keys.timelineEntry(p.scratch[:0], s, id)
	if err := p.step.batch.Set(p.scratch, p.step.events.buf[at.from:at.to], nil); err != nil {
		return fmt.Errorf("write timeline: %w", err)
	}
	return nil
}

// withhold writes r to the timeline of s as a hit that is not to be seen.
func (p *Partition) withhold(s *state, r *event.Refined) (place, error) {
	b := append(p.step.withheld, withheldMark)
	at := place{step: p.step.number, withheld: true, from: uint32(len(b))}
	b = r.AppendJSON(b)
	at.to = uint32(len(b))
	p.step.withheld = b
	p.scratch = p.keys.timelineEntry(p.scratch[:0], s, r.ID)
	if err := p.step.batch.Set(p.scratch, b[at.from-1:], nil); err != nil {
		return at, fmt.Errorf("write timeline: %w", err)
	}
	return at, nil
}

// forget removes an entry from the timeline of s.
func (p *Partition) forget(s *state, id event.ID) error {
	p.scratch = p.keys.timelineEntry(p.scratch[:0], s, id)
	if err := p.step.batch.Delete(p.scratch, nil); err != nil {
		return fmt.Errorf("write timeline: %w", err)
	}
	return nil
}

// recall reads an entry of the timeline of s into r. ok is false if there is none.
func (p *Partition) recall(s *state, id event.ID, at place, r *event.Refined) (ok bool, err error) {
	if at.step == p.step.number {
		buf := p.step.events.buf
		if at.withheld {
			buf = p.step.withheld
		}
		return true, r.DecodeJSON(buf[at.from:at.to])
	}
	p.scratch = p.keys.timelineEntry(p.scratch[:0], s, id)
	value, closer, err := p.store.DB().Get(p.scratch)
	switch {
	case isNotFound(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read timeline: %w", err)
	}
	if _, value = isWithheld(value); err == nil {
		err = r.DecodeJSON(value)
	}
	if closeErr := closer.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return false, fmt.Errorf("read timeline of message %s: %w", s.key, err)
	}
	return true, nil
}

// isWithheld reports whether an entry is withheld, and returns its JSON.
func isWithheld(entry []byte) (bool, []byte) {
	if len(entry) > 0 && entry[0] == withheldMark {
		return true, entry[1:]
	}
	return false, entry
}

// hasRoom reports whether the timeline has a place for a fact that is no hit. One is kept for the sent event.
func (s *state) hasRoom() bool {
	if s.standing == provisional || s.ref.Flags.Has(event.NotSent) {
		return s.facts < maxTimelineFacts-1
	}
	return s.facts < maxTimelineFacts
}

// room takes a place in the timeline for an open or click, if there is one.
func (s *state) room() bool {
	if s.events >= maxTimelineHits {
		s.truncated = true
		return false
	}
	s.events++
	return true
}

// append adds r under the key account/sender, and returns its JSON, which is valid until the next call.
func (o *output) append(at event.Millis, r *event.Refined) []byte {
	sp := span{key: len(o.buf), at: at, head: r.Head()}
	o.buf = event.AppendSenderKey(o.buf, r.Account, r.Sender)
	sp.value = len(o.buf)
	o.buf = r.AppendJSON(o.buf)
	sp.end = len(o.buf)
	o.recs = append(o.recs, sp)
	return slices.Clip(o.buf[sp.value:sp.end])
}
