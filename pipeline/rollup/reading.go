package rollup

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
	"carom/pipeline/score"
)

// reading is one look at the store. All that it reads is of the same moment between two steps, because it is read by
// one iterator, and a step is one batch.
type reading struct {
	p  *Partition
	it *pebble.Iterator
	// Memory to work in.
	key []byte
	row row
}

// read begins a look, which close ends. It keeps the store open: who asks may outlive the stages.
func (p *Partition) read() (*reading, error) {
	if err := p.store.Enter(); err != nil {
		return nil, fmt.Errorf("read rollup: %w", err)
	}
	from := appendHeader(nil, p.number, 0)
	to := appendHeader(nil, p.number, 0xff)
	it, err := p.store.DB().NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		p.store.Leave()
		return nil, fmt.Errorf("read rollup: %w", err)
	}
	return &reading{p: p, it: it}, nil
}

func (r *reading) close() {
	_ = r.it.Close()
	r.p.store.Leave()
}

// has reports whether there is a row under key.
func (r *reading) has(key []byte) (bool, error) {
	ok := r.it.SeekGE(key) && bytes.Equal(r.it.Key(), key)
	return ok, r.it.Error()
}

// sums adds up spans of a part: each into its own counts.
func (r *reading) sums(of *part, spans []span, into []counts) error {
	for i := range spans {
		if err := r.sum(of, spans[i], &into[i]); err != nil {
			return fmt.Errorf("read cohorts: %w", err)
		}
	}
	return nil
}

func (r *reading) sum(of *part, in span, c *counts) error {
	if in.from >= in.to {
		return nil
	}
	first, last := in.hours()
	r.key = r.p.appendCohort(r.key[:0], of)
	rows := len(r.key)
	r.key = kv.AppendUint32(r.key, first)
	for ok := r.it.SeekGE(r.key); ok; ok = r.it.Next() {
		hour, found := cutHour(r.it.Key(), r.key[:rows])
		if !found || hour > last {
			break
		}
		if err := r.addRow(in, hour, c); err != nil {
			return err
		}
	}
	return r.it.Error()
}

// cutHour returns the hour of a cohort row whose key starts so.
func cutHour(key, prefix []byte) (hour uint32, found bool) {
	rest, found := bytes.CutPrefix(key, prefix)
	if !found || len(rest) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(rest), true
}

// addRow adds what the iterator's row has of a span.
func (r *reading) addRow(in span, hour uint32, c *counts) error {
	value, err := r.it.ValueAndErr()
	if err != nil {
		return err
	}
	from, to := in.within(hour)
	if from == 0 && to == hourMinutes {
		return c.addStoredHour(value)
	}
	r.row.clear()
	if err := r.row.addStored(value); err != nil {
		return err
	}
	for minute := from; minute < to; minute++ {
		c.add(&r.row.minutes[minute])
	}
	return nil
}

// score returns the counters in the form of package score.
func (c *counts) score() score.Counts {
	return score.Counts{
		Completed:        c.floor(cCompleted),
		Replied:          c.floor(cReplied),
		Bounced:          c.floor(cBounced),
		BouncedHard:      c.floor(cBouncedHard),
		Complained:       c.floor(cComplained),
		Unsubscribed:     c.floor(cUnsubscribed),
		Opened:           c.floor(cOpened),
		Clicked:          c.floor(cClicked),
		ClickedDelivered: c.floor(cClickedDelivered),
		MachineOpened:    c.floor(cMachineOpened),
		MachineClicked:   c.floor(cMachineClicked),
		Opens:            c.floor(cOpened) + c.floor(cOpenedAgain),
		Clicks:           c.floor(cClicked) + c.floor(cClickedAgain),
		MachineOpens:     c.floor(cMachineOpened) + c.floor(cMachineOpenedAgain),
		MachineClicks:    c.floor(cMachineClicked) + c.floor(cMachineClickedAgain),
		AnonymousOpened:  c.floor(cAnonymousOpened),
	}
}

func (c *counts) period() Period { return Period{c.floor(cSent), c.floor(cSentBounced)} }

// floor returns a counter, at least 0: see metrics.broken.
func (c *counts) floor(i int) int64 { return max(0, c[i]) }
