package refine

import "carom/pipeline/event"

// Facts are what the facts of messages show, as if they were all about one: a status follows from them.
type Facts struct {
	// Known is set if there is a message at all.
	Known bool `json:"known,omitempty"`
	// Sent is set if one was sent; NotSent if one was registered as not sent, and nothing shows that it was.
	Sent    bool `json:"sent,omitempty"`
	NotSent bool `json:"not_sent,omitempty"`
	// Times are the latest event times, by mark; 0 for none.
	Times [numMarks]event.Millis `json:"times"`
}

// shownBy are the kinds that show that a message went out, whatever its registration said.
const shownBy kindSet = 1<<event.Sent | 1<<event.Delivered | 1<<event.Open | 1<<event.Click | 1<<event.Bounce | 1<<event.Delay |
	1<<event.Complaint | 1<<event.Unsubscribe | 1<<event.Reply | 1<<event.AutoReply

// shown returns what the facts of s show.
func (s *state) shown() Facts {
	living := s.living()
	f := Facts{
		// What is told of an enrollment may be nothing that bears on a status.
		Known: s.standing != enrollment || living.set != 0,
		Sent:  s.standing == registered,
	}
	if s.ref.Flags.Has(event.NotSent) && s.recorded&shownBy == 0 {
		f.Sent, f.NotSent = false, true
	}
	for k := range numMarks {
		if living.has(k) {
			f.Times[k] = living.time[k]
		}
	}
	return f
}

// status says how the message fares.
func (s *state) status() string {
	f := s.shown()
	return f.Status()
}

// Merge adds what g shows.
func (f *Facts) Merge(g Facts) {
	f.Known, f.Sent, f.NotSent = f.Known || g.Known, f.Sent || g.Sent, f.NotSent || g.NotSent
	for k := range f.Times {
		f.Times[k] = max(f.Times[k], g.Times[k])
	}
}

func (f *Facts) marks() (m marks) {
	for k := range numMarks {
		if f.Times[k] > 0 {
			m.add(k, f.Times[k])
		}
	}
	return m
}

// Status is one of STATUSES.md, empty if there is no message.
func (f *Facts) Status() string {
	m := f.marks()
	switch {
	case !f.Known:
		return ""
	case f.NotSent && !f.Sent && m.set&^(1<<markDropped) == 0:
		return StatusNotSent
	}
	return m.status(f.Sent)
}

// aliveAt returns the latest time at which a message was seen to have arrived, 0 for never.
func (f *Facts) aliveAt() event.Millis {
	m := f.marks()
	return m.aliveAt()
}
