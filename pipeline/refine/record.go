package refine

import (
	"cmp"
	"fmt"

	"carom/pipeline/event"
	"carom/pipeline/provider"
)

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
	case event.Sent:
		r.Provider = provider.OfAddress(s.recipient)
	case event.Complaint:
		r.FeedbackType = f.Mail.FeedbackType
	case event.Reply:
		p.judgeReply(f, s, &r.Actor)
	}
	return p.record(&r, s)
}

// record counts a fact, publishes it, tells the log of addresses if it concerns it, and looks at the hits again if it
// bears on them.
func (p *Partition) record(r *event.Refined, s *state) error {
	bounced := s.bounced()
	if err := p.countFirst(r, s); err != nil {
		return err
	}
	if m, ok := markOf(r); ok {
		s.marks.add(m, r.Time)
	}
	s.recorded.add(r.Kind)
	s.facts++ // recordFact looked whether there is room
	if err := p.keepEntry(s, r.ID, p.emit(r)); err != nil {
		return err
	}
	p.tellAddresses(r, s, bounced)
	switch {
	case r.Kind == event.Reply, len(s.hits) > 0 && (r.Kind == event.Sent || r.Kind == event.Delivered):
		return p.review(s, nil)
	}
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
	p.scratch = p.keys.timelineEntry(p.scratch[:0], s, id)
	_, closer, err := p.store.DB().Get(p.scratch)
	switch {
	case err == nil:
		return true, closer.Close()
	case isNotFound(err):
		return false, nil
	}
	return false, fmt.Errorf("look for a duplicate: %w", err)
}
