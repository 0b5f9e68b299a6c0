package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

// franz returns an independent client that chooses no partitions.
func franz(t testing.TB, o Options, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(o.Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.UnknownTopicRetries(-1), // a topic just made is not known to all at once
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// produce writes values to a partition, with keys, and with times of the year 2001.
func produce(t testing.TB, c *kgo.Client, topic string, partition int32, values ...string) {
	t.Helper()
	var recs []*kgo.Record
	for i, v := range values {
		recs = append(recs, &kgo.Record{Topic: topic, Partition: partition, Key: []byte("key of " + v), Value: []byte(v), Timestamp: time.UnixMilli(1e12 + int64(i))})
	}
	if err := c.ProduceSync(testContext(t), recs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// numbered are n values, of some size.
func numbered(from, n int) (values []string) {
	for i := range n {
		values = append(values, fmt.Sprint(from+i, strings.Repeat(" x", (from+i)%70)))
	}
	return values
}

func newReader(t testing.TB, c *Client, kind string, partition int32) *Reader {
	t.Helper()
	r := c.NewReader(kind, partition, prometheus.NewPedanticRegistry())
	t.Cleanup(func() {
		if err := errors.Join(r.Close(), r.Close()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// readValues reads n records from offset from on, atOnce at a time.
func readValues(t testing.TB, in log.Reader, from int64, n, atOnce int) (values []string) {
	t.Helper()
	for _, r := range readRecords(t, in, from, n, atOnce) {
		values = append(values, string(r.Value))
	}
	return values
}

func readRecords(t testing.TB, in log.Reader, from int64, n, atOnce int) (all []log.Record) {
	t.Helper()
	for len(all) < n {
		had := len(all)
		var err error
		if all, err = in.Read(testContext(t), from, min(atOnce, n-had), all); err != nil {
			t.Fatalf("read from %d, %d of %d: %v", from, had, n, err)
		}
		if len(all) == had || len(all) > had+atOnce {
			t.Fatalf("read %d records at once, want 1 to %d", len(all)-had, atOnce)
		}
		for _, r := range all[had:] {
			if r.Offset < from {
				t.Fatalf("record %d from offset %d", r.Offset, from)
			}
			from = r.Offset + 1
		}
	}
	return all
}

func wantSame(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %d records, want %d: %.300q", what, len(got), len(want), got)
	}
}

func TestReader(t *testing.T) {
	testReader(t, options(fake(t).ListenAddrs()...), false)
}

func TestBrokerReader(t *testing.T) {
	testReader(t, broker(t, ""), true)
}

// testReader reads what an independent producer wrote, in all ways that it can.
func testReader(t *testing.T, o Options, real bool) {
	c := newClient(t, o)
	t.Cleanup(func() { deleteTopics(t, c, o.topicNames()...) })
	apply(t, c)
	var want []string
	for i, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		producer := franz(t, o, kgo.ProducerBatchCompression(codec))
		for range 3 {
			some := numbered(len(want), 100*(i+1))
			produce(t, producer, o.TopicName(Rejects), 2, some...)
			want = append(want, some...)
		}
	}
	n := len(want)
	for _, atOnce := range []int{1, 7, 5000} {
		r := newReader(t, c, Rejects, 2)
		wantSame(t, "all", readValues(t, r, 0, n, atOnce), want)
		if oldest, next := r.Bounds(); oldest != 0 || next != int64(n) {
			t.Errorf("bounds %d, %d of %d records", oldest, next, n)
		}
		wantSame(t, "again", readValues(t, r, 0, n, atOnce), want)
		wantSame(t, "a part", readValues(t, r, 1234, n-1234, atOnce), want[1234:])
	}
	r := newReader(t, c, Rejects, 2)
	if err := r.Refresh(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if oldest, next := r.Bounds(); oldest != 0 || next != int64(n) || r.Partition() != 2 {
		t.Errorf("bounds %d, %d of %d records", oldest, next, n)
	}
	rec := readRecords(t, r, 5, 1, 1)[0]
	if rec.Offset != 5 || string(rec.Key) != "key of "+want[5] || rec.Time != 1e12+5 || rec.Source != (event.Source{}) {
		t.Errorf("record %+v", rec)
	}

	t.Run("raw", func(t *testing.T) { testReadRaw(t, c, real) })
	t.Run("events", func(t *testing.T) { testReadEvents(t, c) })
	t.Run("transactions", func(t *testing.T) { testReadTransactions(t, c) })
	t.Run("waits", func(t *testing.T) { testReadWaits(t, c) })
	t.Run("trimmed", func(t *testing.T) { testReadTrimmed(t, c) })
	t.Run("recreated", func(t *testing.T) { testReadRecreated(t, c) })
}

func testReadRaw(t *testing.T, c *Client, real bool) {
	topic := c.options.TopicName(Raw)
	src := event.Source{Node: "edge", Incarnation: [16]byte{9}, Sequence: 77}
	producer := franz(t, c.options)
	begun := event.Now()
	for _, v := range []string{string(appendRaw(nil, src, []byte("event"))), "a stranger's", string(appendRaw(nil, src, []byte("event"))) + "\xff"} {
		produce(t, producer, topic, 1, v)
	}
	recs := readRecords(t, newReader(t, c, Raw, 1), 0, 3, 10)
	if recs[0].Source != src || string(recs[0].Value) != "event" {
		t.Errorf("record %+v", recs[0])
	}
	if recs[1].Source != (event.Source{}) || string(recs[1].Value) != "a stranger's" {
		t.Errorf("record %+v", recs[1])
	}
	if recs[2].Source != (event.Source{}) || !strings.HasSuffix(string(recs[2].Value), "event\xff") {
		t.Errorf("record %+v", recs[2])
	}
	for i, r := range recs {
		// The producer says 2001; the fake broker believes it.
		if real && (r.Time < begun.Add(-time.Hour) || r.Time > event.Now().Add(time.Hour)) || i > 0 && r.Time < recs[i-1].Time {
			t.Errorf("log time %v", r.Time.Time())
		}
	}
}

func testReadEvents(t *testing.T, c *Client) {
	topic := c.options.TopicName(Events)
	head := event.Head{ID: event.ID{5}, Kind: event.Bounce, Time: 1e12, Origin: event.Origin{Partition: 3, Offset: 8, N: 1}}
	told := event.Refined{ID: head.ID, Kind: head.Kind, Time: head.Time, Origin: head.Origin}
	told.Origin.Node = "edge"
	value := string(told.AppendJSON(nil))
	record := func(value, origin string, at int64) *kgo.Record {
		return &kgo.Record{Topic: topic, Partition: 3, Key: []byte("acme/alice"), Value: []byte(value), Timestamp: time.UnixMilli(at), Headers: []kgo.RecordHeader{
			{Key: "ce_specversion", Value: []byte("1.0")},
			{Key: "ce_id", Value: []byte(head.ID.String())},
			{Key: "ce_type", Value: []byte("carom.bounce")},
			{Key: "ce_source", Value: []byte("/carom/edge")},
			{Key: "ce_time", Value: []byte("2001-09-09T01:46:40.000Z")},
			{Key: "ce_origin", Value: []byte(origin)},
		}}
	}
	err := franz(t, c.options).ProduceSync(testContext(t), record(value, "3/8/1", 1e12+9), record(value, "nowhere", 1e12), record(value, "3/8/1", 1e12+10),
		record(value, "3/9/1", 1e12+10), record("{}", "3/8/1", 1e12+10), record("nonsense", "3/8/1", 1e12+10)).FirstErr()
	if err != nil {
		t.Fatal(err)
	}
	recs := readRecords(t, newReader(t, c, Events, 3), 0, 6, 10)
	if recs[0].Head != head || string(recs[0].Key) != "acme/alice" || string(recs[0].Value) != value || recs[0].Time != 1e12+9 {
		t.Errorf("record %+v", recs[0])
	}
	if recs[1].Head != (event.Head{}) || recs[1].Time != 1e12+9 {
		t.Errorf("record %+v", recs[1])
	}
	if recs[2].Head != head || recs[2].Time != 1e12+10 {
		t.Errorf("record %+v", recs[2])
	}
	for _, r := range recs[3:] {
		if r.Head != (event.Head{}) {
			t.Errorf("its headers and its value differ: %+v", r)
		}
	}
}

// Marks of transactions are no records, and leave gaps.
func testReadTransactions(t *testing.T, c *Client) {
	topic := c.options.TopicName(Rejects)
	producer := franz(t, c.options, kgo.TransactionalID(c.options.TopicPrefix))
	for i := range 3 {
		if err := producer.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		produce(t, producer, topic, 1, fmt.Sprint(i))
		if err := producer.EndTransaction(testContext(t), kgo.TryCommit); err != nil {
			t.Fatal(err)
		}
	}
	recs := readRecords(t, newReader(t, c, Rejects, 1), 0, 3, 1)
	for i, r := range recs {
		if r.Offset != int64(2*i) || string(r.Value) != fmt.Sprint(i) {
			t.Errorf("record %+v", r)
		}
	}
}

func testReadWaits(t *testing.T, c *Client) {
	producer := franz(t, c.options)
	topic := c.options.TopicName(Rejects)
	r := newReader(t, c, Rejects, 0)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Read(ctx, 0, 1, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	if recs, err := r.Read(ctx, 0, 0, nil); err != nil || len(recs) != 0 {
		t.Errorf("at most 0: %v, %v", recs, err)
	}

	// Reads with deadlines, as refine does them, neither lose records nor connections.
	const n = 60
	var want []string
	var wg sync.WaitGroup
	for i := range n {
		want = append(want, fmt.Sprint(i))
	}
	wg.Go(func() {
		for i := range n {
			produce(t, producer, topic, 0, want[i])
		}
	})
	var got []string
	before := counted(t, c.metrics.connections)
	for timeout := time.Duration(0); len(got) < n; timeout = (timeout + time.Millisecond) % (10 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(testContext(t), timeout)
		recs, err := r.Read(ctx, int64(len(got)), 10, []log.Record{{Offset: 99}})
		cancel()
		if recs[0].Offset != 99 || err != nil && len(recs) > 1 || err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%d records, %v", len(recs), err)
		}
		for _, rec := range recs[1:] {
			got = append(got, string(rec.Value))
		}
	}
	wg.Wait()
	wantSame(t, "with deadlines", got, want)
	if made := counted(t, c.metrics.connections) - before; made > 5 {
		t.Errorf("%v connections were made", made)
	}

	// One that waits at the end does not hold back others.
	waiting := make(chan []log.Record, 1)
	wg.Go(func() {
		recs, err := r.Read(testContext(t), n, 10, nil)
		if err != nil {
			t.Error(err)
		}
		waiting <- recs
	})
	for range 4 {
		wg.Go(func() {
			for range 5 {
				wantSame(t, "at once", readValues(t, r, 0, n, 17), want)
			}
		})
	}
	for range 4 {
		wantSame(t, "meanwhile", readValues(t, r, 0, n, 50), want)
	}
	produce(t, producer, topic, 0, "last")
	if recs := <-waiting; len(recs) != 1 || string(recs[0].Value) != "last" {
		t.Errorf("waited for %v", recs)
	}
	wg.Wait()

	// What was given out is its owner's.
	again := readRecords(t, r, 0, n, n)
	for _, rec := range again {
		clear(rec.Value)
	}
	wantSame(t, "after a change", readValues(t, r, 0, n, n), want)

	wg.Go(func() {
		if _, err := r.Read(context.Background(), n+1, 1, nil); !errors.Is(err, errReaderClosed) {
			t.Errorf("a read that Close ends: %v", err)
		}
	})
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if _, err := r.Read(context.Background(), 0, 1, nil); !errors.Is(err, errReaderClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := r.Refresh(context.Background()); err != nil && !errors.Is(err, errReaderClosed) {
		t.Errorf("refresh after Close: %v", err)
	}
}

func testReadTrimmed(t *testing.T, c *Client) {
	topic := c.options.TopicName(Addresses)
	producer := franz(t, c.options)
	values := numbered(0, 20)
	for _, v := range values[:10] {
		produce(t, producer, topic, 0, v)
	}
	produce(t, producer, topic, 0, values[10:]...) // one batch, of which a part is removed
	r := newReader(t, c, Addresses, 0)
	deleteRecords(t, producer, topic, 0, 13)
	for range 2 {
		if _, err := r.Read(testContext(t), 5, 1, nil); !errors.Is(err, log.ErrTrimmed) || !strings.Contains(err.Error(), "the oldest is 13") {
			t.Errorf("read what is gone: %v", err)
		}
		if oldest, next := r.Bounds(); oldest != 13 || next != 20 {
			t.Errorf("bounds %d, %d", oldest, next)
		}
	}
	if _, err := r.Read(testContext(t), -1, 1, nil); !errors.Is(err, log.ErrTrimmed) {
		t.Errorf("read from -1: %v", err)
	}
	wantSame(t, "the others", readValues(t, r, 13, 7, 3), values[13:])
	_, err := r.Read(testContext(t), 21, 1, nil)
	wantSetting(t, err, "kafka.topic_prefix", topic, "ends at offset 20", "up to 21")
	wantSame(t, "the others again", readValues(t, r, 13, 7, 3), values[13:])
}

func deleteRecords(t testing.TB, c *kgo.Client, topic string, partition int32, before int64) {
	t.Helper()
	request := kmsg.NewPtrDeleteRecordsRequest()
	request.TimeoutMillis = 10_000
	rt := kmsg.NewDeleteRecordsRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewDeleteRecordsRequestTopicPartition()
	rp.Partition, rp.Offset = partition, before
	rt.Partitions = append(rt.Partitions, rp)
	request.Topics = append(request.Topics, rt)
	response, err := c.Request(testContext(t), request)
	if err != nil {
		t.Fatal(err)
	}
	if p := response.(*kmsg.DeleteRecordsResponse).Topics[0].Partitions[0]; p.ErrorCode != 0 || p.LowWatermark != before {
		t.Fatalf("delete records: %+v", p)
	}
}

// The new topic has an offset 1, too, but it is another record.
func testReadRecreated(t *testing.T, c *Client) {
	topic := c.options.TopicName(Scores)
	produce(t, franz(t, c.options), topic, 0, "a", "b", "c")
	r := newReader(t, c, Scores, 0)
	wantSame(t, "before", readValues(t, r, 0, 1, 1), []string{"a"})
	wantSame(t, "before", readValues(t, r, 0, 3, 3), []string{"a", "b", "c"})
	deleteTopics(t, c, topic)
	eventually(t, func(ctx context.Context) error { // a broker takes its time to forget it
		plan, err := c.Plan(ctx)
		if err == nil {
			err = c.Apply(ctx, plan)
		}
		if err == nil {
			_, err = c.Topics(ctx)
		}
		return err
	})
	produce(t, franz(t, c.options), topic, 0, "x", "y", "z", "0", "1", "2")
	for range 2 {
		_, err := r.Read(testContext(t), 3, 1, nil)
		wantSetting(t, err, "kafka.topic_prefix", topic, "deleted and made again")
	}
	wantSame(t, "a new reader", readValues(t, newReader(t, c, Scores, 0), 2, 2, 9), []string{"z", "0"})
}

func TestReaderOutage(t *testing.T) {
	cluster, g := gated(t)
	o := options(cluster.ListenAddrs()...)
	c := newClient(t, o)
	apply(t, c)
	topic := o.TopicName(Rejects)
	produce(t, franz(t, o), topic, 0, "a", "b")
	r := newReader(t, c, Rejects, 0)
	wantSame(t, "before", readValues(t, r, 0, 1, 1), []string{"a"})
	g.close()
	wantSame(t, "what was read ahead", readValues(t, r, 1, 1, 1), []string{"b"})
	eventually(t, func(ctx context.Context) error {
		within, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		if recs, err := r.Read(within, 2, 1, nil); !errors.Is(err, context.DeadlineExceeded) || len(recs) > 0 {
			t.Fatalf("read during an outage: %v, %v", recs, err)
		}
		if counted(t, r.metrics.errors) < 3 {
			return errors.New("not tried again yet")
		}
		return nil
	})
	within, cancel := context.WithTimeout(testContext(t), 100*time.Millisecond)
	defer cancel()
	err := newReader(t, c, Rejects, 0).Refresh(within)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), o.TopicName(Rejects)) {
		t.Errorf("refresh during an outage: %v", err)
	}
	g.reopen()
	produce(t, franz(t, o), topic, 0, "c")
	wantSame(t, "after", readValues(t, r, 2, 1, 1), []string{"c"})
}

// What brokers refuse is tried again, until it is right.
func TestReaderGoesOn(t *testing.T) {
	cluster := fake(t)
	o := options(cluster.ListenAddrs()...)
	c := newClient(t, o)
	apply(t, c)
	topic := o.TopicName(Rejects)
	producer := franz(t, o)
	values := numbered(0, 40)
	for _, v := range values {
		produce(t, producer, topic, 0, v)
	}
	made, err := c.Topics(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	answer := func(code int16, batches []byte) func(kmsg.Request) (kmsg.Response, error, bool) {
		return func(request kmsg.Request) (kmsg.Response, error, bool) {
			response := request.ResponseKind().(*kmsg.FetchResponse)
			rt := kmsg.NewFetchResponseTopic()
			rt.TopicID = made[Rejects].ID
			rp := kmsg.NewFetchResponseTopicPartition()
			rp.ErrorCode, rp.RecordBatches, rp.HighWatermark, rp.LogStartOffset = code, batches, 40, 0
			rt.Partitions = append(rt.Partitions, rp)
			response.Topics = append(response.Topics, rt)
			return response, nil, true
		}
	}
	good := encodeBatch(t, 0, codecZstd, nil, sent{0, "not to be seen"})
	spoilt := slices.Clone(good)
	spoilt[len(spoilt)-1]++
	for name, fn := range map[string]func(kmsg.Request) (kmsg.Response, error, bool){
		"not leader":     answer(6, nil),
		"unknown topic":  answer(3, nil),
		"unknown id":     answer(100, nil),
		"out of range":   answer(1, nil), // it is not: another broker has it
		"not authorized": answer(29, nil),
		"storage":        answer(56, nil),
		"checksum":       answer(0, spoilt),
		"part":           answer(0, good[:len(good)-1]),
		"nothing":        answer(0, []byte{}),
		"behind":         answer(0, good), // the reader is at 1
		"whole topic":    func(r kmsg.Request) (kmsg.Response, error, bool) { return r.ResponseKind(), nil, true },
		"whole response": func(r kmsg.Request) (kmsg.Response, error, bool) {
			a := r.ResponseKind().(*kmsg.FetchResponse)
			a.ErrorCode = 74
			return a, nil, true
		},
		"hangs up": func(kmsg.Request) (kmsg.Response, error, bool) { return nil, errors.New("hang up"), true },
	} {
		r := newReader(t, c, Rejects, 0)
		met := false // requests come one at a time
		cluster.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
			cluster.KeepControl()
			if met || request.(*kmsg.FetchRequest).Topics[0].Partitions[0].FetchOffset != 1 { // one of the last reader
				return nil, nil, false
			}
			met = true
			return fn(request)
		})
		wantSame(t, name, readValues(t, r, 1, len(values)-1, 13), values[1:])
		if tried := counted(t, r.metrics.errors); (tried == 0) != (name == "nothing") {
			t.Errorf("%s: %v errors", name, tried)
		}
	}
}

func TestReaderWithoutTopic(t *testing.T) {
	c := newClient(t, options(fake(t).ListenAddrs()...))
	r := newReader(t, c, Rejects, 0)
	read := make(chan []string)
	go func() { read <- readValues(t, r, 0, 1, 1) }()
	eventually(t, func(context.Context) error {
		if counted(t, r.metrics.errors) == 0 {
			return errors.New("not tried yet")
		}
		return nil
	})
	within, cancel := context.WithTimeout(testContext(t), 100*time.Millisecond)
	defer cancel()
	wantSetting(t, newReader(t, c, Rejects, 0).Refresh(within), "kafka.topic_prefix", "there is no topic carom.rejects")
	apply(t, c)
	produce(t, franz(t, c.options), "carom.rejects", 0, "a")
	wantSame(t, "once it is there", <-read, []string{"a"})
}

// A partition moves between brokers while it is read.
func TestReaderFollowsLeader(t *testing.T) {
	cluster := fake(t, kfake.NumBrokers(3))
	o := options(cluster.ListenAddrs()...)
	c := newClient(t, o)
	createTopic(t, c, o.TopicName(Rejects), 1)
	topic := o.TopicName(Rejects)
	r := newReader(t, c, Rejects, 0)
	values := numbered(0, 4)
	for i, v := range values {
		if err := cluster.MoveTopicPartition(topic, 0, int32(i%3)); err != nil {
			t.Fatal(err)
		}
		produce(t, franz(t, o), topic, 0, v)
		wantSame(t, fmt.Sprint("on broker ", i%3), readValues(t, r, int64(i), 1, 1), []string{v})
	}
}

// Compaction leaves gaps, within batches and between them.
func TestReaderOfCompacted(t *testing.T) {
	cluster := fake(t)
	o := options(cluster.ListenAddrs()...)
	c := newClient(t, o)
	apply(t, c)
	producer := franz(t, o)
	for round := range 20 {
		var recs []*kgo.Record
		for i := range 10 {
			if round == 19 || i%7 != round%7 {
				recs = append(recs, &kgo.Record{Topic: o.TopicName(Scores), Key: fmt.Append(nil, i), Value: fmt.Append(nil, round)})
			}
		}
		if err := producer.ProduceSync(testContext(t), recs...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	cluster.Compact()
	r := newReader(t, c, Scores, 0)
	if err := r.Refresh(testContext(t)); err != nil {
		t.Fatal(err)
	}
	oldest, next := r.Bounds()
	newest := make(map[string]string)
	last := oldest - 1
	for last < next-1 {
		for _, rec := range readRecords(t, r, last+1, 1, 1) {
			newest[string(rec.Key)], last = string(rec.Value), rec.Offset
		}
	}
	if len(newest) != 10 {
		t.Errorf("%d keys", len(newest))
	}
	for i := range 10 {
		if got := newest[fmt.Sprint(i)]; got != "19" {
			t.Errorf("newest of %d is %q", i, got)
		}
	}
}
