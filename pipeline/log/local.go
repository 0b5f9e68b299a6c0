package log

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
	"carom/pipeline/event"
)

// Local is one partition of a log that is kept in the store of the stages. It starts at offset 0. Its offsets have gaps where
// it has jumped, which Read passes over.
//
// One stage writes it; anyone reads it.
type Local struct {
	table

	// The writer's own, used by its goroutine only.
	pendingNext int64 // the next record's
	pendingEnd  int64 // after the last one that was written
	pendingTime event.Millis
	scratch     []byte

	// trimming serialises Trim.
	trimming sync.Mutex

	mu     sync.Mutex // guards what follows
	oldest int64
	next   int64 // the offset after the last committed record

	bell Bell
}

var (
	_ Reader = (*Local)(nil)
	_ Writer = (*Local)(nil)
)

// NewLocal opens the log logID (kv.LogEvents, …) at its end. After a batch with its records was given up or failed,
// the log must be opened anew: the old Local has counted them.
func NewLocal(s *kv.Store, logID byte, partition int32) (*Local, error) {
	l := &Local{table: table{s, logID, partition}}
	it, err := l.iter(0, maxOffset)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(l.scan(it), it.Close()); err != nil {
		return nil, fmt.Errorf("open log %d/%d: %w", logID, partition, err)
	}
	l.next = l.pendingEnd
	jumped, err := l.jumped()
	if err != nil {
		return nil, fmt.Errorf("open log %d/%d: %w", logID, partition, err)
	}
	l.pendingNext = max(l.pendingEnd, jumped.to)
	if l.oldest == jumped.to {
		l.oldest = jumped.from // nothing was ever in between
	}
	return l, nil
}

// scan finds the first and the last record.
func (l *Local) scan(it *pebble.Iterator) error {
	if !it.First() {
		return it.Error()
	}
	l.oldest = offsetOf(it.Key())
	if !it.Last() {
		return it.Error()
	}
	last := offsetOf(it.Key())
	rec, err := decodeRecord(it.Value())
	if err != nil {
		return fmt.Errorf("record %d: %w", last, err)
	}
	l.pendingEnd, l.pendingTime = last+1, rec.Time
	return nil
}

// Partition returns the number of the partition.
func (l *Local) Partition() int32 { return l.partition }

// Bounds returns the oldest offset that can be read, and the one that the next record will get.
func (l *Local) Bounds() (oldest, next int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.oldest, l.next
}

// Refresh does nothing: the log is at hand.
func (l *Local) Refresh(context.Context) error { return nil }

// Write puts recs into b at the next offsets. A log time that would run back is that of the record before.
func (l *Local) Write(_ context.Context, b *kv.Batch, recs []Record) error {
	for i := range recs {
		l.pendingTime = max(l.pendingTime, recs[i].Time)
		l.scratch = appendRecord(l.scratch[:0], l.pendingTime, recs[i].Key, recs[i].Value)
		if err := b.Set(l.key(l.pendingNext), l.scratch, nil); err != nil {
			return fmt.Errorf("write to log %d/%d: %w", l.log, l.partition, err)
		}
		l.pendingNext++
		l.pendingEnd = l.pendingNext
	}
	return nil
}

// Committed shows readers what was written since the last call.
func (l *Local) Committed() {
	l.mu.Lock()
	grown := l.pendingEnd > l.next
	l.next = l.pendingEnd
	l.mu.Unlock()
	if grown {
		l.bell.Ring()
	}
}

// Read appends committed records from offset from on to dst, at most max, and waits until there is one.
func (l *Local) Read(ctx context.Context, from int64, max int, dst []Record) ([]Record, error) {
	if max <= 0 {
		return dst, nil
	}
	next, err := await(ctx, l, &l.bell, from)
	if err != nil {
		return dst, fmt.Errorf("read log %d/%d from %d: %w", l.log, l.partition, from, err)
	}
	if err := l.store.Enter(); err != nil {
		return dst, fmt.Errorf("read log %d/%d: %w", l.log, l.partition, err)
	}
	defer l.store.Leave()
	it, err := l.iter(from, next)
	if err != nil {
		return dst, err
	}
	dst, err = l.readRecords(it, from, max, dst)
	if err := errors.Join(err, it.Close()); err != nil {
		return dst, fmt.Errorf("read log %d/%d: %w", l.log, l.partition, err)
	}
	return dst, nil
}

// readRecords reads max records of what it holds.
func (l *Local) readRecords(it *pebble.Iterator, from int64, max int, dst []Record) ([]Record, error) {
	had := len(dst)
	for ok := it.First(); ok && len(dst) < had+max; ok = it.Next() {
		rec, err := decodeRecord(it.Value())
		if err != nil {
			return dst, fmt.Errorf("record %d: %w", offsetOf(it.Key()), err)
		}
		rec.Offset = offsetOf(it.Key())
		rec.detach()
		dst = append(dst, rec)
	}
	if err := it.Error(); err != nil {
		return dst, err
	}
	// The log may have been trimmed between the look at the bounds and the iterator. Trim moves the oldest offset first, so
	// that what it took is told from a gap.
	if len(dst) == had || dst[had].Offset != from {
		if oldest, _ := l.Bounds(); from < oldest {
			return dst[:had], ErrTrimmed
		}
	}
	return dst, nil
}

// Trim removes the records before offset before. The newest record stays, because it holds the log's place and clock.
func (l *Local) Trim(before int64) error {
	l.trimming.Lock()
	defer l.trimming.Unlock()

	// Readers are turned away first, so that none meets a hole.
	l.mu.Lock()
	before = min(before, l.next-1)
	if before <= l.oldest {
		l.mu.Unlock()
		return nil
	}
	l.oldest = before
	l.mu.Unlock()

	// From the log's start, not from the oldest record: tombstones that all start alike merge into one.
	if err := l.store.DeleteRange(l.key(0), l.key(before)); err != nil {
		return fmt.Errorf("trim log %d/%d: %w", l.log, l.partition, err)
	}
	return nil
}
