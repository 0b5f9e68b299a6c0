package rollup

import (
	"bytes"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
	"carom/pipeline/score"
)

// reading is one look at the store. All that it reads is of the same moment between two steps, because it is read by
// one iterator, and a step is one batch. Once something fails, it reads nothing more; err says what it was.
type reading struct {
	p   *Partition
	it  *pebble.Iterator
	key []byte // of the rows of the scope that is read
	err error
}

func (p *Partition) read() (*reading, error) {
	from := appendHeader(nil, p.number, 0)
	to := appendHeader(nil, p.number, 0xff)
	it, err := p.store.DB().NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return nil, fmt.Errorf("read rollup: %w", err)
	}
	return &reading{p: p, it: it}, nil
}

func (r *reading) close() { _ = r.it.Close() }

// has reports whether there is a row under key.
func (r *reading) has(key []byte) (bool, error) {
	ok := r.it.SeekGE(key) && bytes.Equal(r.it.Key(), key)
	return ok, r.it.Error()
}

// at chooses whose rows add reads.
func (r *reading) at(s scope, whole bool) { r.key = r.p.appendCohorts(r.key[:0], s, whole) }

// add adds the rows of a span to c: whole hours by their own rows, the rest by those of minutes.
func (r *reading) add(in span, c *counts) {
	head, hours, tail := in.split()
	r.addRows(sizeMinute, head, c)
	r.addRows(sizeHour, hours, c)
	r.addRows(sizeMinute, tail, c)
}

// addRows adds the rows of one size from s.from, which is left out, to s.to.
func (r *reading) addRows(size byte, s span, c *counts) {
	if r.err != nil || s.from >= s.to {
		return
	}
	rows := len(r.key)
	defer func() { r.key = r.key[:rows] }()
	r.key = append(r.key, size)
	r.key = kv.AppendUint32(r.key, uint32(s.from+1))
	var stack [128]byte
	last := kv.AppendUint32(append(append(stack[:0], r.key[:rows]...), size), uint32(s.to))
	for ok := r.it.SeekGE(r.key); ok && bytes.Compare(r.it.Key(), last) <= 0; ok = r.it.Next() {
		value, err := r.it.ValueAndErr()
		if err == nil {
			err = c.addStored(value)
		}
		if err != nil {
			r.err = err
			return
		}
	}
	r.err = r.it.Error()
}

// score returns the counters in the form of package score.
func (c *counts) score() score.Counts {
	return score.Counts{
		Completed:       c.floor(cCompleted),
		Replied:         c.floor(cReplied),
		Bounced:         c.floor(cBounced),
		BouncedHard:     c.floor(cBouncedHard),
		Complained:      c.floor(cComplained),
		Unsubscribed:    c.floor(cUnsubscribed),
		Opened:          c.floor(cOpened),
		Clicked:         c.floor(cClicked),
		MachineOpened:   c.floor(cMachineOpened),
		MachineClicked:  c.floor(cMachineClicked),
		AnonymousOpened: c.floor(cAnonymousOpened),
	}
}

func (c *counts) period() Period { return Period{c.floor(cSent), c.floor(cSentBounced)} }

// floor returns a counter, at least 0: see metrics.broken.
func (c *counts) floor(i int) int64 { return max(0, c[i]) }
