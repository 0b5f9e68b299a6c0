package kafka

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// BenchmarkRelay compares the relay with franz-go's client: the same records, from memory, to a kfake in a process of
// its own, with zstd, acks of all, and no idempotence. Both put the records into their envelopes. What counts is the CPU
// time of this process. Rounds alternate, so that all meet the same machine.
//
// The relay has the level that it uses, zstd's fastest; franz-go its default, which is the next one, and for comparison
// the relay's.
//
// The metrics: records per CPU second of each, how many times franz-go's the relay's are, at franz-go's default and at
// the same level; and of the relay bytes per second (of records, before compression), allocations and bytes on the wire
// per record.
func BenchmarkRelay(b *testing.B) {
	const perRound = 400_000
	brokers := fakeProcess(b)
	journal := memoryJournal(perRound)
	var ours, theirs, same usage
	for round := 0; b.Loop(); round++ {
		o := options(brokers)
		o.TopicPrefix, o.Partitions = fmt.Sprintf("round-%d", round), 32
		c, err := New(o, zap.NewNop(), prometheus.NewRegistry())
		if err != nil {
			b.Fatal(err)
		}
		for _, kind := range []string{Raw, Events, Scores} {
			createTopic(b, c, o.TopicName(kind), o.Partitions)
		}
		ours.add(relayAll(b, c, journal))
		theirs.add(franzAll(b, o, Events, journal, kgo.ZstdCompression()))
		same.add(franzAll(b, o, Scores, journal, kgo.ZstdCompression().WithLevel(int(zstdLevel))))
		deleteTopics(b, c, o.topicNames()...)
		if err := c.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ours.perCPU(), "records/cpu-s")
	b.ReportMetric(theirs.perCPU(), "franz-records/cpu-s")
	b.ReportMetric(same.perCPU(), "franz-same-level-records/cpu-s")
	b.ReportMetric(ours.perCPU()/theirs.perCPU(), "times-franz")
	b.ReportMetric(ours.perCPU()/same.perCPU(), "times-franz-same-level")
	b.ReportMetric(float64(ours.bytes)/ours.wall.Seconds(), "B/s")
	b.ReportMetric(float64(ours.records)/ours.wall.Seconds(), "records/s")
	b.ReportMetric(float64(ours.mallocs)/float64(ours.records), "allocs/record")
	b.ReportMetric(float64(theirs.mallocs)/float64(theirs.records), "franz-allocs/record")
	b.ReportMetric(float64(ours.bytes)/float64(ours.records), "B/record")
	b.ReportMetric(float64(ours.sent)/float64(ours.records), "wire-B/record")
}

// usage is what some records cost.
type usage struct {
	records, bytes, sent int64
	cpu, wall            time.Duration
	mallocs              uint64
}

func (u *usage) add(v usage) {
	u.records, u.bytes, u.sent = u.records+v.records, u.bytes+v.bytes, u.sent+v.sent
	u.cpu, u.wall, u.mallocs = u.cpu+v.cpu, u.wall+v.wall, u.mallocs+v.mallocs
}

func (u *usage) perCPU() float64 { return float64(u.records) / u.cpu.Seconds() }

// measured runs work.
func measured(b *testing.B, records int, work func()) usage {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	start, cpu := time.Now(), cpuTime(b)
	work()
	u := usage{records: int64(records), cpu: cpuTime(b) - cpu, wall: time.Since(start)}
	runtime.ReadMemStats(&after)
	u.mallocs = after.Mallocs - before.Mallocs
	return u
}

func cpuTime(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func relayAll(b *testing.B, c *Client, journal *memory) usage {
	store, err := kv.Open("state", kv.Options{FS: vfs.NewMem()})
	if err != nil {
		b.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	p := c.NewProducer(reg)
	r, err := p.NewRelay(journal, [16]byte{1}, store, zap.NewNop(), reg)
	if err != nil {
		b.Fatal(err)
	}
	u := measured(b, len(journal.recs), func() {
		ctx, cancel := context.WithCancel(context.Background())
		end := int64(len(journal.recs))
		r.OnPassed(func(offset int64) {
			if offset == end {
				cancel()
			}
		})
		if err := r.Run(ctx); err != nil {
			b.Fatal(err)
		}
	})
	if r.Passed() != int64(len(journal.recs)) {
		b.Fatal("not all relayed")
	}
	u.bytes, u.sent = int64(counted(b, p.metrics.byTopic[Raw].bytes)), int64(counted(b, p.metrics.byTopic[Raw].sent))
	if err := p.Close(); err != nil {
		b.Fatal(err)
	}
	_ = store.Close()
	return u
}

func franzAll(b *testing.B, o Options, kind string, journal *memory, codec kgo.CompressionCodec) usage {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(o.Brokers...), kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.MaxProduceRequestsInflightPerBroker(1),
		kgo.ProducerBatchCompression(codec),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(o.Linger),
		kgo.ProducerBatchMaxBytes(int32(o.BatchBytes)), kgo.MaxBufferedBytes(relayRoom), kgo.MaxBufferedRecords(1<<20),
	)
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	topic := o.TopicName(kind)
	ctx := context.Background()
	var failed atomic.Int64
	promise := func(_ *kgo.Record, err error) {
		if err != nil {
			failed.Add(1)
		}
	}
	u := measured(b, len(journal.recs), func() {
		for i := range journal.recs {
			rec := &journal.recs[i]
			key, _, _ := event.Peek(rec.Value)
			client.Produce(ctx, &kgo.Record{
				Topic: topic, Partition: RawPartition(key, int32(o.Partitions)), Timestamp: rec.Time.Time(),
				Value: appendRaw(make([]byte, 0, rawSize(rec.Source, rec.Value)), rec.Source, rec.Value),
			}, promise)
		}
		if err := client.Flush(ctx); err != nil {
			b.Fatal(err)
		}
	})
	if failed.Load() > 0 {
		b.Fatalf("%d records failed", failed.Load())
	}
	return u
}

// memory is a journal in memory that nothing is added to.
type memory struct{ recs []log.Record }

func (m *memory) Read(ctx context.Context, from int64, max int, dst []log.Record) ([]log.Record, error) {
	if from >= int64(len(m.recs)) {
		<-ctx.Done()
		return dst, ctx.Err()
	}
	return append(dst, m.recs[from:min(from+int64(max), int64(len(m.recs)))]...), nil
}

func (m *memory) Bounds() (oldest, next int64)  { return 0, int64(len(m.recs)) }
func (m *memory) Refresh(context.Context) error { return nil }
func (m *memory) Partition() int32              { return 0 }

// memoryJournal holds opens, clicks and sends as the edge makes them.
func memoryJournal(n int) *memory {
	m := &memory{recs: make([]log.Record, n)}
	source := event.Source{Node: "edge-1", Incarnation: [16]byte{9, 8, 7, 6, 5, 4, 3, 2, 1, 42, 43, 44, 45, 46, 47, 48}}
	const start = event.Millis(1_795_300_000_000)
	for i := range m.recs {
		source.Sequence = uint64(i)
		m.recs[i] = log.Record{Offset: int64(i), Time: start + event.Millis(i/50), Source: source, Value: sample(i, start).AppendBinary(nil)}
	}
	return m
}

func sample(i int, start event.Millis) *event.Event {
	// Neighbours are of different messages.
	n := uint32(i) * 2654435761
	message := fmt.Sprintf("m-%08x@mail.example.com", n)
	e := &event.Event{
		Kind: event.Open, Time: start + event.Millis(i/50), KnownBy: event.ByRef, Key: event.KeyOf("acme", message),
		Ref: event.Ref{
			Account: "acme", Sender: fmt.Sprintf("sender-%d", n%97), Sequence: fmt.Sprintf("q4-%d", n%13),
			Contact: fmt.Sprintf("c-%d", n%1_000_003), Message: message, SentAt: start - event.Millis(n%86_400_000),
		},
		Actor:  event.Actor{Verdict: event.Human},
		Client: event.Client{UserAgent: agents[n%uint32(len(agents))], Hash: uint64(n) * 0x9e3779b97f4a7c15},
	}
	switch n % 10 {
	case 0, 1:
		e.Kind, e.Link, e.URL = event.Click, n%5, fmt.Sprintf("https://example.com/offers/%d?utm_source=mail", n%1000)
	case 2, 3, 4:
		e.Kind, e.Client, e.Actor = event.Sent, event.Client{}, event.Actor{}
		e.Recipient = fmt.Sprintf("user%d@example.com", n%1_000_003)
	case 5:
		e.Actor = event.Actor{Verdict: event.Proxy, Reasons: []string{"agent_proxy"}, Via: "gmail"}
	}
	return e
}

var agents = []string{
	"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
	"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
	"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
	"Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
}

// fakeVariable tells the test binary to be a kfake, until its standard input ends.
const fakeVariable = "CAROM_TEST_KFAKE"

func TestMain(m *testing.M) {
	if os.Getenv(fakeVariable) == "" {
		os.Exit(m.Run())
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.BrokerConfigs(map[string]string{"message.max.bytes": "67108864"}))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(cluster.ListenAddrs()[0])
	_, _ = io.Copy(io.Discard, os.Stdin)
	cluster.Close()
}

// fakeProcess starts a kfake in a process of its own and returns its address.
func fakeProcess(t testing.TB) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), fakeVariable+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := sync.OnceFunc(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	t.Cleanup(end)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		end()
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// BenchmarkCompression is what zstd's levels and the others cost on a batch of raw records, and what they save.
func BenchmarkCompression(b *testing.B) {
	p := parcel{buf: make([]byte, setHead)}
	for _, rec := range memoryJournal(20_000).recs {
		r := record{at: rec.Time, value: rec.Value, raw: true, source: rec.Source}
		if p.size()+r.weight() > Default().BatchBytes {
			break
		}
		p.add(&r, nil, noMark, r.weight())
	}
	for _, test := range []struct {
		name  string
		codec string
		level zstd.EncoderLevel
	}{{"zstd-fastest", Zstd, zstd.SpeedFastest}, {"zstd-default", Zstd, zstd.SpeedDefault}, {"lz4", LZ4, 0}, {"snappy", Snappy, 0}} {
		b.Run(test.name, func(b *testing.B) {
			c := newCompressor(test.codec, test.level, 1)
			var dst []byte
			b.SetBytes(int64(p.size()))
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if dst, err = c.append(dst[:0], p.buf[setHead:]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(dst))/float64(p.count), "wire-B/record")
		})
	}
}
