package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	kafkago "github.com/segmentio/kafka-go"
	"go.uber.org/zap"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

// errReaderClosed is what a use of a closed reader fails with.
var errReaderClosed = errors.New("kafka: reader closed")

// Reader is a log.Reader of one partition of a topic. It reads ahead while it is read, and goes on through outages of
// any length.
//
// It sticks to the topic that it found first: if that is deleted and made anew, Read fails with a SettingError.
type Reader struct {
	client    *Client
	kind      string
	topic     string
	partition int32
	log       *zap.Logger
	metrics   *readMetrics

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	runs sync.WaitGroup // of the streams

	mu     sync.Mutex // guards what follows
	closed bool
	idle   *stream // left by the last Read, for the next
	known  bool    // id is known
	id     TopicID
	leader int32 // of the partition, when the brokers were asked last; -1: none
	oldest int64
	next   int64
}

var _ log.Reader = (*Reader)(nil)

// NewReader returns a reader of a partition of the topic kind. It connects to nothing yet. reg may be nil.
func (c *Client) NewReader(kind string, partition int32, reg prometheus.Registerer) *Reader {
	topic := c.options.TopicName(kind)
	r := &Reader{
		client: c, kind: kind, topic: topic, partition: partition,
		log:     c.log.Named("reader").With(zap.String("topic", topic), zap.Int32("partition", partition)),
		metrics: newReadMetrics(reg, kind, partition),
	}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

// filler returns what a feeder does with each record of a topic: what the headers and the value tell.
func filler(kind string) func(*log.Record, []header) {
	switch kind {
	case Raw:
		return fillRaw()
	case Events:
		return fillEvent
	}
	return func(*log.Record, []header) {}
}

// fillRaw opens envelopes. What can't be opened stays as it is, for refine to reject. A batch is of one node, so its
// records share the name.
func fillRaw() func(*log.Record, []header) {
	last := ""
	return func(rec *log.Record, _ []header) {
		src, node, ev, err := cutRaw(rec.Value)
		if err != nil {
			return
		}
		if string(node) != last {
			last = string(node)
		}
		src.Node = last
		rec.Source, rec.Value = src, ev
	}
}

// fillEvent reads the headers. A record whose value is no event, or another than they say, is none of ours: it gets no
// head, because one that nobody can read would end the answer of everybody who comes to it.
func fillEvent(rec *log.Record, headers []header) {
	h := parseHead(headers)
	if h == (event.Head{}) {
		return
	}
	var e event.Refined
	if e.DecodeJSON(rec.Value) != nil {
		return
	}
	if e.Origin.Node = ""; e.Head() == h { // which the headers tell in another form
		rec.Head = h
	}
}

// Partition returns the number of the partition.
func (r *Reader) Partition() int32 { return r.partition }

// Bounds returns the oldest offset and the next one, as the last answer of the brokers told them.
func (r *Reader) Bounds() (oldest, next int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.oldest, r.next
}

// Refresh asks the brokers for the bounds, and waits for them until ctx is done. Its error then tells what it waited
// for, too.
func (r *Reader) Refresh(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.ctx, cancel)()
	t := r.tries("ask for the bounds")
	defer t.leave()
	for {
		err := r.refresh(ctx)
		if err == nil {
			t.done()
			return nil
		}
		if end := (*endError)(nil); errors.As(err, &end) {
			return end.err
		}
		if !t.again(ctx, err) {
			return fmt.Errorf("bounds of %s: %w", r.name(), errors.Join(r.ended(ctx), err))
		}
	}
}

func (r *Reader) tries(doing string) tries {
	return tries{log: r.log, outages: r.client.outages, errors: r.metrics.errors, doing: doing, place: r.name()}
}

func (r *Reader) refresh(ctx context.Context) error {
	oldest, next, err := r.client.bounds(ctx, r.topic, r.partition)
	if err != nil {
		return r.look(ctx, fmt.Errorf("ask for the bounds of %s: %w", r.name(), err))
	}
	r.mu.Lock()
	r.oldest, r.next = oldest, next
	r.mu.Unlock()
	return nil
}

// noteBounds takes what came with records. Of two answers that overtake each other the later is right.
func (r *Reader) noteBounds(oldest, next int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.oldest, r.next = max(r.oldest, oldest), max(r.next, next)
}

func (r *Reader) name() string { return fmt.Sprintf("topic %s, partition %d", r.topic, r.partition) }

// ended says why waiting has ended.
func (r *Reader) ended(ctx context.Context) error {
	if r.ctx.Err() != nil {
		return errReaderClosed
	}
	return ctx.Err()
}

// Read is log.Reader's. Besides log.ErrTrimmed, which leaves Bounds up to date, it fails for good only if the log is
// not the one that was read before: it ends before from, or its topic was made anew.
func (r *Reader) Read(ctx context.Context, from int64, max int, dst []log.Record) ([]log.Record, error) {
	if max <= 0 {
		return dst, nil
	}
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	if from < 0 {
		return dst, fmt.Errorf("read %s from %d: %w", r.name(), from, log.ErrTrimmed)
	}
	s, err := r.take(from)
	if err != nil {
		return dst, err
	}
	had := len(dst)
	dst, err = s.read(ctx, from, max, dst)
	at := s.at
	r.give(s) // from here on another Read's
	if n := len(dst) - had; n > 0 {
		r.metrics.records.Add(float64(n))
		_, next := r.Bounds()
		r.metrics.lag.Set(float64(next - at))
	}
	return dst, err
}

// take returns the stream that the last Read left, if it goes on at from, and else a new one.
func (r *Reader) take(from int64) (*stream, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errReaderClosed
	}
	s := r.idle
	r.idle = nil
	if s != nil && s.holds(from) {
		return s, nil
	}
	if s != nil {
		s.stop()
	}
	ctx, stop := context.WithCancel(r.ctx)
	s = &stream{reader: r, chunks: make(chan chunk, 1), spare: make(chan []log.Record, 2), stop: stop, at: from}
	r.runs.Go(func() {
		defer stop()
		f := &feeder{reader: r, stream: s, next: from, fill: filler(r.kind), inflate: newInflater(maxBatch), tries: r.tries("read")}
		defer f.inflate.close()
		defer f.tries.leave()
		f.run(ctx)
	})
	return s, nil
}

// give keeps s for the next Read. Of concurrent ones, the last to end leaves its stream.
func (r *Reader) give(s *stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.ended || r.closed {
		s.stop()
		return
	}
	if r.idle != nil {
		r.idle.stop()
	}
	r.idle = s
}

// Close ends all reading. It can be called twice.
func (r *Reader) Close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.stop()
	r.runs.Wait()
	return nil
}

// stream is a part of the log that is read in one go: a goroutine that fetches, and what it has ready. One Read at a
// time has it.
type stream struct {
	reader *Reader
	chunks chan chunk
	spare  chan []log.Record // to be filled again
	stop   context.CancelFunc

	at      int64 // the offset after the last record that was given out
	current chunk
	given   int // of current's records
	ended   bool
}

// chunk is some records in a row.
type chunk struct {
	records []log.Record
	end     int64 // the offset to go on at
	err     error // why it does not go on; then there is nothing else
}

// holds reports whether s can go on at from without fetching anew. What was given out can't be given again: its memory
// is its new owner's.
func (s *stream) holds(from int64) bool { return from == s.at || s.at < from && from <= s.current.end }

func (s *stream) read(ctx context.Context, from int64, max int, dst []log.Record) ([]log.Record, error) {
	for {
		for s.given < len(s.current.records) && s.current.records[s.given].Offset < from {
			s.given++
		}
		if ready := s.current.records[s.given:]; len(ready) > 0 {
			ready = ready[:min(max, len(ready))]
			s.given += len(ready)
			s.at = ready[len(ready)-1].Offset + 1
			return append(dst, ready...), nil
		}
		s.at = from
		s.recycle()
		select {
		case s.current = <-s.chunks:
			if err := s.current.err; err != nil {
				s.ended = true
				return dst, err
			}
		case <-ctx.Done():
			return dst, ctx.Err()
		case <-s.reader.ctx.Done():
			return dst, errReaderClosed
		}
	}
}

// recycle gives the list of records back, without what it points to.
func (s *stream) recycle() {
	if cap(s.current.records) == 0 {
		return
	}
	clear(s.current.records)
	select {
	case s.spare <- s.current.records[:0]:
	default:
	}
	s.current.records, s.given = nil, 0
}

// look explains what a request failed with, and asks anew for the topic and its leader, for those may have changed. It
// may be an endError.
func (r *Reader) look(ctx context.Context, err error) error {
	err = r.client.explain(ctx, err)
	if setting := (*SettingError)(nil); errors.As(err, &setting) && !setting.away {
		return err
	}
	if found := r.describe(ctx); found != nil {
		return found
	}
	return err
}

// describe asks for the topic itself: kafka-go knows it from a cache only. It learns the id at the first time. It is nil
// if all is well.
func (r *Reader) describe(ctx context.Context) error {
	info, err := r.client.describe(ctx, []string{r.topic})
	if err != nil {
		return err
	}
	topic, ok := topicsByName(info.Topics)[r.topic]
	switch {
	case !ok || errors.Is(topic.Err, kafkago.UnknownTopicOrPartition):
		return wrong("topic_prefix", "%q: there is no topic %s: 'carom topics apply' makes it", r.client.options.TopicPrefix, r.topic)
	case topic.Err != nil:
		return r.client.topicError(ctx, topic)
	case int(r.partition) >= len(topic.Partitions):
		return wrong("partitions", "topic %s has %d partitions: there is no partition %d", r.topic, len(topic.Partitions), r.partition)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.known {
		r.known, r.id = true, topic.ID
	}
	if err := SameTopic(topic, r.id, len(topic.Partitions)); err != nil {
		return &endError{err}
	}
	if r.leader = topic.Partitions[r.partition].Leader; r.leader < 0 {
		return away("brokers", "%s has no leader just now", r.name())
	}
	return nil
}

// where returns the id of the topic that is read, and the partition's leader.
func (r *Reader) where(ctx context.Context) (id TopicID, leader int32, err error) {
	for {
		r.mu.Lock()
		id, leader, known := r.id, r.leader, r.known && r.leader >= 0
		r.mu.Unlock()
		if known {
			return id, leader, nil
		}
		if err := r.describe(ctx); err != nil {
			return TopicID{}, 0, err
		}
	}
}

// endError ends a stream: to try again is of no use.
type endError struct{ err error }

func (e *endError) Error() string { return e.err.Error() }
func (e *endError) Unwrap() error { return e.err }

// outOfRange explains why there is no record at an offset.
func (r *Reader) outOfRange(ctx context.Context, at int64) error {
	if err := r.refresh(ctx); err != nil {
		return err
	}
	oldest, next := r.Bounds()
	switch {
	case at < oldest:
		return &endError{fmt.Errorf("read %s from %d: %w; the oldest is %d", r.name(), at, log.ErrTrimmed, oldest)}
	case at > next:
		return &endError{wrong("topic_prefix", "%s ends at offset %d, and was read up to %d before: it lost records, or is another cluster's; restore it, or choose another prefix, make its topics, and remove the node's state to begin anew", r.name(), next, at)}
	}
	return away("brokers", "%s: no broker has offset %d just now, of %d to %d", r.name(), at, oldest, next)
}

// keepClock keeps log time from running back.
func keepClock(clock *event.Millis, recs []log.Record) {
	for i := range recs {
		*clock = max(*clock, recs[i].Time)
		recs[i].Time = *clock
	}
}
