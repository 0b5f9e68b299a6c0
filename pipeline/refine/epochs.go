package refine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

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
// A message is looked for in one epoch after the other, the newest first; where it is not, a bloom filter says so.
//
// The row of an epoch, under its number:
//
//	byte 0      format: 1
//	bytes 1-8   log time of its beginning
//	bytes 9-16  its length; 0: it does not end
const (
	epochFormat   byte = 1
	epochRowBytes int  = 17
	// epochsInKeep is how many epochs a message stays for.
	epochsInKeep event.Millis = 3
)

// epochID numbers the epochs of a partition in their order, from 1.
type epochID uint32

type epochRow struct {
	id            epochID
	start, length event.Millis
}

func (r *epochRow) append(dst []byte) []byte {
	dst = append(dst, epochFormat)
	dst = binary.BigEndian.AppendUint64(dst, uint64(r.start))
	return binary.BigEndian.AppendUint64(dst, uint64(r.length))
}

func (r *epochRow) decode(key, value []byte) error {
	if err := checkFormat("epoch", value, epochFormat); err != nil {
		return err
	}
	if len(key) != epochBytes || len(value) != epochRowBytes {
		return fmt.Errorf("%w: epoch %x", errDamaged, key)
	}
	*r = epochRow{
		id:     epochID(binary.BigEndian.Uint32(key[tableBytes:])),
		start:  event.Millis(binary.BigEndian.Uint64(value[1:])),
		length: event.Millis(binary.BigEndian.Uint64(value[9:])),
	}
	return nil
}

// epochs are those of a partition that are live.
type epochs struct {
	keys keyspace
	keep event.Millis // 0: for ever
	rows []epochRow   // oldest first; Run's own
	// newest are their numbers, the newest first, for all who look for a message.
	newest atomic.Pointer[[]epochID]
}

func openEpochs(store *kv.Store, keys keyspace, keep event.Millis) (*epochs, error) {
	es := &epochs{keys: keys, keep: keep}
	table := keys.table(nil, tableEpochs)
	it, err := store.DB().NewIter(&pebble.IterOptions{LowerBound: append(table, 0), UpperBound: kv.PrefixEnd(table)})
	if err != nil {
		return nil, fmt.Errorf("read epochs: %w", err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var r epochRow
		err = r.decode(it.Key(), it.Value())
		es.rows = append(es.rows, r)
	}
	if err := errors.Join(err, it.Error(), it.Close()); err != nil {
		return nil, fmt.Errorf("read epochs: %w", err)
	}
	es.changed()
	return es, nil
}

func (es *epochs) changed() {
	ids := make([]epochID, 0, len(es.rows))
	for i := range es.rows {
		ids = append(ids, es.rows[i].id)
	}
	slices.Reverse(ids)
	es.newest.Store(&ids)
}

// live returns the numbers of the live epochs, the newest first. The list must not be changed.
func (es *epochs) live() []epochID { return *es.newest.Load() }

// length is that of an epoch that begins now.
func (es *epochs) length() event.Millis { return (es.keep + epochsInKeep - 1) / epochsInKeep }

// at returns the epoch of what becomes known at a log time, which never runs back, and begins it where it is a new one.
func (es *epochs) at(b *kv.Batch, now event.Millis) (epochID, error) {
	begun := epochRow{id: 1, length: es.length()}
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
