package refine

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"

	"carom/pipeline/event"
)

// Reasons that refine adds to a verdict.
const (
	reasonHoneypot      = "honeypot"
	reasonInferredClick = "inferred_click"
	reasonInferredReply = "inferred_reply"
)

// recordHit records an open or click of a known message, unless it repeats a recorded one.
func (p *Partition) recordHit(f *fact, s *state) error {
	r := refinedHit(f, s)
	counted := r.Actor.Verdict == event.Human && !r.Flags.Nameless()
	h := hit{time: f.Time, kind: f.Kind, class: classOf(r.Actor.Verdict), link: r.Link, client: f.Client.Hash}
	p.cache.touch(s)
	if s.repeats(h, event.Millis(p.opts.Repeat.Milliseconds())) {
		p.metrics.dropped(dropRepeat)
		if counted {
			// Which of the two came first must not show in the status.
			stood := s.marks.anyBounced()
			s.mark(&r)
			p.tellAddresses(&r, s, stood)
		}
		return nil
	}
	s.remember(h)
	if r.Flags.Nameless() {
		anonymise(&r)
		return p.publish(&r, s, !r.Flags.Has(event.Anonymous))
	}
	if counted {
		if f.Kind == event.Click {
			if err := p.inferOpen(f, s, reasonInferredClick); err != nil {
				return err
			}
		}
		return p.record(&r, s)
	}
	return p.publish(&r, s, true)
}

// refinedHit makes the event of an open or click. A message is nameless if its token says so, or its registration.
func refinedHit(f *fact, s *state) event.Refined {
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
	if f.Flags.Has(event.Honeypot) {
		// No human sees the link, whatever the request looked like.
		r.Actor.Verdict = event.Scanner
		r.Actor.Reasons = append(slices.Clip(r.Actor.Reasons), reasonHoneypot)
	}
	return r
}

// anonymise takes from an open or click all that could tell whose it was. The time of sending goes too: to the
// millisecond, it names the message.
func anonymise(r *event.Refined) {
	r.Contact, r.Message = event.Someone, ""
	r.SentAt = 0
	r.Client = event.Client{}
}

// recordFact records any other fact about a known message, unless it was recorded before.
func (p *Partition) recordFact(f *fact, s *state) error {
	id, ok := event.IdentityOf(&f.Event) // as told: the API has answered with it
	if !ok {
		return fmt.Errorf("BUG: a fact of kind %v has no identity", f.Kind)
	}
	known, err := p.isKnown(f, s, id)
	if err != nil {
		return err
	}
	if known {
		p.metrics.dropped(dropDuplicate)
		return nil
	}
	if !s.hasRoom() {
		return p.reject(f, rejectMessageFull, "")
	}
	p.cache.touch(s)

	r := event.Refined{
		ID: id, Kind: f.Kind, Time: f.Time, Ref: s.published(), Actor: f.Actor,
		Origin: event.Origin{Node: f.source.Node},
	}
	if f.diagnosed() {
		r.Bounce, r.Recipient = f.Bounce, cmp.Or(f.Recipient, s.recipient)
	}
	switch f.Kind {
	case event.Complaint:
		r.FeedbackType = f.Mail.FeedbackType
	case event.Reply:
		p.judgeReply(f, s, &r.Actor)
		if r.Actor.Verdict == event.Human {
			if err := p.inferOpen(f, s, reasonInferredReply); err != nil {
				return err
			}
		}
	}
	return p.record(&r, s)
}

// record counts r, publishes it, and tells the log of addresses if it concerns it.
func (p *Partition) record(r *event.Refined, s *state) error {
	stood := s.marks.anyBounced()
	s.count(r)
	if err := p.publish(r, s, true); err != nil {
		return err
	}
	p.tellAddresses(r, s, stood)
	return nil
}

// diagnosed reports whether f brings a report about a recipient.
func (f *fact) diagnosed() bool {
	switch f.Kind {
	case event.Bounce, event.Delay, event.Delivered:
		return true
	}
	return false
}

// count sets First where it is due, and marks.
func (s *state) count(r *event.Refined) {
	if counts(r) && !s.firsts.has(r.Kind) {
		s.firsts.add(r.Kind)
		r.First = true
	}
	s.mark(r)
}

// mark leaves the event's mark on the status.
func (s *state) mark(r *event.Refined) {
	if m, ok := markOf(r); ok {
		s.marks.add(m, r.Time)
	}
}

// counts reports whether an event can be the first of its kind: of what people do only what a human did, and a
// complaint taken back is none.
func counts(r *event.Refined) bool {
	switch r.Kind {
	case event.Open, event.Click, event.Reply:
		return r.Actor.Verdict == event.Human
	case event.Complaint:
		return r.FeedbackType != notSpam
	}
	return true
}

// inferOpen publishes the open that a human click or reply implies, where no human open is known: images are often
// off. The open that comes later is then not the first.
func (p *Partition) inferOpen(f *fact, s *state, reason string) error {
	if s.firsts.has(event.Open) || s.standing == enrollment || (s.ref.Flags | f.Flags).Nameless() {
		return nil
	}
	r := event.Refined{
		ID: inferredOpenID(s.key), Kind: event.Open, Time: f.Time, Ref: s.published(), Inferred: true,
		Actor:  event.Actor{Verdict: event.Human, Reasons: []string{reason}},
		Origin: event.Origin{Node: f.source.Node},
	}
	return p.record(&r, s)
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

// isKnown reports whether a fact was recorded before. What is said of nobody in particular is said of the registered
// recipient, so telling it with that address and without is telling it twice.
func (p *Partition) isKnown(f *fact, s *state, id event.ID) (bool, error) {
	known, err := p.isRecorded(s, f.Kind, id)
	if known || err != nil || !f.diagnosed() {
		return known, err
	}
	twin := f.Event
	switch event.FoldDomain(f.Recipient) {
	case "":
		twin.Recipient = s.recipient
	case event.FoldDomain(s.recipient):
		twin.Recipient = ""
	default:
		return false, nil
	}
	id, _ = event.IdentityOf(&twin)
	return p.isRecorded(s, f.Kind, id)
}

// isRecorded reports whether the timeline of s holds an event.
func (p *Partition) isRecorded(s *state, kind event.Kind, id event.ID) (bool, error) {
	if !s.recorded.has(kind) {
		return false, nil // most facts come once: no need to look
	}
	if _, ok := p.step.entries[timelineEntry{s.key, id}]; ok {
		return true, nil
	}
	p.scratch = p.keys.timelineEntry(p.scratch[:0], s.key, id)
	_, closer, err := p.store.DB().Get(p.scratch)
	switch {
	case err == nil:
		return true, closer.Close()
	case isNotFound(err):
		return false, nil
	}
	return false, fmt.Errorf("look for a duplicate: %w", err)
}

// publish gives r its origin and writes it to the events, and to the timeline of s if it is to be kept there.
func (p *Partition) publish(r *event.Refined, s *state, keep bool) error {
	r.Origin.Partition, r.Origin.Offset, r.Origin.N = p.number, p.now.offset, p.meta.events
	p.meta.events++
	value := p.step.events.append(p.now.at, r)
	if p.withheld() {
		p.step.events.withhold()
		p.metrics.withheld.Inc()
	} else {
		p.metrics.event(r)
	}
	if !keep || !s.room(r.Kind) {
		return nil
	}
	s.recorded.add(r.Kind)
	p.scratch = p.keys.timelineEntry(p.scratch[:0], s.key, r.ID)
	if err := p.step.batch.Set(p.scratch, value, nil); err != nil {
		return fmt.Errorf("write timeline: %w", err)
	}
	if r.Kind != event.Open && r.Kind != event.Click && r.Kind != event.Sent {
		p.step.entries[timelineEntry{s.key, r.ID}] = struct{}{}
	}
	return nil
}

// hasRoom reports whether the timeline has a place for a fact that is no hit. One is kept for the sent event.
func (s *state) hasRoom() bool {
	if s.standing == provisional {
		return s.facts < maxTimelineFacts-1
	}
	return s.facts < maxTimelineFacts
}

// room takes a place in the timeline, if there is one for an event of this kind.
func (s *state) room(k event.Kind) bool {
	if k != event.Open && k != event.Click {
		s.facts++
		return true // recordFact looked
	}
	if s.hits >= maxTimelineHits {
		s.truncated = true
		return false
	}
	s.hits++
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
	return o.buf[sp.value:sp.end]
}
