package suppress

import (
	"context"
	"encoding/json"
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
	anew      bool       // the whole log is read anew, up to end; then what it did not hold is dropped
	end       int64      // of a log that is read anew
	names     []bookName // scratch: of the entries that are being written
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
	if oldest, next := b.in.Bounds(); f.compacted && (event.Now() > f.place.end.Add(staleAfter) || f.place.next > next) || f.place.next < oldest {
		b.beginAnew()
	}
	var recs []log.Record
	for {
		if f.anew && f.place.next >= f.end {
			if err := b.endAnew(ctx); err != nil {
				return err
			}
		}
		var err error
		recs, err = b.in.Read(ctx, f.place.next, readAtOnce, recs[:0])
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

// beginAnew goes back to the log's beginning.
func (b *Book) beginAnew() {
	oldest, next := b.in.Bounds()
	b.logger.Info("reads all suppressions anew", zap.Int64("from", oldest), zap.Int64("to", next))
	f := &b.follow
	f.place.next, f.end, f.anew = oldest, next, true
	f.place.generation++
}

// endAnew drops what the log did not hold. A log that its follower trims holds nothing of what was, and drops nothing.
func (b *Book) endAnew(ctx context.Context) error {
	f := &b.follow
	f.anew = false
	if !f.compacted {
		return nil
	}
	for _, table := range []byte{bookTableEntry, bookTableDecision, bookTableByAccount, bookTableByTime} {
		if err := b.sweep(ctx, table); err != nil {
			return fmt.Errorf("drop what is gone: %w", err)
		}
	}
	return b.apply(nil)
}

// sweep drops the rows of a table that are of an older generation.
func (b *Book) sweep(ctx context.Context, table byte) error {
	from, end := bookTable(table), kv.PrefixEnd(bookTable(table))
	for from != nil && ctx.Err() == nil {
		batch := b.store.NewBatch()
		seen := 0
		var next []byte
		err := b.each(from, end, func(key, value []byte) (bool, error) {
			if seen++; seen > sweepAtOnce {
				next = append([]byte(nil), key...)
				return false, nil
			}
			if generationOf(value) < b.follow.place.generation {
				return true, batch.Delete(key, nil)
			}
			return true, nil
		})
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

// each calls fn with rows, valid during the call only, until it returns false.
func (b *Book) each(from, end []byte, fn func(key, value []byte) (bool, error)) error {
	if err := b.store.Enter(); err != nil {
		return err
	}
	defer b.store.Leave()
	it, err := b.store.DB().NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: end})
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
	b.follow.names = b.follow.names[:0]
	defer func() { _ = batch.Close() }()
	for i := range recs {
		r := &recs[i]
		b.follow.place.next = r.Offset + 1
		if err := b.applyRecord(batch, r); errors.Is(err, errForeign) {
			b.metrics.foreign.Inc()
			b.logger.Warn("skipped a record that is no suppression: somebody else writes there, or a newer Carom", zap.Int64("offset", r.Offset), zap.Error(err))
		} else if err != nil {
			return err
		}
	}
	if _, next := b.in.Bounds(); b.follow.place.next >= next {
		b.follow.place.end = event.Now()
	}
	if !b.follow.anew { // else a restart begins anew as well
		if err := batch.Set(bookPlace(), b.follow.place.append(), nil); err != nil {
			return err
		}
	}
	b.know(b.follow.names)
	if err := b.store.Commit(batch); err != nil {
		return err
	}
	b.know(b.follow.names)
	if !b.follow.anew && b.follow.place.end != 0 {
		b.ignorant.Store(false)
	}
	b.metrics.records.Add(float64(len(recs)))
	b.passed.Store(b.follow.place.next)
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
		case len(r.Key) == 0:
			return nil // what trim left
		case !ok:
			return errForeign
		case name == "":
			return b.dropDecision(batch, id)
		}
		return batch.Delete(bookEntry(account, name), nil)
	}
	var w struct {
		wireSuppression
		Type string `json:"type"`
	}
	if err := json.Unmarshal(r.Value, &struct {
		Type *string `json:"type"`
	}{&w.Type}); err != nil {
		return fmt.Errorf("%w: %w", errForeign, err)
	}
	generation := b.follow.place.generation
	switch w.Type {
	case typeSuppression:
		if err := json.Unmarshal(r.Value, &w.wireSuppression); err != nil {
			return fmt.Errorf("%w: %w", errForeign, err)
		}
		s := w.suppression()
		if !isName(s.Address) || s.Account == "" != (s.Scope == ScopeGlobal) {
			return errForeign
		}
		w.Facts, w.At = nil, nil
		w.wireSuppression.Type = typeSuppression
		if s.Hashed() && !b.follow.place.hashed {
			b.follow.place.hashed = true
			b.hashed.Store(true)
		}
		b.follow.names = append(b.follow.names, bookName{s.Account, s.Address})
		return batch.Set(bookEntry(s.Account, s.Address), appendBookRow(generation, encode(&w.wireSuppression)), nil)
	case typeDecision:
		d, err := readDecision(r.Value)
		if err != nil {
			return fmt.Errorf("%w: %w", errForeign, err)
		}
		row := appendBookRow(generation, nil)
		return errors.Join(
			batch.Set(bookDecision(d.ID), appendBookRow(generation, r.Value), nil),
			batch.Set(appendMade(bookByAccount(d.Order.Account), d.Made, d.ID), row, nil),
			batch.Set(appendMade(bookTable(bookTableByTime), d.Made, d.ID), row, nil))
	case typeAccount:
		return nil
	}
	return errForeign
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
	d, err := readDecision(value)
	return errors.Join(err, closer.Close(),
		batch.Delete(bookDecision(id), nil),
		batch.Delete(appendMade(bookByAccount(d.Order.Account), d.Made, id), nil),
		batch.Delete(appendMade(bookTable(bookTableByTime), d.Made, id), nil))
}

// know puts names into the filters. It is called before their rows are committed, so that no row can be read that the filter
// denies; and after that, because a filter may have begun to be built in between, from rows that lacked them.
func (b *Book) know(names []bookName) {
	building := b.building.Load() // first: what is no longer being built is the filter by now
	f := b.filter.Load()
	for _, n := range names {
		if building != nil {
			building.add(n.account, n.name)
		}
		if f != nil && f != building {
			f.add(n.account, n.name)
		}
	}
	if f != nil && f.full() {
		select {
		case b.grow <- struct{}{}:
		default:
		}
	}
}

// bookName names an entry.
type bookName struct{ account, name string }

// buildFilters makes the filter of what the rows hold, and a larger one when it is full.
func (b *Book) buildFilters(ctx context.Context) error {
	for {
		names := 0
		entries := bookTable(bookTableEntry)
		count := func(_, _ []byte) (bool, error) { names++; return ctx.Err() == nil, nil }
		if err := b.each(entries, kv.PrefixEnd(entries), count); err != nil {
			return err
		}
		f := newFilter(2 * names)
		if err := b.build(ctx, f); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		b.filter.Store(f)
		b.building.Store(nil)
		select {
		case <-b.grow:
		case <-ctx.Done():
			return nil
		}
	}
}

func (b *Book) build(ctx context.Context, f *filter) error {
	b.building.Store(f)
	entries := bookTable(bookTableEntry)
	return b.each(entries, kv.PrefixEnd(entries), func(key, _ []byte) (bool, error) {
		account, name, err := cutBookEntry(key)
		f.add(account, name)
		return ctx.Err() == nil, err
	})
}
