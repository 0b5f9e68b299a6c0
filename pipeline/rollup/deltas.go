package rollup

import (
	"bytes"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
)

// deltas collects in memory what a step adds to the cohort rows, so that every row is read and written once a step.
type deltas struct {
	scopes map[scope]int32
	names  []scope
	// What is to be added to the minutes of sequences. The rows of hours and of whole senders are sums of these.
	minutes table
	rows    table
	// Memory to work in: the keys of rows, one after the other, and in their order.
	keys   []byte
	sorted []keyed
	value  []byte
}

// keyed is a row of deltas.rows and where its key lies in deltas.keys.
type keyed struct{ from, to, row int }

// bucket names a row by numbers.
type bucket struct {
	scope int32
	whole bool // of the whole sender; scope is then any of its sequences
	size  byte
	n     uint32
}

// table is a map from bucket to counts that keeps the order of insertion, and its memory when it is cleared.
type table struct {
	index  map[bucket]int32
	keys   []bucket
	counts []counts
}

func (t *table) at(b bucket) *counts {
	i, ok := t.index[b]
	if !ok {
		i = int32(len(t.keys))
		t.index[b] = i
		t.keys = append(t.keys, b)
		t.counts = append(t.counts, counts{})
	}
	return &t.counts[i]
}

func (t *table) clear() {
	clear(t.index)
	t.keys, t.counts = t.keys[:0], t.counts[:0]
}

func newDeltas() *deltas {
	return &deltas{
		scopes:  make(map[scope]int32),
		minutes: table{index: make(map[bucket]int32)},
		rows:    table{index: make(map[bucket]int32)},
	}
}

func (d *deltas) clear() {
	clear(d.scopes)
	d.names = d.names[:0]
	d.minutes.clear()
	d.rows.clear()
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

// add counts by under one counter at one instant.
func (d *deltas) add(scope int32, at event.Millis, counter int, by int64) {
	d.minutes.at(bucket{scope: scope, size: sizeMinute, n: minuteOf(at)})[counter] += by
}

// addContribution counts c once more (by 1), or takes it back (by -1).
func (d *deltas) addContribution(scope int32, c *contribution, by int64) {
	if c.counted {
		row := d.minutes.at(bucket{scope: scope, size: sizeMinute, n: minuteOf(c.at)})
		for counter := range numCounters {
			if c.flags&(1<<counter) != 0 {
				row[counter] += by
			}
		}
	}
	for _, s := range c.sends {
		row := d.minutes.at(bucket{scope: scope, size: sizeMinute, n: minuteOf(s.at)})
		row[cSent] += by
		if s.bounced {
			row[cSentBounced] += by
		}
	}
}

// spread makes of the minutes of sequences all four kinds of rows.
func (d *deltas) spread() {
	senders := make(map[scope]int32, len(d.names))
	for i, b := range d.minutes.keys {
		c := &d.minutes.counts[i]
		if c.zero() {
			continue
		}
		sender := d.names[b.scope]
		sender.sequence = ""
		first, ok := senders[sender]
		if !ok {
			first = b.scope
			senders[sender] = first
		}
		hour := hourOf(b.n)
		d.rows.at(bucket{b.scope, false, sizeMinute, b.n}).add(c)
		d.rows.at(bucket{b.scope, false, sizeHour, hour}).add(c)
		d.rows.at(bucket{first, true, sizeMinute, b.n}).add(c)
		d.rows.at(bucket{first, true, sizeHour, hour}).add(c)
	}
}

// writeRows adds what was collected to the rows of the store, by way of b, in the order of their keys.
func (p *Partition) writeRows(d *deltas, b *kv.Batch) error {
	d.spread()
	d.sorted = d.sorted[:0]
	d.keys = d.keys[:0]
	for i, at := range d.rows.keys {
		if d.rows.counts[i].zero() {
			continue
		}
		from := len(d.keys)
		d.keys = p.appendCohort(d.keys, d.names[at.scope], at.whole, at.size)
		d.keys = kv.AppendUint32(d.keys, at.n)
		d.sorted = append(d.sorted, keyed{from, len(d.keys), i})
	}
	slices.SortFunc(d.sorted, func(x, y keyed) int {
		return bytes.Compare(d.keys[x.from:x.to], d.keys[y.from:y.to])
	})
	for _, k := range d.sorted {
		if err := p.writeRow(d, b, d.keys[k.from:k.to], &d.rows.counts[k.row]); err != nil {
			return err
		}
	}
	return nil
}

// writeRow adds c to the row under key.
func (p *Partition) writeRow(d *deltas, b *kv.Batch, key []byte, c *counts) error {
	value, ok := p.rows.get(key)
	if !ok {
		var err error
		if d.value, ok, err = p.store.Get(d.value[:0], key); err != nil {
			return fmt.Errorf("read cohort row: %w", err)
		}
		value = d.value
	}
	if ok {
		if err := c.addStored(value); err != nil {
			return fmt.Errorf("read cohort row: %w", err)
		}
	}
	if c.negative() {
		// Kept as it is: whatever took too much may give it back, and a wrong count must not stop the mail.
		p.metrics.broken.Inc()
		p.log.Error("BUG: cohort row counts below zero", zap.Int64s("counters", c[:]))
	}
	d.value = c.append(d.value[:0])
	p.rows.put(key, d.value)
	var err error
	if c.zero() {
		err = b.Delete(key, nil)
	} else {
		err = b.Set(key, d.value, nil)
	}
	if err != nil {
		return fmt.Errorf("write cohort row: %w", err)
	}
	return nil
}
