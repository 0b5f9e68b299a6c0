package rollup

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
	"carom/pipeline/event"
)

// Once a day of log time a sweep goes over all senders, some at a time between two steps, and removes what is no longer
// kept:
//
//	senders ─▶ completions before the cutoff ─▶ the enrollments that they name, and themselves
//	        ─▶ each part's cohort rows before theirs: one range, found by one seek
//	        ─▶ names of which nothing is left
//
// It reads nothing of what is kept, but for enrollments that completed long ago by their own times and changed of late, as
// history does that is told afterwards: they stay for as long after that. An enrollment that never completes stays.
//
// Cohort rows outlive their enrollments. So a rebuild can't make them anew, and leaves alone what ends with frozen:
//
//	meta row: ┌─────────┬─────────────────────────────────────────────┬──────────────────────────────────────┐
//	          │ version │ minute before which enrollments are gone    │ minute up to which rows are as they  │
//	          │ 1       │                                             │ are; 0 before there was a rebuild    │
//	          └─────────┴─────────────────────────────────────────────┴──────────────────────────────────────┘
//
// Both are uvarints.
type sweep struct {
	gone, frozen uint32

	begins event.Millis // the log time at which the next one does
	from   []byte       // the sender that goes on with; nil: none runs
	// Cutoffs of the one that runs.
	minute, hour, day uint32
}

const (
	sweepEvery   event.Millis = 24 * 3600 * 1000
	sweepSenders              = 256  // looked at between two steps
	sweepRows                 = 4096 // of enrollments removed between two steps
	dayMillis                 = 24 * 3600 * 1000
)

func (w *sweep) append(dst []byte) []byte {
	dst = binary.AppendUvarint(append(dst, sweepVersion), uint64(w.gone))
	return binary.AppendUvarint(dst, uint64(w.frozen))
}

func (w *sweep) decode(value []byte) error {
	s := openValue(value, sweepVersion, "sweep")
	w.gone, w.frozen = s.uint32(), s.uint32()
	return s.end()
}

func (p *Partition) loadSweep() error {
	value, ok, err := p.store.Get(nil, p.metaKey(metaSweep))
	if err != nil || !ok {
		return err
	}
	return p.sweep.decode(value)
}

// expired reports whether an enrollment that is not stored is so because it is kept no longer: a fact of a message that was
// sent so long ago begins none.
func (p *Partition) expired(sentAt event.Millis) bool {
	return p.o.Keep > 0 && sentAt > 0 && sentAt+p.position.completeAfter < p.now.Add(-p.o.Keep)
}

// empty reports that nothing is known.
func (e *enrollment) empty() bool { return len(e.facts) == 0 && e.gone == (forgotten{}) }

// expire goes on with a sweep, if it is time.
func (p *Partition) expire() error {
	w := &p.sweep
	if p.o.Keep == 0 {
		return nil
	}
	if w.from == nil {
		if p.now < w.begins {
			return nil
		}
		w.from = appendHeader(nil, p.number, tableSender)
		cutoff := p.now.Add(-p.o.Keep)
		w.minute, w.day, w.hour = minuteOf(cutoff), uint32(max(0, cutoff)/dayMillis), 0
		if p.o.KeepCohorts > 0 {
			w.hour, _ = hourOf(minuteOf(p.now.Add(-p.o.KeepCohorts)))
		}
	}
	b := p.store.NewBatch()
	defer func() { _ = b.Close() }()
	next, err := p.sweepSome(b)
	if err == nil && next == nil {
		// What is gone was known as gone before it was: a crash in between removes it again.
		w.begins = p.now + sweepEvery
	}
	w.from = next
	if err == nil && w.minute > w.gone {
		w.gone = w.minute
		err = b.Set(p.metaKey(metaSweep), w.append(nil), nil)
	}
	if err == nil && !b.Empty() {
		err = p.store.Commit(b)
	}
	if err != nil {
		return fmt.Errorf("expire: %w", err)
	}
	return nil
}

// sweepSome sweeps some senders, and returns the key to go on at, nil at the end.
func (p *Partition) sweepSome(b *kv.Batch) (next []byte, err error) {
	r, err := p.read()
	if err != nil {
		return nil, err
	}
	defer r.close()
	table := appendHeader(nil, p.number, tableSender)
	rows := sweepRows
	key := bytes.Clone(p.sweep.from)
	for n := 0; ; n++ {
		if !r.it.SeekGE(key) || !bytes.HasPrefix(r.it.Key(), table) {
			return nil, r.it.Error()
		}
		key = append(key[:0], r.it.Key()...)
		if n == sweepSenders {
			return key, nil
		}
		done, err := p.sweepSender(r.it, bytes.Clone(key[headerSize:]), b, &rows)
		if err != nil || !done {
			return key, err
		}
		key = append(key, 0)
	}
}

// sweepSender removes what is no longer kept of the sender with that name in keys, at most rows enrollments.
func (p *Partition) sweepSender(it *pebble.Iterator, name []byte, b *kv.Batch, rows *int) (done bool, err error) {
	if done, err := p.sweepEnrollments(it, name, b, rows); err != nil || !done {
		return false, err
	}
	if err := p.sweepCohorts(it, name, b); err != nil {
		return false, err
	}
	return true, p.sweepNames(it, name, b)
}

func (p *Partition) sweepEnrollments(it *pebble.Iterator, name []byte, b *kv.Batch, rows *int) (done bool, err error) {
	prefix := append(appendHeader(nil, p.number, tableCompletion), name...)
	var key []byte
	for ok := it.SeekGE(prefix); ok && bytes.HasPrefix(it.Key(), prefix); ok = it.Next() {
		if len(it.Key()) < len(prefix)+4 {
			return false, errKey
		}
		enrollment, minute := p.enrollmentKey(key[:0], it.Key(), len(prefix))
		if key = enrollment; minute >= p.sweep.minute {
			break
		}
		var c completion
		if err := c.decode(it.Value()); err != nil {
			return false, err
		}
		if c.day >= p.sweep.day {
			continue
		}
		if *rows == 0 {
			return false, nil
		}
		*rows--
		p.enrollments.drop(enrollment)
		if err := errors.Join(b.Delete(enrollment, nil), b.Delete(it.Key(), nil)); err != nil {
			return false, err
		}
		p.metrics.expired.Inc()
	}
	return true, it.Error()
}

// sweepCohorts removes the rows of each part that are too old, with one seek for each.
func (p *Partition) sweepCohorts(it *pebble.Iterator, name []byte, b *kv.Batch) error {
	cutoff := p.sweep.hour
	if cutoff == 0 {
		return nil
	}
	prefix := append(appendHeader(nil, p.number, tableCohort), name...)
	if p.any(it, append(appendHeader(nil, p.number, tableEnrollment), name...)) {
		// There was news of it of late. If that is of long ago by its own times, its newest rows stay all the same.
		whole := append(bytes.Clone(prefix), partSender)
		if it.SeekLT(kv.PrefixEnd(whole)) && len(it.Key()) == len(whole)+4 && bytes.HasPrefix(it.Key(), whole) {
			newest, kept := binary.BigEndian.Uint32(it.Key()[len(whole):]), uint32(p.o.KeepCohorts/time.Hour)
			cutoff = min(cutoff, max(newest, kept)-kept)
		}
	}
	return p.eachPart(it, prefix, func(part []byte, first uint32) error {
		if first >= cutoff {
			return nil
		}
		p.rows.clear() // which holds them by their keys
		return b.DeleteRange(kv.AppendUint32(bytes.Clone(part), 0), kv.AppendUint32(bytes.Clone(part), cutoff), nil)
	})
}

// any reports whether a key begins with prefix, and goes to the first.
func (p *Partition) any(it *pebble.Iterator, prefix []byte) bool {
	return it.SeekGE(prefix) && bytes.HasPrefix(it.Key(), prefix)
}

// eachPart calls do with what the cohort rows of each part begin with, of those parts that begin with prefix, and the first
// hour that there is one of.
func (p *Partition) eachPart(it *pebble.Iterator, prefix []byte, do func(part []byte, first uint32) error) error {
	for ok := it.SeekGE(prefix); ok && bytes.HasPrefix(it.Key(), prefix); {
		n := len(it.Key()) - 4
		if n < headerSize {
			return errKey
		}
		part := bytes.Clone(it.Key()[:n])
		if err := do(part, binary.BigEndian.Uint32(it.Key()[n:])); err != nil {
			return err
		}
		ok = it.SeekGE(kv.PrefixEnd(part))
	}
	return it.Error()
}

// sweepNames removes the names of sequences, and of the sender, of which no row is left. What this sweep has removed it sees
// the next time.
func (p *Partition) sweepNames(it *pebble.Iterator, name []byte, b *kv.Batch) error {
	any := func(prefix []byte) bool { return p.any(it, prefix) }
	table := func(t byte) []byte { return append(appendHeader(nil, p.number, t), name...) }
	sequences := table(tableSequence)
	left := false
	for ok := any(sequences); ok && bytes.HasPrefix(it.Key(), sequences); {
		key := bytes.Clone(it.Key())
		sequence := key[len(sequences):]
		if any(append(table(tableEnrollment), sequence...)) || any(append(append(table(tableCohort), partSequence), sequence...)) {
			left = true
		} else if err := p.forget(b, key); err != nil {
			return err
		}
		ok = it.SeekGE(append(key, 0))
	}
	if left || any(table(tableCohort)) || any(table(tableEnrollment)) || any(table(tableNameless)) {
		return it.Error()
	}
	for _, t := range [...]byte{tableSender, tablePublished, tableProvider, tableDomains, tableAlert} {
		if err := b.DeleteRange(table(t), kv.PrefixEnd(table(t)), nil); err != nil {
			return err
		}
	}
	return errors.Join(it.Error(), p.forget(b, table(tableSender)))
}

// forget removes a name, and what is remembered of which names there are.
func (p *Partition) forget(b *kv.Batch, key []byte) error {
	clear(p.known)
	p.providers = newProviders(p)
	return b.Delete(key, nil)
}

// freeze has a rebuild leave alone the rows of which enrollments are gone, and removes the others.
func (p *Partition) freeze(b *kv.Batch) error {
	if p.sweep.gone == 0 {
		from := appendHeader(nil, p.number, tableCohort)
		return b.DeleteRange(from, kv.PrefixEnd(from), nil)
	}
	hour, _ := hourOf(p.sweep.gone)
	p.sweep.frozen = hour * hourMinutes
	r, err := p.read()
	if err != nil {
		return err
	}
	defer r.close()
	err = p.eachPart(r.it, appendHeader(nil, p.number, tableCohort), func(part []byte, _ uint32) error {
		return b.DeleteRange(kv.AppendUint32(bytes.Clone(part), hour+1), kv.PrefixEnd(part), nil)
	})
	return errors.Join(err, b.Set(p.metaKey(metaSweep), p.sweep.append(nil), nil))
}

// keepBounds are those of Options.Keep and KeepCohorts.
const (
	minKeep = maxWindow + 48*time.Hour
	maxKeep = 87600 * time.Hour
)

func (o Options) validateKeep() error {
	switch {
	case o.Keep != 0 && (o.Keep < minKeep || o.Keep > maxKeep):
		return fmt.Errorf("keep: %v: want 0, which keeps for ever, or %v to %v", o.Keep, minKeep, maxKeep)
	case o.KeepCohorts != 0 && o.Keep == 0:
		return fmt.Errorf("keep_cohorts: %v: want 0, since keep is 0: cohorts are not kept for less than enrollments", o.KeepCohorts)
	case o.KeepCohorts != 0 && (o.KeepCohorts < o.Keep+o.CompleteAfter || o.KeepCohorts > maxKeep):
		return fmt.Errorf("keep_cohorts: %v: want 0, which keeps for ever, or at least keep and complete_after, which are %v, to %v", o.KeepCohorts, o.Keep+o.CompleteAfter, maxKeep)
	}
	return nil
}
