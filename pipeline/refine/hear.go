package refine

import (
	"fmt"

	"carom/pipeline/burst"
	"carom/pipeline/event"
)

// hear takes an open or click of a known message in among the others, and judges them anew. A click waits before
// anything is said about it.
func (p *Partition) hear(f *fact, s *state, waits bool) error {
	r := heardHit(f, s)
	h := burst.Hit{
		ID: r.ID, Kind: r.Kind, Time: r.Time, Link: r.Link, Client: f.Client.Hash, Address: f.Client.AddressHash,
		Verdict: f.Actor.Verdict, Soon: f.Soon, Hints: burst.HintsOf(f.Actor.Reasons),
		Honeypot: r.Flags.Has(event.Honeypot),
	}
	reach := p.opts.Burst.Reach()
	t := telling{
		waiting:  waits && !s.fixed(h.Time, reach),
		nameless: r.Flags.Nameless(), anonymous: r.Flags.Has(event.Anonymous),
	}
	if t.nameless {
		anonymise(&r)
	}
	i := s.insert(h, t)
	if i < 0 {
		p.metrics.dropped(dropSeen)
		return nil
	}
	p.cache.touch(s)
	s.crowded(reach)
	if t := &s.tellings[i]; t.waiting {
		if err := p.wait(f, s, &r, t); err != nil {
			return err
		}
	}
	if err := p.review(s, &r); err != nil {
		return err
	}
	s.fix(reach)
	if len(s.hits) <= maxHits {
		return nil
	}
	return p.leave(s)
}

// heardHit makes the event of an open or click, with the request's verdict. A message is nameless if its token says so,
// or its registration.
func heardHit(f *fact, s *state) event.Refined {
	r := event.Refined{
		ID: event.HitID(f.source), Kind: f.Kind, Time: f.Time, Ref: s.published(), Actor: f.Actor, Client: f.Client,
		Origin: event.Origin{Node: f.source.Node},
	}
	r.Flags |= f.Flags
	if f.Kind != event.Click {
		r.Flags &^= event.Honeypot
		return r
	}
	r.Link, r.URL = f.Link, f.URL
	return r
}

// anonymise takes from an open or click all that could tell whose it was. The time of sending goes too: to the
// millisecond, it names the message.
func anonymise(r *event.Refined) {
	r.Contact, r.Message = event.Someone, ""
	r.SentAt = 0
	r.Client = event.Client{}
}

// wait sets a click aside until it can be judged together with the other hits of its message: withheld, in the timeline,
// so that a restart loses nothing. Where the timeline is full, it doesn't wait.
func (p *Partition) wait(f *fact, s *state, r *event.Refined, t *telling) (err error) {
	if t.kept = s.room(); !t.kept {
		t.waiting = false
		return nil
	}
	if t.at, err = p.withhold(s, r); err != nil {
		return err
	}
	p.hand.put(r.ID, p.step.withheld[t.at.from:t.at.to])
	value := append(make([]byte, 0, len(s.key)+len(r.ID)), s.key[:]...)
	key := timerKey{due: p.now.at.Add(p.opts.Settle), offset: f.offset, what: timerClick}
	p.metrics.waiting.Inc()
	return p.timers.add(p.step.batch, timer{timerKey: key, value: append(value, r.ID[:]...)})
}

// settle judges a click that has waited long enough.
func (p *Partition) settle(t timer) error {
	p.metrics.waiting.Dec()
	var key event.Key
	var id event.ID
	if len(t.value) != len(key)+len(id) {
		return fmt.Errorf("%w: timer of a click", errDamaged)
	}
	copy(key[:], t.value)
	copy(id[:], t.value[len(key):])
	s, err := p.cache.get(key)
	if err != nil || s == nil {
		return err // the message was erased meanwhile
	}
	i := s.find(id)
	if i < 0 || !s.tellings[i].waiting {
		return nil // it had to make room for others, and was judged then
	}
	p.cache.touch(s)
	if s.ref.Flags.Has(event.Untracked) { // as is known only now
		p.metrics.dropped(dropUntracked)
		return p.dropHit(s, i)
	}
	s.tellings[i].waiting = false
	if err := p.review(s, nil); err != nil {
		return err
	}
	s.fix(p.opts.Burst.Reach())
	return nil
}

// settleWhole judges a click whose timer holds all of it: those of a store that an earlier Carom wrote.
func (p *Partition) settleWhole(t timer) error {
	p.metrics.waiting.Dec()
	if len(t.value) < len(event.Key{}) {
		return fmt.Errorf("%w: waiting click", errDamaged)
	}
	key := event.Key(t.value[:len(event.Key{})])
	f, err := decodeFact(t.value[len(key):], t.offset)
	if err != nil {
		return err
	}
	s, err := p.cache.get(key)
	if err != nil {
		return err
	}
	if s == nil && p.erased {
		p.metrics.dropped(dropErased)
		return nil
	}
	if s == nil {
		return fmt.Errorf("%w: a click waits for message %s, which is not known", errDamaged, key)
	}
	f.Key = key
	if (s.ref.Flags | f.Flags).Has(event.Untracked) {
		p.metrics.dropped(dropUntracked)
		return nil
	}
	return p.hear(f, s, false)
}
