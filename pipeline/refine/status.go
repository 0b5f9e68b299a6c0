package refine

import "carom/pipeline/event"

// The statuses of a message, in the order of STATUSES.md.
const (
	StatusSending          = "sending"
	StatusSent             = "sent"
	StatusOpened           = "opened"
	StatusClicked          = "clicked"
	StatusReplied          = "replied"
	StatusBouncedTemporary = "bounced_temporary"
	StatusBouncedPermanent = "bounced_permanent"
	StatusBlocked          = "blocked"
	StatusDropped          = "dropped"
	StatusComplained       = "complained"
	StatusUnsubscribed     = "unsubscribed"
	StatusNotSent          = "not_sent"
)

// Statuses are all statuses, in the order of STATUSES.md.
func Statuses() []string {
	return []string{
		StatusSending, StatusSent, StatusOpened, StatusClicked, StatusReplied, StatusBouncedTemporary, StatusBouncedPermanent,
		StatusBlocked, StatusDropped, StatusComplained, StatusUnsubscribed, StatusNotSent,
	}
}

// mark is one kind of fact that a status follows from. Their bits are stored.
type mark uint8

const (
	markOpened mark = iota
	markClicked
	markReplied
	markDelivered
	markSoft
	markHard
	markBlocked
	markGivenUp
	markDropped
	markComplained
	markNotSpam
	markUnsubscribed

	numMarks
)

// marksSet is a set of marks: bit 1<<mark. The bits are stored.
type marksSet uint16

// marks keep the latest event time of each mark, and nothing of the order in which the facts came: that is why the
// status depends on the set of facts alone.
type marks struct {
	set  marksSet
	time [numMarks]event.Millis
}

func (m *marks) add(k mark, t event.Millis) {
	if !m.has(k) || t > m.time[k] {
		m.set |= 1 << k
		m.time[k] = t
	}
}

func (m *marks) has(k mark) bool { return m.set&(1<<k) != 0 }

// after reports whether a is there and strictly later than b.
func (m *marks) after(a, b mark) bool { return m.has(a) && m.time[a] > m.time[b] }

// bounced reports whether a bounce stands: nothing later shows that the message arrived after all.
func (m *marks) bounced(k mark) bool {
	return m.has(k) && !m.after(markOpened, k) && !m.after(markClicked, k) && !m.after(markReplied, k) &&
		!m.after(markDelivered, k)
}

// status says how the message fares; STATUSES.md has the table.
func (m *marks) status(sent bool) string {
	switch {
	case m.has(markUnsubscribed):
		return StatusUnsubscribed
	case m.has(markComplained) && !m.after(markNotSpam, markComplained):
		return StatusComplained
	case m.has(markDropped) || m.bounced(markGivenUp):
		return StatusDropped
	case m.bounced(markBlocked):
		return StatusBlocked
	case m.bounced(markHard):
		return StatusBouncedPermanent
	case m.bounced(markSoft):
		return StatusBouncedTemporary
	case m.has(markReplied):
		return StatusReplied
	case m.has(markClicked):
		return StatusClicked
	case m.has(markOpened):
		return StatusOpened
	case sent || m.has(markDelivered):
		return StatusSent
	}
	return StatusSending
}

// markOf returns the mark that a recorded event leaves, if it leaves one.
func markOf(r *event.Refined) (mark, bool) {
	human := r.Actor.Verdict == event.Human
	switch r.Kind {
	case event.Open:
		return markOpened, human
	case event.Click:
		return markClicked, human
	case event.Reply:
		return markReplied, human
	case event.Delivered:
		return markDelivered, true
	case event.Bounce:
		return bounceMark(&r.Bounce), true
	case event.Dropped:
		return markDropped, true
	case event.Complaint:
		if r.FeedbackType == notSpam {
			return markNotSpam, true
		}
		return markComplained, true
	case event.Unsubscribe:
		return markUnsubscribed, true
	}
	return 0, false
}

// notSpam is the feedback type that takes a complaint back.
const notSpam = "not-spam"

// bounceMark sorts a bounce by what it means for the message. The later status wins where two would fit.
func bounceMark(d *event.Diagnosis) mark {
	switch {
	// RFC 3463 §3.5: X.4.7, delivery time expired: the sending side gave up.
	case d.Category == "timeout", d.Status == "4.4.7", d.Status == "5.4.7":
		return markGivenUp
	case d.Category == "blocked", d.Category == "reputation", d.Category == "policy":
		return markBlocked
	case d.Hard:
		return markHard
	}
	return markSoft
}
