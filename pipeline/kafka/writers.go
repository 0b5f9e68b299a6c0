package kafka

import (
	"context"
	"sync/atomic"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// Events returns a writer of the events topic, for one stage: partition by key, see KeyPartition.
func (p *Producer) Events() log.Writer { return p.byKey(Events) }

// Addresses returns a writer of the addresses topic, which has one partition.
func (p *Producer) Addresses() log.Writer { return p.toPartition(Addresses, 0) }

// Scores returns a writer of the scores topic: partition by key.
func (p *Producer) Scores() log.Writer { return p.byKey(Scores) }

// Controls returns a writer of the controls topic, which has one partition.
func (p *Producer) Controls() log.Writer { return p.toPartition(Controls, 0) }

// Suppressions returns a writer of the suppressions topic, which has one partition.
func (p *Producer) Suppressions() log.Writer { return p.toPartition(Suppressions, 0) }

// Rejects returns a writer of one partition of the rejects topic.
func (p *Producer) Rejects(partition int32) log.Writer { return p.toPartition(Rejects, partition) }

func (p *Producer) byKey(kind string) *writer {
	return &writer{p: p, kind: kind, partitions: int32(p.client.options.Partitions), lanes: make(map[int32]*lane)}
}

func (p *Producer) toPartition(kind string, partition int32) *writer {
	w := &writer{p: p, kind: kind, lanes: make(map[int32]*lane)}
	w.fixed = w.lane(partition)
	return w
}

// writer is the log.Writer of one stage. Its calls do not overlap.
type writer struct {
	p          *Producer
	kind       string
	partitions int32
	fixed      *lane // all records go there; nil: by their key
	lanes      map[int32]*lane

	touched          map[*lane]struct{} // scratch
	headers, scratch []byte
}

func (w *writer) lane(partition int32) *lane {
	l := w.lanes[partition]
	if l == nil {
		l = w.p.lane(w.kind, partition)
		w.lanes[partition] = l
	}
	return l
}

// Write returns when all recs are acknowledged. After an error, which is that of ctx or of a closed producer, some may
// be written, and others may follow.
func (w *writer) Write(ctx context.Context, _ *kv.Batch, recs []log.Record) error {
	if len(recs) == 0 {
		return nil
	}
	weight := 0
	for i := range recs {
		weight += maxRecordHead + len(recs[i].Key) + len(recs[i].Value) + maxHeadBytes
	}
	t, err := w.p.newTicket(ctx, len(recs), weight)
	if err != nil {
		return err
	}
	if w.touched == nil {
		w.touched = make(map[*lane]struct{})
	}
	for i := range recs {
		l := w.fixed
		if l == nil {
			l = w.lane(KeyPartition(recs[i].Key, w.partitions))
		}
		l.append(w.record(&recs[i]), t, noMark)
		w.touched[l] = struct{}{}
	}
	for l := range w.touched {
		l.flush()
	}
	clear(w.touched)
	return t.wait(ctx)
}

// maxHeadBytes is what the headers of a refined event take, more or less.
const maxHeadBytes = 256

func (w *writer) record(r *log.Record) *record {
	out := &record{at: r.Time, key: r.Key, value: r.Value}
	if r.Head != (event.Head{}) {
		w.headers, w.scratch = appendHead(w.headers[:0], w.scratch, &r.Head)
		out.headers = w.headers
	}
	return out
}

// Committed does nothing: readers see what is acknowledged.
func (w *writer) Committed() {}

// Ticker returns what appends ticks to one partition of the raw topic.
func (p *Producer) Ticker(partition int32) log.Ticker { return &ticker{p, p.lane(Raw, partition)} }

type ticker struct {
	p    *Producer
	lane *lane
}

// Tick returns when the tick is acknowledged. It has no source, so refine does not take it for a repeat.
func (t *ticker) Tick(ctx context.Context) error {
	now := event.Now()
	tick := event.Event{Kind: event.Tick, Time: now}
	r := record{at: now, value: tick.AppendBinary(nil), raw: true}
	ticket, err := t.p.newTicket(ctx, 1, r.weight())
	if err != nil {
		return err
	}
	t.lane.append(&r, ticket, noMark)
	t.lane.flush()
	return ticket.wait(ctx)
}

// ticket is what one call waits for.
type ticket struct {
	p      *Producer
	left   atomic.Int64
	weight int64
	done   chan struct{}
}

// newTicket waits for room for records of that weight, which are then appended.
func (p *Producer) newTicket(ctx context.Context, records, weight int) (*ticket, error) {
	t := &ticket{p: p, weight: int64(min(weight, maxWaiting)), done: make(chan struct{})}
	t.left.Store(int64(records))
	if err := p.acquireRoom(ctx, t.weight); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *ticket) acked(records, _ int) {
	if t.left.Add(-int64(records)) == 0 {
		t.p.room.Release(t.weight)
		close(t.done)
	}
}

func (t *ticket) wait(ctx context.Context) error {
	select {
	case <-t.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-t.p.ctx.Done():
		return errProducerClosed
	}
}
