package refine

import (
	"crypto/sha256"

	"carom/pipeline/burst"
	"carom/pipeline/event"
)

// inferred is the open that a human click or reply implies where no human open is known at or before it: images are often
// off. It stands at the time of the earliest of them, and moves, comes and goes with what is known.
type inferred struct {
	told   uint32 // how often it was published: the revision is one less
	stands bool
	kept   bool // the timeline has it
	time   event.Millis
	cause  event.Kind // Click or Reply

	id event.ID // of the cause; not stored
}

// Reasons of an inferred open.
const (
	reasonInferredClick = "inferred_click"
	reasonInferredReply = "inferred_reply"
)

func (o *inferred) reason() string {
	if o.cause == event.Click {
		return reasonInferredClick
	}
	return reasonInferredReply
}

// inferable returns the inferred open that should stand by the verdicts on the hits of s.
func (s *state) inferable(verdicts []burst.Verdict) (want inferred) {
	if s.standing == enrollment || s.ref.Flags.Nameless() {
		return want
	}
	imply := func(k event.Kind, at event.Millis, id event.ID) {
		if !want.stands || at < want.time {
			want = inferred{stands: true, time: at, cause: k, id: id}
		}
	}
	opened, open := event.Millis(0), false
	if f := s.first(event.Open); f != nil {
		opened, open = f.time, true
	}
	if f := s.first(event.Click); f != nil {
		imply(event.Click, f.time, f.id)
	}
	for i := range verdicts {
		h := &s.hits[i]
		switch {
		case !s.humanNow(i, &verdicts[i]):
		case h.Kind == event.Click:
			imply(event.Click, h.Time, h.ID)
		case !open || h.Time < opened:
			opened, open = h.Time, true
		}
	}
	if f := s.first(event.Reply); f != nil {
		imply(event.Reply, f.time, f.id)
	}
	if want.stands && open && opened <= want.time {
		return inferred{}
	}
	return want
}

// infer publishes the inferred open where it came, moved or went.
func (p *Partition) infer(s *state, want inferred, heard *event.Refined) error {
	have := &s.inferred
	if want.stands == have.stands && (!want.stands || want.time == have.time && want.cause == have.cause) {
		return nil
	}
	if want.stands {
		have.time, have.cause = want.time, want.cause
	}
	have.stands = want.stands
	r := event.Refined{
		ID: inferredOpenID(s.key), Revision: have.told, Kind: event.Open, Time: have.time, Ref: s.published(),
		First: have.stands, Inferred: true,
		Actor: event.Actor{Verdict: event.Human, Reasons: []string{have.reason()}},
	}
	if !have.stands {
		r.Actor = event.Actor{Verdict: event.Unknown, Reasons: []string{have.reason(), reasonWithdrawn}}
		want.id = r.ID
	}
	if heard != nil && heard.ID == want.id {
		r.Origin.Node = heard.Origin.Node
	} else if node, err := p.nodeOf(s, want.id); err != nil {
		return err
	} else {
		r.Origin.Node = node
	}
	have.told++
	at := p.emit(&r)
	switch {
	case !have.stands && have.kept:
		have.kept = false
		s.events--
		delete(p.step.entries, timelineEntry{s.key, r.ID})
		return p.forget(s, r.ID)
	case !have.stands:
		return nil
	case !have.kept:
		if have.kept = s.room(); !have.kept {
			return nil
		}
	}
	s.recorded.add(event.Open)
	return p.keepEntry(s, r.ID, at)
}

// nodeOf returns which node heard an event of the timeline of s.
func (p *Partition) nodeOf(s *state, id event.ID) (string, error) {
	at := p.step.entries[timelineEntry{s.key, id}]
	if i := s.find(id); i >= 0 {
		at = s.tellings[i].at
	}
	if ok, err := p.recall(s, id, at, &p.again); err != nil || !ok {
		return "", err
	}
	return p.again.Origin.Node, nil
}

// inferredOpenID returns the id of a message's inferred open: the first 16 bytes of SHA-256 over
//
//	"carom inferred open 1" 0x00 | key(16)
func inferredOpenID(key event.Key) (id event.ID) {
	b := append(make([]byte, 0, 64), "carom inferred open 1\x00"...)
	h := sha256.Sum256(append(b, key[:]...))
	copy(id[:], h[:])
	return id
}
