package log

import (
	"errors"
	"fmt"
	"sync"
)

// Rewrite hands the records from offset from on that lie before end, at most most of them, to fn, and puts what it returns
// in the place of those of which it returns true; offsets and log times stay. It returns the offset to go on at, which is
// from if there are none. What fn gets is its own during the call only. It is safe while the log is read and written: who
// reads meanwhile gets the one or the other.
func (l *Local) Rewrite(from, end int64, most int, fn Rewriting) (next int64, changed int, err error) {
	return l.rewrite(&l.trimming, l.Bounds, from, end, most, fn)
}

// Rewrite is Local's.
func (m *Mirror) Rewrite(from, end int64, most int, fn Rewriting) (next int64, changed int, err error) {
	return m.rewrite(&m.trimming, m.Bounds, from, end, most, fn)
}

// Rewriting returns what a record's key and value are to be, and whether they are others.
type Rewriting func(key, value []byte) (newKey, newValue []byte, changed bool, err error)

// rewriteBytes bounds what one call reads.
const rewriteBytes = 8 << 20

// rewrite holds trimming, so that nothing that was trimmed comes back.
func (t table) rewrite(trimming *sync.Mutex, bounds func() (int64, int64), from, end int64, most int, fn Rewriting) (next int64, changed int, err error) {
	trimming.Lock()
	defer trimming.Unlock()
	oldest, next := bounds()
	if end = min(end, next); from >= end {
		return from, 0, nil
	}
	recs, next, err := t.take(min(max(from, oldest), end), end, most)
	b := t.store.NewBatch()
	defer func() { _ = b.Close() }()
	for i := 0; i < len(recs) && err == nil; i++ {
		r := &recs[i]
		key, value, other, fnErr := fn(r.Key, r.Value)
		if err = fnErr; other && err == nil {
			changed++
			err = b.Set(t.key(r.Offset), appendRecord(nil, r.Time, key, value), nil)
		}
	}
	if err == nil && changed > 0 {
		err = t.store.Commit(b)
	}
	if err != nil {
		return from, 0, fmt.Errorf("rewrite log %d/%d: %w", t.log, t.partition, err)
	}
	return next, changed, nil
}

// take reads records from offset from on, before end, and returns where to go on.
func (t table) take(from, end int64, most int) (recs []Record, next int64, err error) {
	if err := t.store.Enter(); err != nil {
		return nil, from, err
	}
	defer t.store.Leave()
	it, err := t.iter(from, end)
	if err != nil {
		return nil, from, err
	}
	next = max(from, end)
	size := 0
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		if len(recs) == most || size > rewriteBytes {
			next = offsetOf(it.Key())
			break
		}
		var rec Record
		if rec, err = decodeRecord(it.Value()); err != nil {
			err = fmt.Errorf("record %d: %w", offsetOf(it.Key()), err)
			break
		}
		rec.Offset = offsetOf(it.Key())
		rec.detach()
		size += len(rec.Key) + len(rec.Value)
		recs = append(recs, rec)
	}
	return recs, next, errors.Join(err, it.Error(), it.Close())
}
