package rollup

import (
	"bytes"
	"fmt"
	"math/bits"
	"slices"

	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
)

// deltas collects in memory what a step adds to the cohorts, so that every row is read and written once a step.
type deltas struct {
	scopes  map[scope]int32
	names   []scope
	from    []int32 // of each of names, the number of its sender
	senders map[scope]int32
	heard   []heard // of each sender

	// The parts that are no sequences, by what they have below zero in place of a scope's number.
	parts map[partOf]int32
	of    []part

	index   map[bucket]int32 // of minutes
	minutes []minuteDelta

	changes []change
	// Memory to work in.
	keys  []byte
	row   row
	value []byte
}

// heard is a sender that a step has facts of.
type heard struct {
	account, sender string
	latest          event.Millis // the latest time of its facts
}

// partOf is a part of a sender, by the sender's number.
type partOf struct {
	sender int32
	kind   byte
	name   string
}

// bucket is a minute of a sequence, or of another part.
type bucket struct {
	scope  int32
	minute uint32
}

// minuteDelta is what is to be added to a bucket.
type minuteDelta struct {
	bucket
	counts counts
}

// change says that a minute's delta is to be added to a row: that of its hour of the sequence, of the whole sender, or of
// another part.
type change struct {
	from, to int // where the row's key lies in deltas.keys
	delta    int32
	in       int // the minute within the hour
}

func newDeltas() *deltas {
	return &deltas{
		scopes: make(map[scope]int32), senders: make(map[scope]int32), parts: make(map[partOf]int32), index: make(map[bucket]int32),
	}
}

func (d *deltas) clear() {
	clear(d.scopes)
	clear(d.senders)
	clear(d.parts)
	clear(d.index)
	d.names, d.from, d.heard, d.of, d.minutes = d.names[:0], d.from[:0], d.heard[:0], d.of[:0], d.minutes[:0]
}

// scope returns the number of s within this step.
func (d *deltas) scope(s scope) int32 {
	n, ok := d.scopes[s]
	if !ok {
		n = int32(len(d.names))
		d.scopes[s] = n
		d.names = append(d.names, s)
		d.from = append(d.from, d.sender(s))
	}
	return n
}

// sender returns the number of the sender of s within this step.
func (d *deltas) sender(s scope) int32 {
	s.sequence = ""
	n, ok := d.senders[s]
	if !ok {
		n = int32(len(d.heard))
		d.senders[s] = n
		d.heard = append(d.heard, heard{account: s.account, sender: s.sender})
	}
	return n
}

// hear notes that there is a fact of a scope at a time.
func (d *deltas) hear(scope int32, at event.Millis) {
	h := &d.heard[d.from[scope]]
	h.latest = max(h.latest, at)
}

// part returns the number of another part of the scope's sender within this step; it is below zero.
func (d *deltas) part(scope int32, kind byte, name string) int32 {
	key := partOf{d.from[scope], kind, name}
	n, ok := d.parts[key]
	if !ok {
		h := &d.heard[key.sender]
		d.of = append(d.of, part{h.account, h.sender, kind, name})
		n = -int32(len(d.of))
		d.parts[key] = n
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
	d.addCounted(scope, c, by)
	d.addSends(scope, c, by)
	if c.counted || len(c.sends) > 0 {
		provider := d.part(scope, partProvider, c.provider)
		d.addCounted(provider, c, by)
		d.addSends(provider, c, by)
	}
	if c.counted && c.has(cBounced) {
		d.addCounted(d.part(scope, partCategory, categories[c.category]), c, by)
	}
}

// addCounted adds what an enrollment counts as when it completes.
func (d *deltas) addCounted(in int32, c *contribution, by int64) {
	if !c.counted {
		return
	}
	row := d.at(in, c.at)
	for set := c.flags; set != 0; set &= set - 1 {
		row[bits.TrailingZeros32(set)] += by
	}
	for i, n := range c.again {
		row[cOpenedAgain+i] += by * int64(n)
	}
}

// addSends adds an enrollment's messages.
func (d *deltas) addSends(in int32, c *contribution, by int64) {
	for _, s := range c.sends {
		row := d.at(in, s.at)
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
		if m.counts.zero() || m.minute <= p.sweep.frozen {
			continue
		}
		if m.scope < 0 {
			p.change(d, int32(i), &d.of[-1-m.scope])
			continue
		}
		whole, sequence := d.names[m.scope].whole(), d.names[m.scope].inSequence()
		p.change(d, int32(i), &whole)
		p.change(d, int32(i), &sequence)
	}
	slices.SortFunc(d.changes, func(x, y change) int { return bytes.Compare(d.key(x), d.key(y)) })
}

// change has a minute's delta added to a row of a part.
func (p *Partition) change(d *deltas, delta int32, of *part) {
	hour, in := hourOf(d.minutes[delta].minute)
	from := len(d.keys)
	d.keys = kv.AppendUint32(p.appendCohort(d.keys, of), hour)
	d.changes = append(d.changes, change{from, len(d.keys), delta, in})
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
		if value, ok, err = p.disk.Get(key); err != nil {
			return fmt.Errorf("read cohort row: %w", err)
		}
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
