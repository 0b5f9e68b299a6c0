package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

// Read appends records from sequence from on to dst, at most max, and waits until there is one on disk.
func (j *Journal) Read(ctx context.Context, from int64, max int, dst []log.Record) ([]log.Record, error) {
	if max <= 0 {
		return dst, nil
	}
	if err := j.await(ctx, from); err != nil {
		return dst, err
	}
	j.life.RLock()
	defer j.life.RUnlock()
	if j.closed.Load() {
		return dst, ErrClosed
	}
	it, err := j.iter(j.synced.Load())
	if err != nil {
		return dst, err
	}
	dst, err = j.readBatches(it, from, max, dst)
	if err := errors.Join(err, it.Close()); err != nil {
		return dst, fmt.Errorf("read journal: %w", err)
	}
	return dst, nil
}

// await blocks until the record from is on disk.
func (j *Journal) await(ctx context.Context, from int64) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if j.closed.Load() {
			return ErrClosed
		}
		oldest, next := j.Bounds()
		if from < oldest {
			return fmt.Errorf("read journal from %d: %w; oldest is %d", from, log.ErrTrimmed, oldest)
		}
		if from < next {
			return nil
		}
		rung := j.bell.Rung()
		if from < j.synced.Load() || j.closed.Load() {
			continue
		}
		select {
		case <-rung:
		case <-ctx.Done():
		}
	}
}

// iter returns an iterator over the batches that start before sequence end.
func (j *Journal) iter(end int64) (*pebble.Iterator, error) {
	it, err := j.store.DB().NewIter(&pebble.IterOptions{LowerBound: batchKey(0), UpperBound: batchKey(end)})
	if err != nil {
		return nil, fmt.Errorf("read journal: %w", err)
	}
	return it, nil
}

// readBatches reads on from the batch that holds sequence from, which may be in its middle. Where the journal has jumped
// (see Jump), it goes on behind the gap.
func (j *Journal) readBatches(it *pebble.Iterator, from int64, max int, dst []log.Record) ([]log.Record, error) {
	had := len(dst)
	ok := it.SeekLT(batchKey(from + 1))
	if !ok && it.Error() == nil {
		return dst, log.ErrTrimmed // after the look at the bounds
	}
	for bytes := int64(-1); ok && max > 0; ok = it.Next() {
		b, err := located(it)
		if err != nil {
			return dst, err
		}
		// Bytes go on where sequences jump; where records are lost they don't.
		if from < b.first && bytes != b.before {
			break
		}
		bytes = b.before + int64(b.size)
		if b.end() <= from {
			continue // from is in a gap, and the next batch behind it
		}
		from += gap(from, b.first)
		n := min(max, int(b.end()-from))
		if dst, err = j.appendRecords(dst, b, from, n); err != nil {
			return dst, fmt.Errorf("batch %d: %w", b.first, err)
		}
		from += int64(n)
		max -= n
	}
	if err := it.Error(); err != nil {
		return dst, err
	}
	if len(dst) > had {
		return dst, nil
	}
	oldest, next := j.Bounds()
	return dst, fmt.Errorf("record %d is missing between %d and %d", from, oldest, next)
}

// gap is how far it is from a sequence to the batch that starts at first; 0 within the batch.
func gap(from, first int64) int64 { return max(0, first-from) }

// appendRecords appends the n records of b from sequence from on, in memory of their own.
func (j *Journal) appendRecords(dst []log.Record, b stored, from int64, n int) ([]log.Record, error) {
	skip := int(from - b.first)
	own, err := sliceRecords(b.records, skip, skip+n)
	if err != nil {
		return dst, err
	}
	own = bytes.Clone(own)
	for range n {
		var value []byte
		if value, own, err = nextRecord(own); err != nil {
			return dst, err
		}
		dst = append(dst, log.Record{
			Offset: from, Time: b.time, Value: value,
			Source: event.Source{Node: j.node, Incarnation: j.incarnation, Sequence: uint64(from)},
		})
		from++
	}
	return dst, nil
}

// stored is a batch as an iterator shows it, until it moves.
type stored struct {
	header
	first   int64
	size    int // of the value
	records []byte
}

func (b stored) end() int64 { return b.first + int64(b.count) }

// located decodes the batch that it stands at.
func located(it *pebble.Iterator) (stored, error) {
	if !it.Valid() {
		return stored{}, errors.Join(errors.New("no batch"), it.Error())
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return stored{}, err
	}
	b := stored{first: sequenceOf(it.Key()), size: len(value)}
	if b.header, b.records, err = decodeHeader(value); err != nil {
		return stored{}, fmt.Errorf("batch %d: %w", b.first, err)
	}
	return b, nil
}
