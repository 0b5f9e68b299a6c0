package refine

import "carom/pipeline/event"

// addressKinds are the kinds of facts in the log of addresses.
var addressKinds = [...]event.Kind{
	event.Bounce, event.Complaint, event.Unsubscribe, event.Sent, event.Delivered, event.Open, event.Click, event.Reply,
}

// tellAddresses publishes r to the log of addresses if it bears on the recipient's address; ADDRESSES.md has the rule.
// stood says whether a bounce of s stood before r.
func (p *Partition) tellAddresses(r *event.Refined, s *state, stood bool) {
	f := event.AddressFact{
		ID: r.ID, Revision: r.Revision, Kind: r.Kind, Time: r.Time, Ref: r.Ref, Recipient: s.recipient,
		Origin: event.Origin{Node: r.Origin.Node, Partition: p.number, Offset: p.now.offset, N: p.meta.addresses},
	}
	switch r.Kind {
	case event.Bounce:
		f.Bounce, f.Reported, f.AliveAt = r.Bounce, r.Recipient, s.marks.aliveAt()
	case event.Complaint:
		f.FeedbackType = r.FeedbackType
	case event.Unsubscribe:
	case event.Sent:
		if !s.recorded.has(event.Bounce) && !s.recorded.has(event.Complaint) && !s.recorded.has(event.Unsubscribe) {
			return
		}
	case event.Delivered, event.Open, event.Click, event.Reply:
		if !stood || s.marks.anyBounced() {
			return
		}
	default:
		return
	}
	p.meta.addresses++
	o := &p.step.addresses
	sp := span{key: len(o.buf), at: p.now.at}
	o.buf = f.AppendKey(o.buf)
	sp.value = len(o.buf)
	o.buf = f.AppendJSON(o.buf)
	sp.end = len(o.buf)
	o.recs = append(o.recs, sp)
	if p.withheld() {
		o.withhold()
		return
	}
	p.metrics.address(r.Kind)
}

// bounceMarks and aliveMarks are what lifts a bounce, and what it lifts.
var (
	bounceMarks = [...]mark{markGivenUp, markBlocked, markHard, markSoft}
	aliveMarks  = [...]mark{markDelivered, markOpened, markClicked, markReplied}
)

// anyBounced reports whether any bounce stands.
func (m *marks) anyBounced() bool {
	for _, k := range bounceMarks {
		if m.bounced(k) {
			return true
		}
	}
	return false
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
