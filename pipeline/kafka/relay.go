package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

const (
	// relayRead is how many records of the journal are read at once.
	relayRead = 512
	// relayRoom bounds the bytes of records that the relay has read and no broker acknowledged; relayCredit is how much
	// of it is taken at once.
	relayRoom   = 32 << 20
	relayCredit = 256 << 10
	// paceSteps is after how many reads it is looked whether new records came in: some 100 ms of full speed.
	paceSteps = 32
	// moveEvery is how often the cursor is computed, keepEvery how often it is stored.
	moveEvery = 100 * time.Millisecond
	keepEvery = time.Second
	// drainFor is how long Run goes on after its end was asked for, while records get through: so a node that is taken
	// away for good leaves nothing behind.
	drainFor = 5 * time.Second
)

// Relay copies the journal to the raw topic. Its cursor is the sequence before which everything is acknowledged; it is
// kept in the state store. It is stored late and not synced: after a crash records go a second time, which refine
// notices.
//
// On a backlog it does not take the edge's place: what it reads ahead is bounded, it compresses on one core, and while
// new records come in it rests after each batch three times as long as it worked, see Producer.pack.
type Relay struct {
	p         *Producer
	journal   log.Reader
	store     *kv.Store
	key       []byte
	log       *zap.Logger
	metrics   *relayMetrics
	room      *semaphore.Weighted // of relayRoom
	credit    int64               // taken of room and not used
	lanes     []*lane
	onPassed  func(int64)
	passed    atomic.Int64
	next      atomic.Int64 // the sequence that is read next; what is before it has been appended
	kept      int64        // as stored
	fullSteps int          // since one was not full
	lastNext  int64        // the journal's next, when pace last looked at it
	recs      []log.Record
	scratch   record
	confirmed chan struct{} // something was acknowledged
}

// NewRelay returns the relay of the journal j with that incarnation. It reads the cursor and starts nothing.
func (p *Producer) NewRelay(j log.Reader, incarnation [16]byte, store *kv.Store, logger *zap.Logger, reg prometheus.Registerer) (*Relay, error) {
	r := &Relay{
		p: p, journal: j, store: store, key: append(appendTable(nil, tableRelay), incarnation[:]...), log: logger.Named("relay"),
		room: semaphore.NewWeighted(relayRoom), onPassed: func(int64) {}, confirmed: make(chan struct{}, 1),
	}
	cursor, err := r.load()
	if err != nil {
		return nil, err
	}
	oldest, end := j.Bounds()
	if cursor > end {
		return nil, fmt.Errorf("relay: the journal ends at %d, but was relayed up to %d: it is an older copy, and what it "+
			"takes now would be dropped as a repeat: put the newer one back, or remove the journal's folder, whose records are all in topic %s",
			end, cursor, p.client.options.TopicName(Raw))
	}
	r.kept = cursor
	r.passed.Store(max(cursor, oldest))
	r.next.Store(max(cursor, oldest))
	for partition := range int32(p.client.options.Partitions) {
		r.lanes = append(r.lanes, p.lane(Raw, partition))
	}
	r.metrics = newRelayMetrics(reg, r)
	return r, nil
}

// What is stored of the cursor: format(1) = 1, the cursor, big-endian(8).
const cursorFormat byte = 1

// load returns the stored cursor, 0 if there is none.
func (r *Relay) load() (int64, error) {
	value, ok, err := r.store.Get(nil, r.key)
	switch {
	case err != nil:
		return 0, fmt.Errorf("read the relay's cursor: %w", err)
	case !ok:
		return 0, nil
	case len(value) == 0 || value[0] != cursorFormat:
		return 0, fmt.Errorf("read the relay's cursor: %x was written by another Carom: use that", value)
	case len(value) != 9 || value[1] >= 0x80:
		return 0, fmt.Errorf("read the relay's cursor: %x is malformed", value)
	}
	return int64(binary.BigEndian.Uint64(value[1:])), nil
}

func (r *Relay) keep() error {
	cursor := r.passed.Load()
	if cursor == r.kept {
		return nil
	}
	b := r.store.NewBatch()
	if err := b.Set(r.key, kv.AppendUint64([]byte{cursorFormat}, uint64(cursor)), nil); err != nil {
		return fmt.Errorf("keep the relay's cursor: %w", err)
	}
	if err := r.store.CommitNoSync(b); err != nil {
		return fmt.Errorf("keep the relay's cursor: %w", err)
	}
	r.kept = cursor
	return b.Close()
}

// OnPassed lets fn be called with the cursor when it has moved, and once at the start: the journal may trim what is
// before it. It must be called before Run.
func (r *Relay) OnPassed(fn func(offset int64)) { r.onPassed = fn }

// Passed returns the cursor.
func (r *Relay) Passed() int64 { return r.passed.Load() }

// Run relays until ctx is done, and then what is left, for a while. It returns an error only for a local failure: of
// the store or of the journal.
func (r *Relay) Run(ctx context.Context) error {
	r.onPassed(r.Passed())
	read, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 1)
	go func() {
		failed <- r.keepLoop(read)
		stop()
	}()
	err := r.readLoop(read)
	stop()
	err = errors.Join(err, <-failed)
	if err == nil {
		err = r.drain()
	}
	r.move()
	return errors.Join(err, r.keep())
}

// keepLoop moves the cursor and stores it.
func (r *Relay) keepLoop(ctx context.Context) error {
	moving, keeping := time.NewTicker(moveEvery), time.NewTicker(keepEvery)
	defer moving.Stop()
	defer keeping.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-moving.C:
			r.move()
		case <-keeping.C:
			if err := r.keep(); err != nil {
				return err
			}
			r.measure(ctx)
		}
	}
}

// move computes the cursor. Whatever is before next stands in its lane until it is acknowledged, so next is read first.
func (r *Relay) move() {
	cursor := r.next.Load()
	for _, l := range r.lanes {
		if mark, ok := l.oldest(); ok {
			cursor = min(cursor, mark)
		}
	}
	if cursor > r.passed.Load() {
		r.passed.Store(cursor)
		r.onPassed(cursor)
	}
}

// readLoop reads until ctx is done.
func (r *Relay) readLoop(ctx context.Context) error {
	for {
		full, err := r.step(ctx)
		switch {
		case errors.Is(err, log.ErrTrimmed):
			r.skip()
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("relay: %w", err)
		default:
			r.pace(full)
			runtime.Gosched()
		}
	}
}

// skip goes on at the oldest record: the journal was trimmed although the relay had not passed.
func (r *Relay) skip() {
	oldest, _ := r.journal.Bounds()
	next := r.next.Load()
	if oldest <= next {
		return
	}
	r.metrics.skipped.Add(float64(oldest - next))
	r.log.Error("the journal was trimmed before its records were relayed: they are lost",
		zap.Int64("from", next), zap.Int64("to", oldest))
	r.next.Store(oldest)
}

// pace has the relay rest between batches if it has a backlog (the last step was full) and new records come in: then
// somebody else wants to work. It catches up all the same, because to take in a record costs many times what relaying
// does.
func (r *Relay) pace(full bool) {
	if !full {
		r.fullSteps = 0
		r.p.paced.Store(false)
		return
	}
	if r.fullSteps++; r.fullSteps%paceSteps != 1 {
		return // between two steps there is often nothing new, even under load
	}
	_, next := r.journal.Bounds()
	r.p.paced.Store(next != r.lastNext)
	r.lastNext = next
}

// step puts the next records of the journal into their lanes. full: there were as many as it takes at once.
func (r *Relay) step(ctx context.Context) (full bool, err error) {
	next := r.next.Load()
	r.recs, err = r.journal.Read(ctx, next, relayRead, r.recs[:0])
	for i := range r.recs {
		if err := r.append(ctx, &r.recs[i]); err != nil {
			return false, err
		}
		r.next.Store(r.recs[i].Offset + 1)
	}
	full = len(r.recs) == relayRead
	clear(r.recs)
	return full, err
}

func (r *Relay) append(ctx context.Context, rec *log.Record) error {
	key, kind, err := event.Peek(rec.Value)
	switch {
	case err != nil:
		r.metrics.unreadable.Inc() // refine rejects it, for people to look at
	case kind == event.Tick:
		return nil
	}
	out := &r.scratch
	*out = record{at: rec.Time, value: rec.Value, raw: true, source: rec.Source}
	weight := int64(out.weight())
	if weight > r.credit {
		take := max(relayCredit, weight)
		if err := r.takeRoom(ctx, take); err != nil {
			return err
		}
		r.credit += take
	}
	r.credit -= weight
	r.lanes[RawPartition(key, int32(len(r.lanes)))].append(out, r, rec.Offset)
	return nil
}

// takeRoom waits for room; until then nothing need linger for more records.
func (r *Relay) takeRoom(ctx context.Context, n int64) error {
	if r.room.TryAcquire(n) {
		return nil
	}
	r.flush()
	return r.p.waitFor(ctx, r.room, n)
}

func (r *Relay) flush() {
	for _, l := range r.lanes {
		l.flush()
	}
}

func (r *Relay) acked(_, bytes int) {
	r.room.Release(int64(bytes))
	select {
	case r.confirmed <- struct{}{}:
	default:
	}
}

// drain relays what is left, as long as records get through.
func (r *Relay) drain() error {
	ctx, cancel := context.WithTimeout(r.p.ctx, drainFor)
	defer cancel()
	for !r.p.trouble.some() && ctx.Err() == nil {
		if _, end := r.journal.Bounds(); r.next.Load() >= end {
			break
		}
		_, err := r.step(ctx)
		switch {
		case errors.Is(err, log.ErrTrimmed):
			r.skip()
		case err != nil && ctx.Err() == nil:
			return fmt.Errorf("relay: %w", err)
		}
	}
	r.flush()
	for {
		if r.move(); r.Passed() >= r.next.Load() || r.p.trouble.some() {
			return nil
		}
		select {
		case <-r.confirmed:
		case <-time.After(moveEvery):
		case <-ctx.Done():
			return nil
		}
	}
}

// measure finds out how old the oldest record is that was not relayed.
func (r *Relay) measure(ctx context.Context) {
	cursor := r.passed.Load()
	if _, end := r.journal.Bounds(); cursor >= end {
		r.metrics.oldest.Store(0)
		return
	}
	if recs, err := r.journal.Read(ctx, cursor, 1, nil); err == nil && len(recs) > 0 {
		r.metrics.oldest.Store(int64(recs[0].Time))
	}
}

// relayMetrics tell how far the relay is behind.
type relayMetrics struct {
	skipped    prometheus.Counter
	unreadable prometheus.Counter
	oldest     atomic.Int64 // log time of the oldest record that was not relayed, 0: none
}

func newRelayMetrics(reg prometheus.Registerer, r *Relay) *relayMetrics {
	m := &relayMetrics{
		skipped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_kafka_relay_skipped_records_total", Help: "Records that the journal trimmed before they were relayed: lost.",
		}),
		unreadable: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_kafka_relay_unreadable_records_total", Help: "Records of the journal that are no events; they are relayed, and rejected by refine.",
		}),
	}
	lag := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "carom_kafka_relay_lag_records", Help: "Records of the journal that no broker has acknowledged, ticks included.",
	}, func() float64 {
		_, end := r.journal.Bounds()
		return float64(max(0, end-r.passed.Load()))
	})
	age := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "carom_kafka_relay_lag_seconds", Help: "Age of the oldest record of the journal that no broker has acknowledged, by its log time.",
	}, func() float64 {
		if at := m.oldest.Load(); at > 0 {
			return max(0, time.Since(event.Millis(at).Time()).Seconds())
		}
		return 0
	})
	reg.MustRegister(m.skipped, m.unreadable, lag, age)
	return m
}
