package rollup

import (
	"bytes"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
)

// deltas collects in memory what a step adds to the cohorts, so that every row is read and written once a step.
type deltas struct {
	scopes map[scope]int32
	names  []scope

	index   map[bucket]int32 // of minutes
	minutes []minuteDelta

	changes []change
	// Memory to work in.
	keys  []byte
	row   row
	value []byte
}

// bucket is a minute of a sequence.
type bucket struct {
	scope  int32
	minute uint32
}

// minuteDelta is what is to be added to a bucket.
type minuteDelta struct {
	bucket
	counts counts
}

// change says that a minute's delta is to be added to a row: that of its hour of the sequence, or of the whole sender.
type change struct {
	from, to int // where the row's key lies in deltas.keys
	delta    int32
	in       int // the minute within the hour
}

func newDeltas() *deltas {
	return &deltas{scopes: make(map[scope]int32), index: make(map[bucket]int32)}
}

func (d *deltas) clear() {
	clear(d.scopes)
	clear(d.index)
	d.names, d.minutes = d.names[:0], d.minutes[:0]
}

// scope returns the number of s within this step.
func (d *deltas) scope(s scope) int32 {
	n, ok := d.scopes[s]
	if !ok {
		n = int32(len(d.names))
		d.scopes[s] = n
		d.names = append(d.names, s)
	}
	return n
}

// at returns what is to be added to the minute that an instant lies in. It is valid until the next call.
func (d *deltas) at(scope int32, at event.Millis) *counts {
	b := bucket{scope, minuteOf(at)}
	i, ok := d.index[b]
	if !ok {
		i = int32(len(d.minutes))
		d.index[b] = i
		d.minutes = append(d.minutes, minuteDelta{bucket: b})
	}
	return &d.minutes[i].counts
}

// addContribution counts c once more (by 1), or takes it back (by -1).
func (d *deltas) addContribution(scope int32, c *contribution, by int64) {
	if c.counted {
		row := d.at(scope, c.at)
		for counter := range numCounters {
			if c.flags&(1<<counter) != 0 {
				row[counter] += by
			}
		}
		for i, n := range c.again {
			row[cOpenedAgain+i] += by * int64(n)
		}
	}
	for _, s := range c.sends {
		row := d.at(scope, s.at)
		row[cSent] += by
		if s.bounced {
			row[cSentBounced] += by
		}
	}
}

// spread lists which rows change by what, in the order of their keys.
func (p *Partition) spread(d *deltas) {
	d.changes, d.keys = d.changes[:0], d.keys[:0]
	for i := range d.minutes {
		m := &d.minutes[i]
		if m.counts.zero() {
			continue
		}
		hour, in := hourOf(m.minute)
		for _, whole := range [...]bool{true, false} {
			from := len(d.keys)
			d.keys = p.appendCohort(d.keys, d.names[m.scope], whole)
			d.keys = kv.AppendUint32(d.keys, hour)
			d.changes = append(d.changes, change{from, len(d.keys), int32(i), in})
		}
	}
	slices.SortFunc(d.changes, func(x, y change) int { return bytes.Compare(d.key(x), d.key(y)) })
}

func (d *deltas) key(c change) []byte { return d.keys[c.from:c.to] }

// writeRows adds what was collected to the rows of the store, by way of b.
func (p *Partition) writeRows(d *deltas, b *kv.Batch) error {
	p.spread(d)
	rest := d.changes
	for len(rest) > 0 {
		key := d.key(rest[0])
		d.row.clear()
		for len(rest) > 0 && bytes.Equal(d.key(rest[0]), key) {
			d.row.add(rest[0].in, &d.minutes[rest[0].delta].counts)
			rest = rest[1:]
		}
		if err := p.writeRow(d, b, key); err != nil {
			return err
		}
	}
	return nil
}

// writeRow adds d.row to the row under key.
func (p *Partition) writeRow(d *deltas, b *kv.Batch, key []byte) error {
	value, ok := p.rows.get(key)
	if !ok {
		var err error
		if d.value, ok, err = p.store.Get(d.value[:0], key); err != nil {
			return fmt.Errorf("read cohort row: %w", err)
		}
		value = d.value
	}
	if ok && len(value) > 0 {
		if err := d.row.addStored(value); err != nil {
			return fmt.Errorf("read cohort row: %w", err)
		}
	}
	if d.row.negative() {
		// Kept as it is: whatever took too much may give it back, and a wrong count must not stop the mail.
		p.metrics.broken.Inc()
		p.log.Error("BUG: cohort row counts below zero", zap.Binary("key", key))
	}
	p.metrics.rows.Inc()
	d.value, ok = d.row.append(d.value[:0])
	var err error
	if ok {
		err = b.Set(key, d.value, nil)
	} else {
		err = b.Delete(key, nil)
		d.value = d.value[:0] // which the cache keeps for "none"
	}
	p.rows.put(key, d.value)
	if err != nil {
		return fmt.Errorf("write cohort row: %w", err)
	}
	return nil
}
