package suppress

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

const (
	readAtOnce = 1024
	// staleAfter is how old what is known may be before a compacted log is read anew: half of what its removals stay.
	staleAfter = 84 * time.Hour
	// sweepAtOnce is how many rows one commit of a sweep looks at.
	sweepAtOnce = 4096
)

// follower is Run's own.
type follower struct {
	compacted bool
	place     bookAt
	cursor    int64     // what is read next: place.next, or before it while the log is read anew
	end       int64     // of a log that is read anew: up to here; then what it did not hold is dropped
	names     []uint64  // scratch: of the entries that are being written
	rows      []indexed // scratch: the same, and those that are removed
}

// trimmer is a log that its follower may trim, because nobody else reads it.
type trimmer interface {
	Trim(before int64) error
	Rewrite(from, end int64, most int, fn log.Rewriting) (next int64, changed int, err error)
}

func (b *Book) followAll(ctx context.Context) error {
	if err := b.in.Refresh(ctx); err != nil {
		return err
	}
	f := &b.follow
	if oldest, next := b.in.Bounds(); f.place.anew || f.compacted && (event.Now() > f.place.end.Add(staleAfter) || f.place.next > next) || f.place.next < oldest {
		b.beginAnew()
	}
	var recs []log.Record
	for {
		if f.place.anew && f.cursor >= f.end {
			if err := b.endAnew(ctx); err != nil {
				return err
			}
		}
		var err error
		recs, err = b.in.Read(ctx, f.cursor, readAtOnce, recs[:0])
		switch {
		case errors.Is(err, log.ErrTrimmed):
			b.beginAnew()
			continue
		case err != nil:
			return err
		}
		if err := b.apply(recs); err != nil {
			return err
		}
		clear(recs)
	}
}

// beginAnew goes back to the log's beginning. The rows hold what all records before place.next said: of those it is learned
// which the log still has, and nothing else, so no old version is told as if it were the present one.
func (b *Book) beginAnew() {
	oldest, next := b.in.Bounds()
	b.logger.Info("reads all suppressions anew", zap.Int64("from", oldest), zap.Int64("to", next))
	f := &b.follow
	f.cursor, f.end, f.place.anew = oldest, next, true
	f.place.generation++
	if f.compacted && f.place.next > next { // it is another log: half of it says nothing
		f.place.next, f.place.end = 0, 0
		b.ignorant.Store(true)
	}
}

// endAnew drops what the log did not hold. A log that its follower trims holds nothing of what was, and drops nothing.
func (b *Book) endAnew(ctx context.Context) error {
	f := &b.follow
	if !f.compacted {
		f.place.anew = false
		return nil
	}
	for _, table := range []byte{bookTableEntry, bookTableDecision, bookTableByAccount, bookTableByTime} {
		if err := b.sweep(ctx, table); err != nil {
			return fmt.Errorf("drop what is gone: %w", err)
		}
	}
	f.place.anew = false
	return b.apply(nil)
}

// sweep drops the rows of a table that are of an older generation.
func (b *Book) sweep(ctx context.Context, table byte) error {
	from, end := bookTable(table), kv.PrefixEnd(bookTable(table))
	for from != nil && ctx.Err() == nil {
		batch := b.store.NewBatch()
		var gone []indexed
		seen := 0
		var next []byte
		err := eachRow(b.store, from, end, func(key, value []byte) (bool, error) {
			if seen++; seen > sweepAtOnce {
				next = append([]byte(nil), key...)
				return false, nil
			}
			if generationOf(value) >= b.follow.place.generation {
				return true, nil
			}
			if table == bookTableEntry {
				account, name, err := cutBookEntry(key)
				if err != nil {
					return false, err
				}
				gone = append(gone, b.index.indexed(account, name, nil))
			}
			return true, batch.Delete(key, nil)
		})
		b.index.forget(gone...)
		if err == nil {
			err = b.store.Commit(batch)
		}
		if err := errors.Join(err, batch.Close()); err != nil {
			return err
		}
		from = next
	}
	return ctx.Err()
}

// eachRow calls fn with rows, valid during the call only, until it returns false.
func eachRow(store *kv.Store, from, end []byte, fn func(key, value []byte) (bool, error)) error {
	if err := store.Enter(); err != nil {
		return err
	}
	defer store.Leave()
	it, err := store.DB().NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: end})
	if err != nil {
		return err
	}
	more := true
	for ok := it.First(); ok && more && err == nil; ok = it.Next() {
		more, err = fn(it.Key(), it.Value())
	}
	return errors.Join(err, it.Error(), it.Close())
}

// apply puts records into rows.
func (b *Book) apply(recs []log.Record) error {
	batch := b.store.NewIndexedBatch()
	b.follow.names, b.follow.rows = b.follow.names[:0], b.follow.rows[:0]
	defer func() { _ = batch.Close() }()
	for i := range recs {
		r := &recs[i]
		b.follow.cursor = r.Offset + 1
		take := b.applyRecord
		if r.Offset < b.follow.place.next {
			take = b.touchRecord
		}
		b.follow.place.next = max(b.follow.place.next, b.follow.cursor)
		if err := take(batch, r); errors.Is(err, errForeign) {
			b.metrics.foreign.Inc()
			b.logger.Warn("skipped a record that is no suppression: somebody else writes there, or a newer Carom", zap.Int64("offset", r.Offset), zap.Error(err))
		} else if err != nil {
			return err
		}
	}
	if _, next := b.in.Bounds(); !b.follow.place.anew && b.follow.cursor >= next {
		b.follow.place.end = event.Now()
	}
	if err := batch.Set(bookPlace(), b.follow.place.append(), nil); err != nil {
		return err
	}
	b.known.add(b.follow.names...)
	b.index.forget(b.follow.rows...)
	if err := b.store.Commit(batch); err != nil {
		return err
	}
	b.known.add(b.follow.names...)
	b.index.put(b.follow.rows...)
	if !b.follow.place.anew && b.follow.place.end != 0 {
		b.ignorant.Store(false)
	}
	b.metrics.records.Add(float64(len(recs)))
	b.passed.Store(b.follow.cursor)
	b.bell.Ring()
	if t, ok := b.in.(trimmer); ok {
		return trim(t, b.follow.place.next)
	}
	return nil
}

// trim removes what was read. The newest record stays, because it holds the log's place, and is emptied: whoever was erased
// since may be named in it.
func trim(t trimmer, before int64) error {
	if before == 0 {
		return nil
	}
	if err := t.Trim(before); err != nil {
		return err
	}
	_, _, err := t.Rewrite(before-1, before, 1, func(key, _ []byte) ([]byte, []byte, bool, error) {
		return nil, nil, len(key) > 0, nil
	})
	return err
}

var errForeign = errors.New("suppress: malformed record")

func (b *Book) applyRecord(batch *kv.Batch, r *log.Record) error {
	if len(r.Value) == 0 {
		account, name, id, ok := cutKey(r.Key)
		switch {
		case len(r.Key) == 0, isOwnKey(r.Key): // the first is what trim left
			return nil
		case !ok:
			return errForeign
		case name == "":
			return b.dropDecision(batch, id)
		}
		b.follow.rows = append(b.follow.rows, b.index.indexed(account, name, nil))
		return batch.Delete(bookEntry(account, name), nil)
	}
	generation := b.follow.place.generation
	switch typeOf(r.Value) {
	case typeSuppression:
		var w wireSuppression
		if err := decode(r.Value, &w); err != nil {
			return fmt.Errorf("%w: %w", errForeign, err)
		}
		name := w.name()
		if !isName(name) || (w.Account == "") != (w.Scope == ScopeGlobal) {
			return errForeign
		}
		w.Facts, w.At = nil, nil
		if isHashed(name) && !b.follow.place.hashed {
			b.follow.place.hashed = true
			b.hashed.Store(true)
		}
		b.follow.names = append(b.follow.names, b.known.name(w.Account, name))
		b.follow.rows = append(b.follow.rows, b.index.indexed(w.Account, name, &w))
		return batch.Set(bookEntry(w.Account, name), appendEntryRow(generation, &w), nil)
	case typeDecision:
		d, err := readDecisionHead(r.Value)
		if err != nil {
			return fmt.Errorf("%w: %w", errForeign, err)
		}
		return b.setDecision(batch, &d, r.Value)
	case typeAccount, typeWaiting, typeWave, typePosition:
		return nil
	}
	return errForeign
}

// touchRecord notes that the log still has a record which the rows know: the row of its key, which may be of a later one.
func (b *Book) touchRecord(batch *kv.Batch, r *log.Record) error {
	account, name, id, ok := cutKey(r.Key)
	if !ok || len(r.Value) == 0 {
		return nil
	}
	key := bookDecision(id)
	if name != "" {
		key = bookEntry(account, name)
	}
	value, closer, err := batch.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	value = bytes.Clone(value)
	generation := b.follow.place.generation
	if err := closer.Close(); err != nil || len(value) < bookHeader || generationOf(value) == generation {
		return err
	}
	if name != "" {
		binary.BigEndian.PutUint64(value[1:], generation)
		return batch.Set(key, value, nil)
	}
	if value, err = openBookRow(value); err != nil {
		return err
	}
	d, err := readDecisionHead(value)
	if err != nil {
		return err
	}
	return b.setDecision(batch, &d, value)
}

func (b *Book) setDecision(batch *kv.Batch, d *decisionHead, value []byte) error {
	row := appendBookRow(b.follow.place.generation, nil)
	return errors.Join(
		batch.Set(bookDecision(d.id), appendBookRow(b.follow.place.generation, value), nil),
		batch.Set(appendMade(bookByAccount(d.account), d.made, d.id), row, nil),
		batch.Set(appendMade(bookTable(bookTableByTime), d.made, d.id), row, nil))
}

// dropDecision drops a decision and what leads to it.
func (b *Book) dropDecision(batch *kv.Batch, id event.ID) error {
	value, closer, err := batch.Get(bookDecision(id))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	value, err = openBookRow(value)
	if err != nil {
		return errors.Join(err, closer.Close())
	}
	d, err := readDecisionHead(value)
	return errors.Join(err, closer.Close(),
		batch.Delete(bookDecision(id), nil),
		batch.Delete(appendMade(bookByAccount(d.account), d.made, id), nil),
		batch.Delete(appendMade(bookTable(bookTableByTime), d.made, id), nil))
}
