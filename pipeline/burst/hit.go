package burst

import (
	"bytes"
	"cmp"

	"carom/pipeline/event"
)

// Hit is an open or a click as far as it is judged together with the others of its message.
type Hit struct {
	ID   event.ID
	Time event.Millis
	// Client and Address are the hashes of event.Client; 0 is nobody's.
	Client, Address uint64
	Link            uint32     // of a click
	Kind            event.Kind // Open or Click
	// Verdict is what the request alone told, Soon what holds in its place if the hit came soon enough, and Hints are the
	// request's reasons that have a weight (HintsOf).
	Verdict  event.Verdict
	Hints    Reasons
	Soon     event.Soon
	Honeypot bool // a click on the link that no human sees
	// Fixed says that Final stands, whatever the other hits are. A fixed hit still bears on the others.
	Fixed bool
	Final Verdict
}

// Message is what bears on all hits of one message; times that are not known are 0.
type Message struct {
	Sent      event.Millis
	Delivered event.Millis // the earliest delivery
	// Opened is the time of the earliest open that is not among the hits, by whomever.
	Opened event.Millis
	// Shared says that several recipients have the same links: what other clients do tells nothing about one of them.
	Shared bool
}

// Verdict is what is found about a hit.
type Verdict struct {
	Reasons Reasons
	Verdict event.Verdict
	// Repeat: an earlier recorded hit is the same, and near enough that this one counts for nothing.
	Repeat bool
	// First: the earliest hit of its kind by a human.
	First bool
}

// Compare puts hits into their canonical order: by event time, then by id.
func Compare(a, b *Hit) int {
	return cmp.Or(cmp.Compare(a.Time, b.Time), bytes.Compare(a.ID[:], b.ID[:]))
}
