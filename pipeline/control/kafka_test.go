package control

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap/zaptest"

	"carom/kv"
	"carom/pipeline/kafka"
)

const topicsWait = 2 * time.Minute

func kafkaOptions(brokers ...string) kafka.Options {
	o := kafka.Default()
	o.Development()
	o.Brokers, o.Partitions = brokers, 2
	o.RequestTimeout = time.Minute
	return o
}

// node is one of several that follow the same topic.
type node struct {
	*Controls
	store *kv.Store
	stop  func()
}

func newNode(t *testing.T, o kafka.Options, store *kv.Store) *node {
	t.Helper()
	return newNodeAdopting(t, o, store, nil)
}

// newNodeAdopting returns one that was embedded before.
func newNodeAdopting(t *testing.T, o kafka.Options, store, before *kv.Store) *node {
	t.Helper()
	client, err := kafka.New(o, zaptest.NewLogger(t), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	producer, reader := client.NewProducer(prometheus.NewRegistry()), client.NewReader(kafka.Controls, 0, nil)
	c, err := Open(Default(), store, Log{In: reader, Out: producer.Controls(), Compacted: true}, zaptest.NewLogger(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if before != nil {
		if err := c.Adopt(before); err != nil {
			t.Fatal(err)
		}
	}
	n := &node{Controls: c, store: store, stop: run(t, c)}
	t.Cleanup(func() {
		n.stop()
		if err := errors.Join(reader.Close(), producer.Close(), client.Close()); err != nil {
			t.Error(err)
		}
	})
	return n
}

// until waits for what follows from the log.
func until(t *testing.T, what string, isTrue func() bool) {
	t.Helper()
	for end := time.Now().Add(topicsWait); !isTrue(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never:", what)
		}
	}
}

// testNodes has two nodes deny and allow, and a third that comes later.
func testNodes(t *testing.T, o kafka.Options) {
	ctx := context.Background()
	a, b := newNode(t, o, openStore(t, vfs.NewMem())), newNode(t, o, openStore(t, vfs.NewMem()))
	if err := a.Set(ctx, denied("c-1", "c-2", "c-3")...); err != nil {
		t.Fatal(err)
	}
	if !a.Table().Denied("acme", "c-1") {
		t.Error("the node that wrote does not know")
	}
	until(t, "the other node knows", func() bool { return b.Table().Denied("acme", "c-3") })
	if err := b.Remove(ctx, denied("c-1")...); err != nil {
		t.Fatal(err)
	}
	until(t, "the first hears that it was taken back", func() bool { return !a.Table().Denied("acme", "c-1") })

	c := newNode(t, o, openStore(t, vfs.NewMem()))
	until(t, "a new node knows the same", func() bool {
		return c.Table().Denied("acme", "c-3") && !c.Table().Denied("acme", "c-1") && c.Table().len(Denied) == 2
	})

	// What it knows outlives it, without a broker.
	store := c.store
	c.stop()
	away := kafkaOptions("127.0.0.1:1")
	d := newNode(t, away, store)
	if !d.Table().Denied("acme", "c-3") || d.Table().Denied("acme", "c-1") {
		t.Error("forgotten while Kafka is away")
	}
	given, cancel := context.WithCancel(ctx)
	cancel()
	if err := d.Set(given, denied("c-9")...); !errors.Is(err, ErrUnavailable) {
		t.Error("written without a broker:", err)
	}
}

func TestTwoNodes(t *testing.T) {
	cluster, o := fakeTopics(t)
	_ = cluster
	testNodes(t, o)
}

func fakeTopics(t *testing.T) (*kfake.Cluster, kafka.Options) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	o := kafkaOptions(cluster.ListenAddrs()...)
	for _, spec := range o.Specs() {
		if err := cluster.CreateTopic(spec.Name, int32(spec.Partitions), nil); err != nil {
			t.Fatal(err)
		}
	}
	return cluster, o
}

// TestAwayForLong deletes the beginning of the topic, removals included, as compaction does in the end: a node that
// was away for that long must not keep what was removed.
func TestAwayForLong(t *testing.T) {
	cluster, o := fakeTopics(t)
	ctx := context.Background()
	store := openStore(t, vfs.NewMem())
	old := newNode(t, o, store)
	if err := old.Set(ctx, denied("gone", "stays")...); err != nil {
		t.Fatal(err)
	}
	until(t, "it is known", func() bool { return old.Table().Denied("acme", "gone") })
	old.stop()

	n := newNode(t, o, openStore(t, vfs.NewMem()))
	if err := n.Remove(ctx, denied("gone")...); err != nil {
		t.Fatal(err)
	}
	if err := n.Set(ctx, denied("stays", "new")...); err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	partition := kmsg.NewDeleteRecordsRequestTopicPartition()
	partition.Offset = 3
	topic := kmsg.NewDeleteRecordsRequestTopic()
	topic.Topic, topic.Partitions = o.TopicName(kafka.Controls), append(topic.Partitions, partition)
	request := kmsg.NewPtrDeleteRecordsRequest()
	request.TimeoutMillis, request.Topics = 10_000, append(request.Topics, topic)
	answer, err := request.RequestWith(ctx, client)
	if err != nil || answer.Topics[0].Partitions[0].ErrorCode != 0 {
		t.Fatal(answer, err)
	}

	back := newNode(t, o, store)
	until(t, "it hears of what is new", func() bool { return back.Table().Denied("acme", "new") })
	until(t, "it drops what was removed", func() bool { return !back.Table().Denied("acme", "gone") })
	if !back.Table().Denied("acme", "stays") {
		t.Error("what stays is lost")
	}
	if _, ok, err := back.Get(Denied, "acme", "gone"); ok || err != nil {
		t.Error("its row is there still", err)
	}
}

// TestBrokerControls lets a real broker compact the topic: what is left tells the same.
func TestBrokerControls(t *testing.T) {
	address := os.Getenv("CAROM_TEST_KAFKA")
	if address == "" {
		t.Skip("CAROM_TEST_KAFKA is not set: there is no Kafka broker; 'make test-kafka' starts one")
	}
	o := kafkaOptions(address)
	o.TopicPrefix = "carom-test-" + strings.ToLower(rand.Text())
	ctx := context.Background()
	client, err := kafka.New(o, zaptest.NewLogger(t), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	plan, err := client.Plan(ctx)
	if err == nil {
		err = client.Apply(ctx, plan)
	}
	if err != nil {
		t.Fatal(err)
	}
	testNodes(t, o)

	franz, err := kgo.NewClient(kgo.SeedBrokers(address))
	if err != nil {
		t.Fatal(err)
	}
	defer franz.Close()
	topic := o.TopicName(kafka.Controls)
	resource := kmsg.NewIncrementalAlterConfigsRequestResource()
	resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeTopic, topic
	for _, setting := range [][2]string{{"segment.ms", "100"}, {"min.cleanable.dirty.ratio", "0.001"}, {"delete.retention.ms", "0"}} {
		config := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		config.Name, config.Value = setting[0], &setting[1]
		resource.Configs = append(resource.Configs, config)
	}
	request := kmsg.NewPtrIncrementalAlterConfigsRequest()
	request.Resources = append(request.Resources, resource)
	if _, err := request.RequestWith(ctx, franz); err != nil {
		t.Fatal(err)
	}
	n := newNode(t, o, openStore(t, vfs.NewMem()))
	for round := 0; round < 240 && !compacted(t, address, topic, n.passed.Load()); round++ {
		if err := n.Set(ctx, denied(fmt.Sprint("c-", round%3))...); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond) // the broker's own clock begins a new segment
	}
	if !compacted(t, address, topic, n.passed.Load()) {
		t.Fatal("the broker has compacted nothing")
	}
	late := newNode(t, o, openStore(t, vfs.NewMem()))
	until(t, "a new node knows all", func() bool { return late.passed.Load() > 0 && late.passed.Load() >= n.passed.Load() })
	for _, name := range []string{"c-0", "c-1", "c-2", "c-3"} {
		if got, want := late.Table().Denied("acme", name), n.Table().Denied("acme", name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// compacted reports whether records are missing before the offset end.
func compacted(t *testing.T, address, topic string, end int64) bool {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(address), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	records := int64(0)
	for last := int64(-1); last < end-1; {
		ctx, cancel := context.WithTimeout(context.Background(), topicsWait)
		fetches := client.PollFetches(ctx)
		cancel()
		if err := fetches.Err0(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) { records++; last = r.Offset })
	}
	return records < end
}
