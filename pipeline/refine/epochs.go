package refine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
)

// What is kept of messages is kept by epochs, which are spans of log time. A message is of the epoch in which its first
// record was appended, and stays in that. An epoch goes as a whole, when so much has passed since its end:
//
//	log time ──▶     1       2       3       4         now
//	             ├───────┼───────┼───────┼───────┼──────┤
//	                     ├── goes at its end + keep ──▶
//
// With three epochs in keep, four or five are live, and a message stays for keep at least, for a third more at most. Log time alone ends an epoch, between two records and after the timers that were due: so a replay gives
// the same bytes. A click does not wait if its message's epoch goes before it were judged.
//
// A message is looked for in one epoch after the other, the newest first, of those whose roll has it: roll.go.
//
// The row of an epoch, under its number:
//
//	byte 0      format: 2; 1 for an epoch that has no roll
//	bytes 1-8   log time of its beginning
//	bytes 9-16  its length; 0: it does not end
const (
	epochFormat   byte = 2
	epochFormat1  byte = 1
	epochRowBytes int  = 17
	// epochsInKeep is how many epochs a message stays for.
	epochsInKeep event.Millis = 3
)

// epochID numbers the epochs of a partition in their order, from 1.
type epochID uint32

type epochRow struct {
	liveEpoch
	start, length event.Millis
}

// liveEpoch is what who looks for a message knows of an epoch.
type liveEpoch struct {
	id   epochID
	roll *roll
}

func (r *epochRow) append(dst []byte) []byte {
	format := epochFormat
	if r.roll == nil {
		format = epochFormat1
	}
	dst = append(dst, format)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.start))
	return binary.BigEndian.AppendUint64(dst, uint64(r.length))
}

// decode reads a row but for its roll, and says whether there is one.
func (r *epochRow) decode(key, value []byte) (hasRoll bool, err error) {
	if hasRoll = len(value) == 0 || value[0] != epochFormat1; hasRoll {
		if err := checkFormat("epoch", value, epochFormat); err != nil {
			return false, err
		}
	}
	if len(key) != epochBytes || len(value) != epochRowBytes {
		return false, fmt.Errorf("%w: epoch %x", errDamaged, key)
	}
	*r = epochRow{
		liveEpoch: liveEpoch{id: epochID(binary.BigEndian.Uint32(key[tableBytes:]))},
		start:     event.Millis(binary.BigEndian.Uint64(value[1:])),
		length:    event.Millis(binary.BigEndian.Uint64(value[9:])),
	}
	return hasRoll, nil
}

// epochs are those of a partition that are live.
type epochs struct {
	keys keyspace
	keep event.Millis // 0: for ever
	rows []epochRow   // oldest first; Run's own
	// newest are they, the newest first, for all who look for a message.
	newest atomic.Pointer[[]liveEpoch]
	memory rollMemory
}

// openEpochs reads the epochs of a partition, but not their rolls: those readRolls reads. They take so many bytes of memory
// at most.
func openEpochs(store *kv.Store, keys keyspace, keep event.Millis, memory int) (*epochs, error) {
	es := &epochs{keys: keys, keep: keep, memory: rollMemory{bound: memory}}
	table := keys.table(nil, tableEpochs)
	it, err := store.DB().NewIter(&pebble.IterOptions{LowerBound: append(table, 0), UpperBound: kv.PrefixEnd(table)})
	if err != nil {
		return nil, fmt.Errorf("read epochs: %w", err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var r epochRow
		var hasRoll bool
		if hasRoll, err = r.decode(it.Key(), it.Value()); err == nil && hasRoll {
			r.roll, err = openRoll(store, keys, r.id, &es.memory, es.expected())
		}
		es.rows = append(es.rows, r)
	}
	if err := errors.Join(err, it.Error(), it.Close()); err != nil {
		return nil, fmt.Errorf("read epochs: %w", err)
	}
	es.changed()
	return es, nil
}

// readRolls brings what is on the rolls of a partition into their filters, the newest first. What may be changed meanwhile is
// said at roll.
func (p *Partition) readRolls(ctx context.Context, live []liveEpoch) error {
	began, names := time.Now(), uint64(0)
	for _, e := range live {
		if e.roll == nil {
			continue
		}
		names += e.roll.unread.Load()
		if err := e.roll.read(ctx, p.store, p.keys, e.id); err != nil {
			return err
		}
	}
	if names > 0 {
		p.log.Info("refine knows which messages it has", zap.Uint64("messages", names), zap.Duration("took", time.Since(began)))
	}
	return nil
}

func (es *epochs) changed() {
	list := make([]liveEpoch, 0, len(es.rows))
	for i := range es.rows {
		list = append(list, es.rows[i].liveEpoch)
	}
	slices.Reverse(list)
	es.newest.Store(&list)
}

// live returns the live epochs, the newest first. The list must not be changed.
func (es *epochs) live() []liveEpoch { return *es.newest.Load() }

// expected is how many messages the next epoch is to hold: as many as the newest.
func (es *epochs) expected() uint64 {
	if n := len(es.rows); n > 0 && es.rows[n-1].roll != nil {
		return es.rows[n-1].roll.names
	}
	return 0
}

// enrol puts a message that became known on the roll of its epoch.
func (es *epochs) enrol(e epochID, key event.Key) {
	for i := len(es.rows) - 1; i >= 0; i-- {
		if es.rows[i].id == e {
			es.rows[i].roll.add(key)
			return
		}
	}
}

// writeRolls puts what was added to the rolls into b.
func (es *epochs) writeRolls(b *kv.Batch) error {
	for i := range es.rows {
		if err := es.rows[i].roll.write(es.keys, es.rows[i].id, b); err != nil {
			return err
		}
	}
	return nil
}

// length is that of an epoch that begins now.
func (es *epochs) length() event.Millis { return (es.keep + epochsInKeep - 1) / epochsInKeep }

// at returns the epoch of what becomes known at a log time, which never runs back, and begins it where it is a new one.
func (es *epochs) at(b *kv.Batch, now event.Millis) (epochID, error) {
	begun := epochRow{liveEpoch: liveEpoch{id: 1}, length: es.length()}
	if begun.length > 0 {
		begun.start = now - now%begun.length
	}
	if n := len(es.rows); n > 0 {
		last := &es.rows[n-1]
		if last.length == 0 && es.keep > 0 { // nothing was to be forgotten until now
			last.length = max(1, now-last.start)
			if err := es.write(b, last); err != nil {
				return 0, err
			}
		}
		end := last.start + last.length
		if last.length == 0 || now < end {
			return last.id, nil
		}
		begun.id, begun.start = last.id+1, max(begun.start, end)
	}
	begun.roll = newRoll(&es.memory, es.expected())
	es.rows = append(es.rows, begun)
	es.changed()
	return begun.id, es.write(b, &begun)
}

func (es *epochs) write(b *kv.Batch, r *epochRow) error {
	if err := b.Set(es.keys.epoch(nil, tableEpochs, r.id), r.append(nil), nil); err != nil {
		return fmt.Errorf("write epoch: %w", err)
	}
	return nil
}

// goes reports whether an epoch is gone at a log time.
func (es *epochs) goes(r *epochRow, at event.Millis) bool {
	return es.keep > 0 && r.length > 0 && r.start+r.length+es.keep <= at
}

// stays reports whether what is kept of s will be there at a log time.
func (es *epochs) stays(s *state, at event.Millis) bool {
	for i := range es.rows {
		if r := &es.rows[i]; r.id == s.epoch {
			return !es.goes(r, at)
		}
	}
	return false
}

// forgetEpochs forgets the epochs that are to go by now. It returns false if the step must be committed first: it begins one,
// because nothing of an epoch may be at hand when it goes.
func (p *Partition) forgetEpochs() (done bool, err error) {
	es := p.epochs
	if len(es.rows) == 0 || !es.goes(&es.rows[0], p.now.at) {
		return true, nil
	}
	if !p.settled() {
		return false, nil
	}
	for len(es.rows) > 0 && es.goes(&es.rows[0], p.now.at) {
		r := &es.rows[0]
		for _, t := range epochTables {
			from := p.keys.epoch(nil, t, r.id)
			if err := p.step.batch.DeleteRange(from, kv.PrefixEnd(from), nil); err != nil {
				return false, fmt.Errorf("forget an epoch: %w", err)
			}
		}
		if err := p.step.batch.Delete(p.keys.epoch(nil, tableEpochs, r.id), nil); err != nil {
			return false, fmt.Errorf("forget an epoch: %w", err)
		}
		p.cache.forgetEpoch(r.id)
		r.roll.drop()
		p.metrics.epochs.Inc()
		p.log.Info("messages are old enough to be forgotten", zap.Time("from", r.start.Time()), zap.Time("to", (r.start+r.length).Time()))
		es.rows = slices.Delete(es.rows, 0, 1)
	}
	es.changed()
	return false, nil
}

// forgetEpoch drops the states of an epoch, none of which was changed since it was committed.
func (c *cache) forgetEpoch(e epochID) {
	for _, s := range c.states {
		if s.epoch == e {
			c.forget(s)
		}
	}
}
