package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"carom/kv"
)

func newGroup(c *Client) *Group { return c.NewGroup("refine", Raw, prometheus.NewPedanticRegistry()) }

// runGroup runs g until the function that it returns is called.
func runGroup(t testing.TB, g *Group) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := g.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return stop
}

// seen returns what an independent client knows of the group.
func seen(t testing.TB, o Options) map[int32]int64 {
	t.Helper()
	request := kmsg.NewPtrOffsetFetchRequest()
	request.Group = o.TopicPrefix + ".refine"
	group := kmsg.NewOffsetFetchRequestGroup()
	group.Group = request.Group
	request.Groups = append(request.Groups, group) // all topics
	response, err := franz(t, o).Request(testContext(t), request)
	if err != nil {
		t.Fatal(err)
	}
	offsets := make(map[int32]int64)
	for _, topic := range response.(*kmsg.OffsetFetchResponse).Groups[0].Topics {
		if topic.Topic != o.TopicName(Raw) {
			t.Errorf("offsets of topic %q", topic.Topic)
		}
		for _, p := range topic.Partitions {
			if p.Offset >= 0 {
				offsets[p.Partition] = p.Offset
			}
		}
	}
	return offsets
}

func wantOffsets(t testing.TB, what string, got, want map[int32]int64) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestGroup(t *testing.T) { testGroup(t, options(fake(t).ListenAddrs()...)) }

func TestBrokerGroup(t *testing.T) { testGroup(t, broker(t, "")) }

func testGroup(t *testing.T, o Options) {
	c := newClient(t, o)
	t.Cleanup(func() { deleteTopics(t, c, o.topicNames()...) })
	apply(t, c)
	g := newGroup(c)
	offsets, err := g.Committed(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	wantOffsets(t, "at first", offsets, map[int32]int64{})
	stop := runGroup(t, g)
	for i := range int64(1000) {
		g.Passed(1, i+1)
		g.Passed(3, 2*i)
	}
	want := map[int32]int64{1: 1000, 3: 1998}
	eventually(t, func(ctx context.Context) error {
		if offsets, err = g.Committed(ctx); err == nil && !maps.Equal(offsets, want) {
			err = fmt.Errorf("committed %v, want %v", offsets, want)
		}
		return err
	})
	if n := counted(t, g.metrics.commits); n > 100 {
		t.Errorf("%v commits", n)
	}
	g.Passed(0, 7)
	stop() // what is left is committed
	want[0] = 7
	wantOffsets(t, "seen by others", seen(t, o), want)

	// Another process of the group adds to it. While it rebuilds, the group stays where it is.
	again := newGroup(c)
	if _, err := again.Committed(testContext(t)); err != nil {
		t.Fatal(err)
	}
	stop = runGroup(t, again)
	again.Passed(1, 5)
	again.Passed(2, 5)
	again.Passed(3, 1999)
	stop()
	want[2], want[3] = 5, 1999
	if offsets, err = g.Committed(testContext(t)); err != nil {
		t.Fatal(err)
	}
	wantOffsets(t, "of both", offsets, want)

	// Brokers forget what is not committed again.
	commits := counted(t, again.metrics.commits)
	again.refresh()
	if err := again.commit(testContext(t)); err != nil || counted(t, again.metrics.commits) != commits+1 {
		t.Errorf("commit again: %v", err)
	}
	if err := again.commit(testContext(t)); err != nil || counted(t, again.metrics.commits) != commits+1 {
		t.Errorf("commit of nothing: %v", err)
	}
}

// A node remembers how far its partitions had come, and of no others.
func TestGroupKept(t *testing.T) {
	c := newClient(t, options("127.0.0.1:1"))
	g, other := newGroup(c), c.NewGroup("rollup", Events, nil)
	store := openState(t)
	for _, want := range []map[int32]int64{nil, {0: 0, 3: 1 << 40}, {3: 7}, {}} {
		if want != nil {
			if err := g.Keep(store, want); err != nil {
				t.Fatal(err)
			}
		}
		got, err := g.Kept(store)
		if err != nil {
			t.Fatal(err)
		}
		wantOffsets(t, "kept", got, want)
	}
	if got, err := other.Kept(store); err != nil || len(got) > 0 {
		t.Errorf("of another group: %v, %v", got, err)
	}
	for _, value := range []string{"", "\x02", "\x01short"} {
		b := store.NewBatch()
		if err := errors.Join(b.Set(g.keptKey(), []byte(value), nil), store.Commit(b)); err != nil {
			t.Fatal(err)
		}
		if got, err := g.Kept(store); err == nil || !strings.Contains(err.Error(), "use a newer Carom") {
			t.Errorf("%q: %v, %v", value, got, err)
		}
	}
}

func TestGroupOutage(t *testing.T) {
	cluster, gate := gated(t)
	o := options(cluster.ListenAddrs()...)
	c := newClient(t, o)
	apply(t, c)
	g := newGroup(c)
	stop := runGroup(t, g)
	gate.close()
	g.Passed(1, 5)
	g.Passed(2, 9)
	eventually(t, func(context.Context) error {
		if counted(t, g.metrics.errors) < 3 {
			return errors.New("not tried again yet")
		}
		return nil
	})
	within, cancel := context.WithTimeout(testContext(t), 100*time.Millisecond)
	defer cancel()
	if offsets, err := g.Committed(within); offsets != nil || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "carom.refine") {
		t.Errorf("during an outage: %v, %v", offsets, err)
	}
	g.Passed(1, 6)
	gate.reopen()
	want := map[int32]int64{1: 6, 2: 9}
	eventually(t, func(ctx context.Context) error {
		offsets, err := g.Committed(ctx)
		if err == nil && !maps.Equal(offsets, want) {
			err = fmt.Errorf("committed %v, want %v", offsets, want)
		}
		return err
	})
	stop()
}

// Not a coordinator, and other errors of a partition, are tried again.
func TestGroupGoesOn(t *testing.T) {
	cluster := fake(t)
	c := newClient(t, options(cluster.ListenAddrs()...))
	apply(t, c)
	const notCoordinator = 16
	cluster.ControlKey(int16(kmsg.OffsetCommit), func(request kmsg.Request) (kmsg.Response, error, bool) {
		response := request.ResponseKind().(*kmsg.OffsetCommitResponse)
		topic := kmsg.NewOffsetCommitResponseTopic()
		p := kmsg.NewOffsetCommitResponseTopicPartition()
		p.Partition, p.ErrorCode = 1, notCoordinator
		topic.Partitions = append(topic.Partitions, p)
		response.Topics = append(response.Topics, topic)
		return response, nil, true
	})
	cluster.ControlKey(int16(kmsg.OffsetCommit), func(request kmsg.Request) (kmsg.Response, error, bool) {
		return request.ResponseKind(), nil, true // says nothing
	})
	g := newGroup(c)
	stop := runGroup(t, g)
	g.Passed(1, 5)
	eventually(t, func(context.Context) error {
		if counted(t, g.metrics.commits) == 0 {
			return errors.New("not committed")
		}
		return nil
	})
	stop()
	if n := counted(t, g.metrics.errors); n != 2 {
		t.Errorf("%v errors", n)
	}
	wantOffsets(t, "in the end", seen(t, c.options), map[int32]int64{1: 5})

	cluster.ControlKey(int16(kmsg.OffsetFetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		response := request.ResponseKind().(*kmsg.OffsetFetchResponse)
		response.ErrorCode = notCoordinator
		return response, nil, true
	})
	offsets, err := g.Committed(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	wantOffsets(t, "read in the end", offsets, map[int32]int64{1: 5})
}

func TestBind(t *testing.T) {
	store, err := kv.Open("state", kv.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	topic := func(name string, id byte, partitions int) Topic {
		return Topic{Name: name, ID: TopicID{id}, Partitions: make([]TopicPartition, partitions)}
	}
	raw, events := topic("carom.raw", 1, 4), topic("carom.events", 2, 4)
	for _, topics := range []map[string]Topic{{Raw: raw}, {Raw: raw}, {Raw: raw, Events: events}, {Events: events}, nil} {
		if err := Bind(store, topics); err != nil {
			t.Errorf("%v: %v", topics, err)
		}
	}
	wantSetting(t, Bind(store, map[string]Topic{Raw: topic("carom.raw", 3, 4)}), "kafka.topic_prefix", "carom.raw", "deleted and made again")
	wantSetting(t, Bind(store, map[string]Topic{Raw: raw, Events: topic("carom.events", 2, 8)}), "kafka.partitions", "carom.events has 8 partitions", "is of 4")

	// When one is refused, the others are not kept.
	scores := topic("carom.scores", 5, 4)
	wantSetting(t, Bind(store, map[string]Topic{Addresses: scores, Raw: topic("carom.raw", 3, 4)}), "kafka.topic_prefix", "carom.raw")
	if err := Bind(store, map[string]Topic{Addresses: topic("carom.addresses", 6, 1)}); err != nil {
		t.Error(err)
	}

	// The stored bytes are a promise.
	key := append([]byte{kv.PrefixKafka, 1}, Raw...)
	value, ok, err := store.Get(nil, key)
	want := binary.BigEndian.AppendUint32(append([]byte{1, 1}, make([]byte, 15)...), 4)
	if err != nil || !ok || string(value) != string(want) {
		t.Errorf("kept %x, %v, want %x", value, err, want)
	}
	for _, value := range []string{"", "\x02", string(want[:20])} {
		b := store.NewBatch()
		if err := errors.Join(b.Set(key, []byte(value), nil), store.Commit(b), b.Close()); err != nil {
			t.Fatal(err)
		}
		if err := Bind(store, map[string]Topic{Raw: raw}); err == nil || !strings.Contains(err.Error(), "what is kept of topic carom.raw") {
			t.Errorf("kept %x: %v", value, err)
		}
	}
}
