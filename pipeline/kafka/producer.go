package kafka

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"golang.org/x/sync/semaphore"
)

// errProducerClosed is what a use of a closed producer fails with.
var errProducerClosed = errors.New("kafka: producer closed")

const (
	// maxWaiting bounds the bytes of records, before compression, that stages wait for. The relay has a bound of its
	// own, so that neither takes the other's room while a partition has no leader.
	maxWaiting = 64 << 20
	// maxRequests bounds the requests in flight, each of which takes a connection of its own. What has failed before
	// goes by a way of its own: a broker that swallows packets would take up all ways of the others.
	maxRequests = 48
	maxRetrying = 16
	// restTimes is how many times as long as it compressed the relay rests while it is paced. That still lets it send
	// over 100,000 records a second, several times what an edge takes in.
	restTimes = 3
)

// Producer writes records to topics. All stages of a process and its relay share one. It is safe for concurrent use.
//
// Each partition has a lane. A batch that was not acknowledged is sent again, for ever, before any that follows it. So
// records may come twice, and never in another order, but for this: a request that was given up for lost may reach
// the broker after all, later than its repetition.
type Producer struct {
	client     *Client
	metrics    *producerMetrics
	trouble    *trouble
	squeeze    *compressor
	batchBytes int
	linger     time.Duration
	buffers    buffers
	room       *semaphore.Weighted // of maxWaiting
	requests   chan struct{}
	retrying   chan struct{}
	squeezing  chan struct{} // who compresses for stages
	relayTurn  chan struct{} // who compresses for the relay
	paced      atomic.Bool   // the relay lets others work, see Relay.pace

	ctx    context.Context // done when closed
	stop   context.CancelFunc
	mu     sync.Mutex // guards lanes, and the start of their goroutines against Close
	lanes  map[laneKey]*lane
	runner sync.WaitGroup
}

type laneKey struct {
	kind      string
	partition int32
}

// NewProducer returns a producer of c, which stays its caller's to close, after the producer.
func (c *Client) NewProducer(reg prometheus.Registerer) *Producer {
	cores := max(1, runtime.GOMAXPROCS(0)-1)
	p := &Producer{
		client: c, metrics: newProducerMetrics(reg),
		squeeze:    newCompressor(c.options.Compression, zstdLevel, cores+1),
		batchBytes: c.options.BatchBytes, linger: c.options.Linger,
		room:      semaphore.NewWeighted(maxWaiting),
		requests:  make(chan struct{}, maxRequests),
		retrying:  make(chan struct{}, maxRetrying),
		squeezing: make(chan struct{}, cores),
		relayTurn: make(chan struct{}, 1),
		lanes:     make(map[laneKey]*lane),
	}
	p.trouble = newTrouble(c, p.metrics)
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// Close gives up what is not acknowledged. It can be called twice.
func (p *Producer) Close() error {
	p.mu.Lock()
	p.stop()
	p.mu.Unlock()
	p.runner.Wait()
	return nil
}

// lane returns the lane of a partition. Of a closed producer it sends nothing.
func (p *Producer) lane(kind string, partition int32) *lane {
	key := laneKey{kind, partition}
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lanes[key]
	if l == nil {
		l = &lane{p: p, kind: kind, topic: p.client.options.TopicName(kind), partition: partition, kick: make(chan struct{}, 1)}
		p.lanes[key] = l
		if p.ctx.Err() == nil {
			p.runner.Go(l.run)
		}
	}
	return l
}

// pause waits; false if the producer was closed.
func (p *Producer) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	return acquire(p.ctx, timer.C)
}

// acquire waits for a value from c; false if ctx was done first.
func acquire[T any](ctx context.Context, c <-chan T) bool {
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

// enter takes a place in c, and returns how to leave it; nil if ctx was done first.
func enter(ctx context.Context, c chan struct{}) (leave func()) {
	select {
	case c <- struct{}{}:
		return func() { <-c }
	case <-ctx.Done():
		return nil
	}
}

// pack makes b ready to be sent, if it is not; false if the producer was closed.
//
// All of the relay's batches are compressed one after the other, which is most of its work. So it takes little more than
// one core, however much it has to catch up with; and while it is paced, a quarter of that.
func (p *Producer) pack(l *lane, b *parcel) bool {
	if b.packed != nil {
		return true
	}
	b.unpacked = b.size()
	if p.squeeze.plain() {
		seal(b.buf, 0, b.count, b.base, b.newest)
		b.packed = b.buf
		return true
	}
	turn := p.squeezing
	if l.kind == Raw {
		turn = p.relayTurn
	}
	leave := enter(p.ctx, turn)
	if leave == nil {
		return false
	}
	defer leave()
	begin := time.Now()
	out, err := p.squeeze.append(p.buffers.get(setHead + b.size()/2)[:setHead], b.buf[setHead:])
	attributes := p.squeeze.attributes
	if err != nil { // no library here fails in memory; but no record is held up if one does
		out, attributes = append(p.buffers.get(len(b.buf)), b.buf...), 0
	}
	seal(out, attributes, b.count, b.base, b.newest)
	b.packed = out
	return l.kind != Raw || !p.paced.Load() || p.pause(restTimes*time.Since(begin))
}

// send makes one request.
func (p *Producer) send(l *lane, b *parcel) error {
	way := p.requests
	if b.tainted {
		way = p.retrying
	}
	leave := enter(p.ctx, way)
	if leave == nil {
		return errProducerClosed
	}
	defer leave()
	answer, err := p.client.api.RawProduce(p.ctx, &kafkago.RawProduceRequest{
		Topic: l.topic, Partition: int(l.partition), RequiredAcks: kafkago.RequireAll,
		RawRecords: protocol.RawRecordSet{Reader: bytes.NewReader(b.packed)},
	})
	if err != nil {
		return err
	}
	return answer.Error
}

// acquireRoom waits for room for what a stage writes.
func (p *Producer) acquireRoom(ctx context.Context, weight int64) error {
	if p.room.TryAcquire(weight) {
		return nil
	}
	return p.waitFor(ctx, p.room, weight)
}

// waitFor waits for weight of a semaphore, until ctx is done or the producer is closed.
func (p *Producer) waitFor(ctx context.Context, room *semaphore.Weighted, weight int64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.ctx, func() { cancel(errProducerClosed) })()
	if room.Acquire(ctx, weight) != nil {
		return context.Cause(ctx)
	}
	return nil
}
