package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

func newProducer(t testing.TB, c *Client) *Producer {
	t.Helper()
	p := c.NewProducer(prometheus.NewRegistry())
	t.Cleanup(func() {
		if err := errors.Join(p.Close(), p.Close()); err != nil {
			t.Error(err)
		}
	})
	return p
}

// producing returns a client of a fake cluster with our topics, and a producer.
func producing(t testing.TB, cluster *kfake.Cluster, change func(*Options)) (*Client, *Producer) {
	t.Helper()
	o := options(cluster.ListenAddrs()...)
	if change != nil {
		change(&o)
	}
	for _, spec := range o.Specs() {
		if err := cluster.CreateTopic(spec.Name, int32(spec.Partitions), nil); err != nil {
			t.Fatal(err)
		}
	}
	c := newClient(t, o)
	return c, newProducer(t, c)
}

// consume reads n records of a topic from its start, with franz-go, in the order of each partition.
func consume(t testing.TB, o Options, kind string, n int) []*kgo.Record {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(o.Brokers...), kgo.ConsumeTopics(o.TopicName(kind)),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx := testContext(t)
	var recs []*kgo.Record
	for len(recs) < n {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("after %d of %d records: %v", len(recs), n, err)
		}
		recs = append(recs, fetches.Records()...)
	}
	return recs
}

func testRecords(from, n int) []log.Record {
	recs := make([]log.Record, n)
	for i := range recs {
		recs[i] = log.Record{
			Time: event.Millis(1_700_000_000_000 + from + i), Key: fmt.Appendf(nil, "acme/sender-%d", (from+i)%7),
			Value: fmt.Appendf(nil, `{"n":%d,"text":"%s"}`, from+i, strings.Repeat("the same again ", i%5)),
		}
	}
	return recs
}

func write(t testing.TB, w log.Writer, recs []log.Record) {
	t.Helper()
	if err := w.Write(testContext(t), nil, recs); err != nil {
		t.Fatal(err)
	}
	w.Committed()
}

func TestCompressions(t *testing.T) {
	for _, name := range []string{Zstd, LZ4, Snappy, None} {
		t.Run(name, func(t *testing.T) {
			c, p := producing(t, fake(t), func(o *Options) { o.Compression = name })
			testWriting(t, c, p)
		})
	}
}

// testWriting writes by every writer and reads back by another client.
func testWriting(t testing.TB, c *Client, p *Producer) {
	t.Helper()
	o := c.options
	recs := testRecords(0, 1000)
	head := event.Head{
		ID: event.ID{1, 2, 3}, Kind: event.AutoReply, Time: 1_700_000_000_123,
		Origin: event.Origin{Node: "edge 1/ä", Partition: 3, Offset: 12345, N: 2},
	}
	recs[0].Head = head
	for kind, w := range map[string]log.Writer{Events: p.Events(), Scores: p.Scores(), Addresses: p.Addresses(), Rejects: p.Rejects(2)} {
		write(t, w, nil)
		write(t, w, recs[:600])
		write(t, w, recs[600:])
		got := consume(t, o, kind, len(recs))
		if len(got) != len(recs) {
			t.Fatalf("%s: got %d records, want %d", kind, len(got), len(recs))
		}
		byValue := make(map[string]*kgo.Record)
		last := make(map[int32]time.Time)
		for _, r := range got {
			byValue[string(r.Value)] = r
			if r.Timestamp.Before(last[r.Partition]) {
				t.Fatalf("%s: partition %d is out of order", kind, r.Partition)
			}
			last[r.Partition] = r.Timestamp
		}
		for i, want := range recs {
			r := byValue[string(want.Value)]
			if r == nil {
				t.Fatalf("%s: record %d is missing", kind, i)
			}
			partition := map[string]int32{Events: KeyPartition(want.Key, 4), Scores: KeyPartition(want.Key, 4), Rejects: 2}[kind]
			if string(r.Key) != string(want.Key) || !r.Timestamp.Equal(want.Time.Time()) || r.Partition != partition || (len(r.Headers) > 0) != (i == 0) {
				t.Fatalf("%s: record %d: got %+v, want %+v in partition %d", kind, i, r, want, partition)
			}
		}
		var headers []string
		var ours []header
		for _, h := range byValue[string(recs[0].Value)].Headers {
			headers = append(headers, h.Key+"="+string(h.Value))
			ours = append(ours, header{[]byte(h.Key), h.Value})
		}
		want := []string{
			"ce_specversion=1.0", "ce_id=aebagaaaaaaaaaaaaaaaaaaaaa", "ce_type=carom.auto_reply", "ce_source=/carom/edge%201%2F%C3%A4",
			"ce_time=2023-11-14T22:13:20.123Z", "content-type=application/json", "ce_origin=3/12345/2",
		}
		if !slices.Equal(headers, want) {
			t.Errorf("got headers %q, want %q", headers, want)
		}
		read := head
		read.Origin.Node = ""
		if got := parseHead(ours); got != read {
			t.Errorf("the headers are read as %+v, want %+v", got, read)
		}
	}
}

func TestTicker(t *testing.T) {
	c, p := producing(t, fake(t), nil)
	if err := p.Ticker(2).Tick(testContext(t)); err != nil {
		t.Fatal(err)
	}
	r := consume(t, c.options, Raw, 1)[0]
	src, ev, err := decodeRaw(r.Value)
	var e event.Event
	if err != nil || src != (event.Source{}) || e.DecodeBinary(ev) != nil || e.Kind != event.Tick || r.Partition != 2 || r.Key != nil {
		t.Errorf("got %+v, %+v, %v", r, e, err)
	}
}

// answerProduce has the next produce requests answered with code, or their connection closed if it is nil, until it
// returns false.
func answerProduce(cluster *kfake.Cluster, next func(*kmsg.ProduceRequest) (*kerr.Error, bool)) {
	cluster.ControlKey(int16(kmsg.Produce), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		produce := request.(*kmsg.ProduceRequest)
		code, answered := next(produce)
		if !answered {
			return nil, nil, false
		}
		if code == nil {
			return nil, errors.New("closed by the test"), true
		}
		response := produce.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range produce.Topics {
			answer := kmsg.NewProduceResponseTopic()
			answer.Topic = topic.Topic
			for _, partition := range topic.Partitions {
				p := kmsg.NewProduceResponseTopicPartition()
				p.Partition, p.ErrorCode = partition.Partition, code.Code
				answer.Partitions = append(answer.Partitions, p)
			}
			response.Topics = append(response.Topics, answer)
		}
		return response, nil, true
	})
}

// Of each three requests two fail, in every way that passes: nothing is lost, nothing twice, and the order stays.
func TestOrderUnderErrors(t *testing.T) {
	cluster := fake(t)
	c, p := producing(t, cluster, func(o *Options) { o.BatchBytes = 4 << 10 })
	codes := []*kerr.Error{kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.RequestTimedOut, nil, kerr.LeaderNotAvailable}
	var requests atomic.Int64
	answerProduce(cluster, func(*kmsg.ProduceRequest) (*kerr.Error, bool) {
		n := requests.Add(1)
		return codes[int(n)%len(codes)], n%3 != 0
	})
	const each = 400
	var wait sync.WaitGroup
	for stage := range 3 {
		wait.Go(func() {
			w := p.Rejects(1)
			for i := range 4 {
				recs := testRecords(stage*each+i*each/4, each/4)
				if err := w.Write(context.Background(), nil, recs); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	got := consume(t, c.options, Rejects, 3*each)
	if len(got) != 3*each {
		t.Errorf("got %d records, want %d", len(got), 3*each)
	}
	next := [3]int64{}
	for _, r := range got {
		n := r.Timestamp.UnixMilli() - 1_700_000_000_000
		if stage := n / each; n%each != next[stage] {
			t.Fatalf("stage %d: got record %d, want %d", stage, n%each, next[stage])
		}
		next[n/each]++
	}
	if requests.Load() < 30 {
		t.Errorf("%d requests were made: the test wants many", requests.Load())
	}
}

func TestTooLarge(t *testing.T) {
	cluster := fake(t)
	c, p := producing(t, cluster, func(o *Options) { o.Compression = None })
	answerProduce(cluster, func(r *kmsg.ProduceRequest) (*kerr.Error, bool) {
		return kerr.MessageTooLarge, len(r.Topics[0].Partitions[0].Records) > 2000
	})
	recs := testRecords(0, 300)
	write(t, p.Addresses(), recs)
	for i, r := range consume(t, c.options, Addresses, len(recs)) {
		if string(r.Value) != string(recs[i].Value) || string(r.Key) != string(recs[i].Key) || !r.Timestamp.Equal(recs[i].Time.Time()) {
			t.Fatalf("record %d: got %+v, want %+v", i, r, recs[i])
		}
	}
	if counted(t, p.metrics.splits) == 0 {
		t.Error("nothing was split")
	}
}

// failing writes a record that can't be written, until somebody mends it, and returns the first error that was logged.
func failing(t *testing.T, o Options, value string, mend func()) error {
	t.Helper()
	core, logs := observer.New(zapcore.InfoLevel)
	c, err := New(o, zap.New(core), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p := newProducer(t, c)
	done := make(chan error, 1)
	go func() {
		done <- p.Addresses().Write(testContext(t), nil, []log.Record{{Value: []byte(value)}})
	}()
	eventually(t, func(context.Context) error {
		if logs.Len() == 0 {
			return errors.New("nothing logged yet")
		}
		return nil
	})
	select {
	case err := <-done:
		t.Fatalf("the write returned: %v", err)
	default:
	}
	if mend != nil {
		mend()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if got := len(consume(t, o, Addresses, 1)); got != 1 {
			t.Errorf("got %d records, want 1", got)
		}
	} else {
		_ = p.Close()
		if err := <-done; !errors.Is(err, errProducerClosed) {
			t.Errorf("got %v, want errProducerClosed", err)
		}
	}
	for _, field := range logs.All()[0].Context {
		if err, ok := field.Interface.(error); ok {
			return err
		}
	}
	t.Fatalf("no error in %+v", logs.All()[0])
	return nil
}

func TestLastingFailures(t *testing.T) {
	t.Run("no topic", func(t *testing.T) {
		cluster := fake(t)
		o := options(cluster.ListenAddrs()...)
		err := failing(t, o, "x", func() {
			if err := cluster.CreateTopic(o.TopicName(Addresses), 1, nil); err != nil {
				t.Fatal(err)
			}
		})
		wantSetting(t, err, "kafka.topic_prefix", "there is no topic carom.addresses", "carom topics apply")
	})
	t.Run("nobody there", func(t *testing.T) {
		o := options(nobody(t))
		err := failing(t, o, "x", nil)
		wantSetting(t, err, "kafka.brokers", "can't be reached", o.Brokers[0])
	})
	t.Run("one record is too large", func(t *testing.T) {
		cluster := fake(t)
		o := options(cluster.ListenAddrs()...)
		o.Compression = None
		if err := cluster.CreateTopic(o.TopicName(Addresses), 1, map[string]string{"max.message.bytes": "1000"}); err != nil {
			t.Fatal(err)
		}
		err := failing(t, o, strings.Repeat("x", 5000), nil)
		wantSetting(t, err, "kafka.batch_bytes", "takes no record of", "max.message.bytes")
	})
	t.Run("not allowed", func(t *testing.T) {
		cluster := fake(t)
		o := options(cluster.ListenAddrs()...)
		if err := cluster.CreateTopic(o.TopicName(Addresses), 1, nil); err != nil {
			t.Fatal(err)
		}
		var allowed atomic.Bool
		answerProduce(cluster, func(*kmsg.ProduceRequest) (*kerr.Error, bool) {
			return kerr.TopicAuthorizationFailed, !allowed.Load()
		})
		err := failing(t, o, "x", func() { allowed.Store(true) })
		wantSetting(t, err, "kafka.sasl_username", "does not allow this user")
	})
}

// A write that nobody waits for any more still goes out, and gives its room back.
func TestWriteGivenUp(t *testing.T) {
	cluster := fake(t)
	c, p := producing(t, cluster, nil)
	ctx, cancel := context.WithCancel(context.Background())
	var open atomic.Bool
	answerProduce(cluster, func(*kmsg.ProduceRequest) (*kerr.Error, bool) {
		cancel()
		return kerr.NotEnoughReplicas, !open.Load()
	})
	w := p.Addresses()
	if err := w.Write(ctx, nil, testRecords(0, 10)); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
	open.Store(true)
	write(t, w, testRecords(10, 10))
	if got := len(consume(t, c.options, Addresses, 20)); got != 20 {
		t.Errorf("got %d records, want 20", got)
	}
	if !p.room.TryAcquire(maxWaiting) {
		t.Error("room was not given back")
	}
}

// gate is a listener's address that can be closed: whoever connects is turned away.
type gate struct {
	net.Listener
	mu    sync.Mutex
	shut  bool
	conns []net.Conn
}

func (g *gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		g.mu.Lock()
		if !g.shut {
			g.conns = append(g.conns, conn)
			g.mu.Unlock()
			return conn, nil
		}
		g.mu.Unlock()
		_ = conn.Close()
	}
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = true
	for _, conn := range g.conns {
		_ = conn.Close()
	}
	g.conns = nil
}

func (g *gate) reopen() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = false
}

// gated starts a fake cluster behind a gate.
func gated(t testing.TB) (*kfake.Cluster, *gate) {
	g := new(gate)
	cluster := fake(t, kfake.ListenFn(func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		g.Listener = l
		return g, err
	}))
	return cluster, g
}

func TestSplit(t *testing.T) {
	var a, b countingOwner
	p := &parcel{buf: make([]byte, setHead)}
	for i := range 300 { // offset deltas change their length at 64
		o := &a
		if i%3 == 0 {
			o = &b
		}
		r := record{at: event.Millis(i * 100), key: fmt.Appendf(nil, "%d", i), value: []byte("v")}
		p.add(&r, o, int64(i), 7)
	}
	whole := slices.Clone(p.buf)
	second, err := p.split()
	if err != nil {
		t.Fatal(err)
	}
	if p.count != 150 || second.count != 150 || p.first != 0 || second.first > 150 {
		t.Errorf("got %d records from %d and %d from %d", p.count, p.first, second.count, second.first)
	}
	if !strings.HasPrefix(string(whole), string(p.buf)) {
		t.Error("the first half is no prefix of the whole")
	}
	for _, half := range []*parcel{p, second} {
		records, bytes := 0, 0
		for _, n := range half.notices {
			n.owner.acked(n.records, n.bytes)
			records, bytes = records+n.records, bytes+n.bytes
		}
		if records != 150 {
			t.Errorf("notices of %d records, want 150", records)
		}
	}
	if a != (countingOwner{200, 1400}) || b != (countingOwner{100, 700}) {
		t.Errorf("got %+v and %+v", a, b)
	}
}

type countingOwner struct{ records, bytes int }

func (c *countingOwner) acked(records, bytes int) {
	c.records, c.bytes = c.records+records, c.bytes+bytes
}
