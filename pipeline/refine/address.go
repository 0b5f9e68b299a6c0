package refine

import (
	"carom/pipeline/event"
	"carom/pipeline/provider"
)

// addressKinds are the kinds of facts in the log of addresses.
var addressKinds = [...]event.Kind{
	event.Bounce, event.Complaint, event.Unsubscribe, event.Sent, event.Delivered, event.Open, event.Click, event.Reply,
	event.Order, event.Life, event.Contact, event.Volume, event.Erase,
}

// tellAddresses publishes r to the log of addresses if it bears on the recipient's address; ADDRESSES.md has the rule.
// bounced says which bounces of s stood before r.
func (p *Partition) tellAddresses(r *event.Refined, s *state, bounced marksSet) {
	f := event.AddressFact{
		ID: r.ID, Revision: r.Revision, Kind: r.Kind, Time: r.Time, Ref: r.Ref, Recipient: s.recipient,
	}
	switch r.Kind {
	case event.Bounce:
		living := s.living()
		f.Bounce, f.Reported, f.AliveAt = r.Bounce, r.Recipient, living.aliveAt()
		f.MailboxProvider = provider.OfAddress(s.recipient)
		if f.Bounce.Hard && f.MailboxProvider != "" {
			p.tellVolume(f.MailboxProvider)
		}
	case event.Complaint:
		f.FeedbackType = r.FeedbackType
	case event.Unsubscribe:
	case event.Sent:
		if !s.recorded.has(event.Bounce) && !s.recorded.has(event.Complaint) && !s.recorded.has(event.Unsubscribe) {
			return
		}
	case event.Delivered, event.Open, event.Click, event.Reply:
		if bounced == s.bounced() {
			return
		}
		living := s.living()
		f.AliveAt = living.aliveAt()
	default:
		return
	}
	p.tellAddress(&f, r.Origin.Node)
}

// life is a hit that shows, or showed, that a message arrived.
type life struct {
	kind     event.Kind
	time     event.Millis
	id       event.ID
	revision uint32
}

// tellLife tells the log of addresses of the hit by which a bounce is lifted, or stands again: the latest that is a
// human's, or that is none any longer.
func (p *Partition) tellLife(s *state, bounced marksSet) error {
	now := s.bounced()
	if now == bounced {
		return nil
	}
	l := p.lost
	if bounced&^now != 0 {
		for i := range s.hits {
			if h := &s.hits[i]; s.alive(i) {
				l = life{kind: h.Kind, time: h.Time, id: h.ID, revision: max(s.tellings[i].told, 1) - 1}
			}
		}
	}
	r := event.Refined{ID: l.id, Revision: l.revision, Kind: l.kind, Time: l.time, Ref: s.published()}
	var err error
	if r.Origin.Node, err = p.nodeOf(s, l.id); err != nil {
		return err
	}
	p.tellAddresses(&r, s, bounced)
	return nil
}

// bounceMarks and aliveMarks are what lifts a bounce, and what it lifts.
var (
	bounceMarks = [...]mark{markGivenUp, markBlocked, markHard, markSoft}
	aliveMarks  = [...]mark{markDelivered, markOpened, markClicked, markReplied}
)

// bounced returns which bounces stand.
func (s *state) bounced() (set marksSet) {
	if !s.recorded.has(event.Bounce) {
		return 0 // most messages have none
	}
	m := s.living()
	for _, k := range bounceMarks {
		if m.bounced(k) {
			set |= 1 << k
		}
	}
	return set
}

// aliveAt returns the latest time at which the message was seen to have arrived, 0 for never.
func (m *marks) aliveAt() (at event.Millis) {
	for _, k := range aliveMarks {
		if m.has(k) {
			at = max(at, m.time[k])
		}
	}
	return at
}
