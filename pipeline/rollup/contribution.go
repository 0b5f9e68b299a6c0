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
	// By time of completion, of enrollments: those clicked by a human that did not bounce.
	cClickedDelivered

	numCounters
)

// contribution is what one enrollment counts as.
type contribution struct {
	counted bool         // it is in a cohort:
	at      event.Millis // in that of this time,
	flags   uint32       // under these counters, by bit,
	again   hits         // with so many hits beyond the first of their kind
	sends   []send       // and its messages, each by its own time

	provider string // that of its recipient, empty if it is not known
	category uint8  // of the bounce, if it is counted as bounced
}

func (c *contribution) has(counter int) bool { return c.flags&(1<<counter) != 0 }

type send struct {
	at      event.Millis
	bounced bool
}

func (c *contribution) equal(d *contribution) bool {
	return c.counted == d.counted && c.at == d.at && c.flags == d.flags && c.again == d.again && c.provider == d.provider &&
		c.category == d.category && slices.Equal(c.sends, d.sends)
}

// contribution computes into c what e counts as. scratch is memory for the work, and returned to be used again.
func (e *enrollment) contribution(c *contribution, completeAfter event.Millis, scratch []messageTally) []messageTally {
	all, n, each := e.tallies(scratch)
	c.at, c.counted = all.completion(completeAfter)
	c.flags, c.again, c.provider, c.category = 0, hits{}, e.provider, 0
	if c.counted {
		c.flags, c.again = all.flags(), n.again()
		if c.has(cBounced) {
			c.category = all.bounceCategory()
		}
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
func (t *tally) flags() uint32 {
	flags := uint32(1 << cCompleted)
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
		{cClickedDelivered, t.has(clickedHuman) && !t.bounced()},
	} {
		if f.set {
			flags |= 1 << f.counter
		}
	}
	return flags
}
