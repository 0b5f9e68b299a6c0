package api

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

// bounds are those of a log.Reader.
type bounds struct{ oldest, next int64 }

// remoteReader reads a partition of events that a worker has.
type remoteReader struct {
	peer      *peer // nil: nobody has it, and err says why
	err       error
	partition int32
	watch     *watch
}

var _ log.Reader = (*remoteReader)(nil)

// Partition returns the number of the partition.
func (r *remoteReader) Partition() int32 { return r.partition }

// Bounds returns what the worker told last, zeros if nothing.
func (r *remoteReader) Bounds() (oldest, next int64) {
	oldest, next, _ = r.told()
	return oldest, next
}

// told is Bounds, and fails if the worker has not told.
func (r *remoteReader) told() (oldest, next int64, err error) {
	if r.peer == nil {
		return 0, 0, r.err
	}
	r.peer.mu.Lock()
	defer r.peer.mu.Unlock()
	b, ok := r.peer.bounds[r.partition]
	if !ok {
		return 0, 0, r.peer.lacks(r.partition)
	}
	return b.oldest, b.next, nil
}

func (p *peer) lacks(partition int32) error {
	return &problemError{notReadyHere(fmt.Sprintf("%s has not the partition %d of events yet", p.name(), partition))}
}

// Refresh asks the worker for the bounds of all its partitions.
func (r *remoteReader) Refresh(ctx context.Context) error {
	if r.peer == nil {
		return r.err
	}
	return r.peer.refresh(ctx)
}

// Read waits for the worker to have a record at from or after it.
func (r *remoteReader) Read(ctx context.Context, from int64, most int, dst []log.Record) ([]log.Record, error) {
	if r.peer == nil {
		return dst, r.err
	}
	leave := r.watch.join()
	defer leave()
	for {
		rung := r.watch.bell.Rung()
		if err := r.watch.failed(); err != nil {
			return dst, err
		}
		if _, next, err := r.told(); err == nil && from < next {
			return r.fetch(ctx, from, most, dst)
		}
		select {
		case <-rung:
		case <-ctx.Done():
			return dst, ctx.Err()
		}
	}
}

// peerEvents is the path of what nodes ask each other about events.
const peerEvents = "/v1/peer/events"

// maxBoundsAnswer bounds the list of the bounds of 4096 partitions.
const maxBoundsAnswer = 256 << 10

// boundsAnswer is the answer of GET /v1/peer/events: partition, oldest and next of each.
type boundsAnswer struct {
	Bounds [][3]int64 `json:"bounds"`
	Known  string     `json:"known"`
}

// refresh asks for the bounds.
func (p *peer) refresh(ctx context.Context) error {
	answer, err := p.get(ctx, peerEvents, maxBoundsAnswer)
	if err != nil {
		return err
	}
	return p.learn(answer)
}

// await asks for the bounds as soon as they differ from those that are known.
func (p *peer) await(ctx context.Context) error {
	p.mu.Lock()
	known := p.known
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, peerWait+p.timeout)
	defer cancel()
	answer, err := p.ask(ctx, peerEvents+"?wait="+peerWait.String()+"&known="+known, maxBoundsAnswer)
	if err != nil {
		return err
	}
	return p.learn(answer)
}

// peerWait is how long a worker is asked to wait for news.
const peerWait = 10 * time.Second

func (p *peer) learn(answer *peerAnswer) error {
	var told boundsAnswer
	if answer.status != http.StatusOK || !answer.isJSON() || json.Unmarshal(answer.body, &told) != nil || !isTag(told.Known) {
		return p.away("bad", "answered something else than the bounds of its partitions")
	}
	got := make(map[int32]bounds, len(told.Bounds))
	for _, b := range told.Bounds {
		if b[0] < 0 || b[0] > 1<<16 || b[1] < 0 || b[2] < b[1] {
			return p.away("bad", "answered bounds that can't be")
		}
		got[int32(b[0])] = bounds{b[1], b[2]}
	}
	p.mu.Lock()
	p.bounds, p.known = got, told.Known
	p.mu.Unlock()
	p.news.Ring() // whoever has asked: who looked before rests on it
	return nil
}

// tagBytes is the length of the text that stands for bounds that are known.
const tagBytes = 16

func isTag(text string) bool {
	_, err := strconv.ParseUint(text, 16, 64)
	return err == nil && len(text) == tagBytes
}

// recordsType is the media type of records:
//
//	┌──────────────┬──────────────┬───────────────┬─────┬─────────────────┬───────┐
//	│ offset       │ log time     │ length of key │ key │ length of value │ value │   one after the other
//	│ varint       │ varint (ms)  │ varint        │     │ varint          │       │
//	└──────────────┴──────────────┴───────────────┴─────┴─────────────────┴───────┘
const recordsType = "application/vnd.carom.records"

const (
	// maxRecordsBytes is how many bytes of records a worker answers at once, passed by one record at most.
	maxRecordsBytes = 1 << 20
	// maxRecordsAnswer leaves room for that one: no topic takes larger records than 16 MiB.
	maxRecordsAnswer = maxRecordsBytes + 17<<20
)

func appendPeerRecord(dst []byte, r *log.Record) []byte {
	dst = binary.AppendUvarint(dst, uint64(r.Offset))
	dst = binary.AppendUvarint(dst, uint64(r.Time))
	dst = binary.AppendUvarint(dst, uint64(len(r.Key)))
	dst = append(dst, r.Key...)
	dst = binary.AppendUvarint(dst, uint64(len(r.Value)))
	return append(dst, r.Value...)
}

var errRecords = errors.New("records that can't be")

// readPeerRecords reads what appendPeerRecord wrote, and believes nothing of it.
func readPeerRecords(b []byte, from int64, most int, dst []log.Record) ([]log.Record, error) {
	number := func() (n uint64) {
		n, width := binary.Uvarint(b)
		if width <= 0 || n > 1<<63-1 {
			b = nil
			return 1<<64 - 1
		}
		b = b[width:]
		return n
	}
	text := func() ([]byte, bool) {
		n := number()
		if n > uint64(len(b)) {
			return nil, false
		}
		t := b[:n:n]
		b = b[n:]
		return t, true
	}
	for had := len(dst); len(b) > 0; {
		offset, at := number(), number()
		key, ok := text()
		if !ok {
			return dst[:had], errRecords
		}
		value, ok := text()
		if !ok || offset > 1<<63-2 || int64(offset) < from || at > 1<<63-1 || len(dst)-had == most {
			return dst[:had], errRecords
		}
		if !json.Valid(value) { // a line end in it would forge a line
			return dst[:had], errRecords
		}
		dst = append(dst, log.Record{Offset: int64(offset), Time: event.Millis(at), Key: key, Value: value})
		from = int64(offset) + 1
	}
	return dst, nil
}

// fetch reads what the worker has from an offset on that lies before the end it told, without waiting.
func (r *remoteReader) fetch(ctx context.Context, from int64, most int, dst []log.Record) ([]log.Record, error) {
	if r.peer == nil {
		return dst, r.err
	}
	answer, err := r.peer.get(ctx, fmt.Sprintf("%s/%d?from=%d&limit=%d", peerEvents, r.partition, from, most), maxRecordsAnswer)
	switch {
	case err != nil:
		return dst, err
	case answer.status == http.StatusGone:
		if err := r.peer.refresh(ctx); err != nil { // so that the bounds tell what was trimmed
			return dst, err
		}
		return dst, fmt.Errorf("read partition %d of events from %d: %w", r.partition, from, log.ErrTrimmed)
	case answer.status != http.StatusOK || answer.header.Get("Content-Type") != recordsType:
		return dst, r.peer.away("bad", "answered something else than records, with "+strconv.Itoa(answer.status))
	}
	recs, err := readPeerRecords(answer.body, from, most, dst)
	if err != nil {
		return dst, r.peer.away("bad", "answered "+err.Error())
	}
	if len(recs) == len(dst) { // it had told of one
		return dst, r.peer.lacks(r.partition)
	}
	return recs, nil
}
