package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

const (
	// chunkRecords is at how many records a chunk is handed over; a batch is never parted.
	chunkRecords = 2048
	// chunkBytes is at how many bytes of batches, as sent, it is.
	chunkBytes = 256 << 10
	// maxBuffer is the largest buffer that is kept for the next fetch.
	maxBuffer = 4 << 20
)

// feeder fetches what a stream reads. It is one goroutine's.
type feeder struct {
	reader  *Reader
	stream  *stream
	next    int64 // the offset to go on at
	clock   event.Millis
	fill    func(*log.Record, []header)
	inflate *inflater

	rest     []byte // batches that were fetched and not decoded yet, in buffer
	buffer   []byte
	complete bool // of the last fetch there was at least one whole batch
	tries    tries
}

// run hands over chunks until ctx is done or there can be no more. One is ready while another is read.
func (f *feeder) run(ctx context.Context) {
	for {
		c := f.chunk(ctx)
		select {
		case f.stream.chunks <- c:
		case <-ctx.Done():
			return
		}
		if c.err != nil {
			return
		}
	}
}

// chunk returns the next records, and goes on through everything that may pass.
func (f *feeder) chunk(ctx context.Context) chunk {
	var recs []log.Record
	select {
	case recs = <-f.stream.spare:
	default:
	}
	size := 0
	for {
		if len(recs) > 0 && (len(f.rest) == 0 || len(recs) >= chunkRecords || size >= chunkBytes) {
			keepClock(&f.clock, recs)
			return chunk{records: recs, end: f.next}
		}
		var err error
		if before := len(f.rest); before > 0 {
			recs, err = f.decode(recs)
			size += before - len(f.rest)
		} else {
			err = f.fetch(ctx)
		}
		if err == nil {
			continue
		}
		if len(recs) > 0 {
			continue // it is met again, at the head of the next chunk
		}
		if end := (*endError)(nil); errors.As(err, &end) {
			return chunk{err: end.err}
		}
		if !f.tries.again(ctx, err) {
			return chunk{err: ctx.Err()}
		}
	}
}

// decode takes one batch off the rest. After an error, all of the rest must be fetched anew.
func (f *feeder) decode(recs []log.Record) ([]log.Record, error) {
	b, rest, err := cutBatch(f.rest)
	if errors.Is(err, errPartial) && f.complete {
		f.rest = nil
		return recs, nil
	}
	if err == nil {
		recs, err = b.decode(recs, f.next, f.inflate, f.fill)
	}
	if err != nil {
		f.rest = nil
		return recs, fmt.Errorf("%s, %w: from offset %d on: %w; deleting the records before a later offset (kafka-delete-records) goes on without them", f.reader.name(), errUnreadable, f.next, err)
	}
	f.rest = rest
	if b.last >= f.next {
		f.next, f.complete = b.last+1, true
		f.tries.done()
	}
	if len(rest) == 0 && !f.complete {
		return recs, fmt.Errorf("%s: the broker sent nothing from offset %d on", f.reader.name(), f.next)
	}
	return recs, nil
}

// fetch fills the rest, if there is something within fetchWait.
func (f *feeder) fetch(ctx context.Context) error {
	id, leader, err := f.reader.where(ctx)
	if err != nil {
		return err
	}
	c := f.reader.client
	begun := time.Now()
	answer, err := c.fetch(ctx, &fetchRequest{
		client: c.options.ClientID, leader: leader, id: id, partition: f.reader.partition, offset: f.next, buffer: f.buffer,
	})
	f.buffer = nil
	if err != nil {
		return f.reader.look(ctx, fmt.Errorf("fetch from %s: %w", f.reader.name(), err))
	}
	if cap(answer.buffer) <= maxBuffer {
		f.buffer = answer.buffer
	}
	if errors.Is(answer.err, kafkago.OffsetOutOfRange) {
		return f.reader.outOfRange(ctx, f.next)
	}
	if answer.err != nil {
		return f.reader.look(ctx, fmt.Errorf("fetch from %s: %w", f.reader.name(), answer.err))
	}
	f.reader.noteBounds(answer.oldest, answer.next)
	f.reader.metrics.bytes.Add(float64(len(answer.batches)))
	f.rest, f.complete = answer.batches, false
	if len(f.rest) > 0 {
		return nil
	}
	f.tries.done()
	if time.Since(begun) < fetchWait/2 {
		// It should have waited. A broker that does not must not keep us busy.
		return wait(ctx, fetchWait/10)
	}
	return nil
}
