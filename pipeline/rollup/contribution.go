package rollup

import (
	"slices"

	"carom/pipeline/event"
)

// The counters of a bucket. The numbers are stored.
const (
	// By time of completion, of enrollments.
	cCompleted = iota
	cReplied
	cBounced
	cBouncedHard
	cComplained
	cUnsubscribed
	cOpened
	cClicked
	cMachineOpened
	cMachineClicked
	// By time of sending, of messages.
	cSent
	cSentBounced
	// By time of opening, of opens that name nobody.
	cAnonymousOpened
	// By time of completion, of hits: those of an enrollment beyond its first of the kind, in the order of hits. Most
	// enrollments have none, and so add nothing to a row.
	cOpenedAgain
	cMachineOpenedAgain
	cClickedAgain
	cMachineClickedAgain

	numCounters
)

// contribution is what one enrollment counts as.
type contribution struct {
	counted bool         // it is in a cohort:
	at      event.Millis // in that of this time,
	flags   uint16       // under these counters, by bit,
	again   hits         // with so many hits beyond the first of their kind
	sends   []send       // and its messages, each by its own time
}

type send struct {
	at      event.Millis
	bounced bool
}

func (c *contribution) equal(d *contribution) bool {
	return c.counted == d.counted && c.at == d.at && c.flags == d.flags && c.again == d.again && slices.Equal(c.sends, d.sends)
}

// contribution computes into c what e counts as. scratch is memory for the work, and returned to be used again.
func (e *enrollment) contribution(c *contribution, completeAfter event.Millis, scratch []messageTally) []messageTally {
	all, n, each := e.tallies(scratch)
	c.at, c.counted = all.completion(completeAfter)
	c.flags, c.again = 0, hits{}
	if c.counted {
		c.flags, c.again = all.flags(), n.again()
	}
	blamed := e.gone.complained()
	c.sends = c.sends[:0]
	for i := range each {
		m := &each[i]
		blamed = blamed || m.complained()
		if m.has(sent) && m.message != 0 {
			c.sends = append(c.sends, send{m.at[sent], m.bounced()})
		}
	}
	if c.counted && blamed {
		c.flags |= 1 << cComplained
	}
	return each
}

// flags returns the counters under which a completed enrollment counts, one bit each; complaints are a matter of messages.
func (t *tally) flags() uint16 {
	flags := uint16(1 << cCompleted)
	for _, f := range [...]struct {
		counter int
		set     bool
	}{
		{cReplied, t.has(replied)},
		{cBounced, t.bounced()},
		{cBouncedHard, t.bouncedForGood()},
		{cUnsubscribed, t.has(unsubscribed)},
		{cOpened, t.has(openedHuman)},
		{cClicked, t.has(clickedHuman)},
		{cMachineOpened, t.has(openedMachine)},
		{cMachineClicked, t.has(clickedMachine)},
	} {
		if f.set {
			flags |= 1 << f.counter
		}
	}
	return flags
}
