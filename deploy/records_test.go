package deploy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap/zaptest"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/journal"
	"carom/pipeline/kafka"
	"carom/pipeline/log"
)

// cluster is one in this process with our topics, our client of it, and a client that is not ours.
type cluster struct {
	options  kafka.Options
	producer *kafka.Producer
	stranger *kgo.Client
	read     map[string][]*kgo.Record // by topic kind
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	fake, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	c := &cluster{options: kafka.Default(), read: map[string][]*kgo.Record{}}
	c.options.Development()
	c.options.Brokers, c.options.Partitions = fake.ListenAddrs(), 4
	c.options.DialTimeout, c.options.RequestTimeout = time.Minute, time.Minute
	client, err := kafka.New(c.options, zaptest.NewLogger(t), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, client.Close) })
	plan, err := client.Plan(testContext(t))
	if err == nil {
		err = client.Apply(testContext(t), plan)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.producer = client.NewProducer(prometheus.NewRegistry())
	t.Cleanup(func() { closed(t, c.producer.Close) })
	var names []string
	for _, spec := range c.options.Specs() {
		names = append(names, spec.Name)
	}
	c.stranger, err = kgo.NewClient(kgo.SeedBrokers(c.options.Brokers...), kgo.ConsumeTopics(names...), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.stranger.Close)
	return c
}

func closed(t testing.TB, f func() error) {
	if err := f(); err != nil {
		t.Error(err)
	}
}

// fetch reads until there are n records of a topic.
func (c *cluster) fetch(t *testing.T, kind string, n int) []*kgo.Record {
	t.Helper()
	for len(c.read[kind]) < n {
		fetches := c.stranger.PollFetches(testContext(t))
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			kind := strings.TrimPrefix(r.Topic, c.options.TopicPrefix+".")
			c.read[kind] = append(c.read[kind], r)
		})
	}
	return c.read[kind]
}

// cloudEvents compiles the schema that asyncapi.yaml has of the headers.
func cloudEvents(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	doc := asyncAPI(t).child("components").child("schemas").child("cloudEvents").data
	if err := c.AddResource("headers.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("headers.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Records of events as Carom's own writer writes them: place, key, time, headers and value are as published.
func TestEventRecords(t *testing.T) {
	c := newCluster(t)
	r := newRandom(t)
	var recs []log.Record
	want := map[string]event.Refined{} // by origin
	for i, kind := range append(kinds(), kinds()...) {
		e := refined(r, kind)
		e.Origin.Partition, e.Origin.Offset, e.Origin.N = 3, int64(i), 0
		want[fmt.Sprintf("3/%d/0", i)] = e
		recs = append(recs, log.Record{Time: event.Millis(1795283103120 + i), Key: event.AppendSenderKey(nil, e.Account, e.Sender), Value: e.AppendJSON(nil), Head: e.Head()})
	}
	if err := c.producer.Events().Write(testContext(t), nil, recs); err != nil {
		t.Fatal(err)
	}
	headers, value := cloudEvents(t), schema(t, "event.schema.json")
	partitioner := kgo.StickyKeyPartitioner(nil).ForTopic("") // as Java does it
	for _, rec := range c.fetch(t, kafka.Events, len(recs)) {
		have := map[string]any{}
		for _, h := range rec.Headers {
			have[h.Key] = string(h.Value)
		}
		if err := errors.Join(headers.Validate(have), value.Validate(parse(t, rec.Value))); err != nil {
			t.Fatalf("%v\n%v\n%s", err, have, rec.Value)
		}
		origin := have["ce_origin"].(string)
		e, ok := want[origin]
		if !ok {
			t.Fatalf("origin %s, twice or never written", origin)
		}
		delete(want, origin)
		if !bytes.Equal(rec.Value, e.AppendJSON(nil)) || !bytes.Equal(rec.Key, event.AppendSenderKey(nil, e.Account, e.Sender)) {
			t.Errorf("%s: key %q, value %s", origin, rec.Key, rec.Value)
		}
		if got, want := rec.Timestamp.UnixMilli(), 1795283103120+e.Origin.Offset; got != want {
			t.Errorf("%s: time %d, want %d", origin, got, want)
		}
		if have["ce_id"] != e.ID.String() || have["ce_type"] != "carom."+e.Kind.String() || have["ce_time"] != e.Time.Time().Format("2006-01-02T15:04:05.000Z") {
			t.Errorf("%s: headers %v", origin, have)
		}
		if want := partitioner.Partition(&kgo.Record{Key: rec.Key}, c.options.Partitions); int(rec.Partition) != want {
			t.Errorf("%s: partition %d, Kafka's partitioner says %d", rec.Key, rec.Partition, want)
		}
	}
	for _, header := range []string{"ce_id", "ce_origin", "content-type"} {
		if headers.Validate(map[string]any{header: "x"}) == nil {
			t.Errorf("headers with %s alone are taken", header)
		}
	}
}

// Raw records as the relay and the ticker write them are read by the published names.
func TestRawRecords(t *testing.T) {
	c := newCluster(t)
	j, store := newJournal(t)
	r := newRandom(t)
	var facts []*event.Event
	for _, kind := range kinds() {
		e := raw(r, kind)
		facts = append(facts, &e)
	}
	if err := j.Append(journal.Essential, facts...); err != nil {
		t.Fatal(err)
	}
	relay, err := c.producer.NewRelay(j, j.Incarnation(), store, zaptest.NewLogger(t), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(testContext(t))
	ended := make(chan error, 1)
	go func() { ended <- relay.Run(ctx) }()
	records := c.fetch(t, kafka.Raw, len(facts))
	stop()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	file := rawProto(t)
	incarnation := j.Incarnation()
	for _, rec := range records {
		outer := fields(decode(t, file, "Envelope", 0xC1, rec.Value))
		sequence, _ := outer["sequence"].(uint64) // 0 is left out
		e := facts[sequence]
		if outer["node"] != "edge-1" || outer["incarnation"] != string(incarnation[:]) || len(rec.Key) > 0 {
			t.Errorf("envelope %q, key %q", outer, rec.Key)
		}
		if got, want := fields(decode(t, file, "Event", 1, []byte(outer["event"].(string)))), want(e); !maps.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		if want := e.Key.Partition(c.options.Partitions); int(rec.Partition) != want {
			t.Errorf("partition %d, want %d", rec.Partition, want)
		}
	}
	if err := c.producer.Ticker(2).Tick(testContext(t)); err != nil {
		t.Fatal(err)
	}
	tick := c.fetch(t, kafka.Raw, len(facts)+1)[len(facts)]
	outer := fields(decode(t, file, "Envelope", 0xC1, tick.Value))
	if len(outer) != 1 || fields(decode(t, file, "Event", 1, []byte(outer["event"].(string))))["kind"] != uint64(event.Tick) || tick.Partition != 2 {
		t.Errorf("a tick is %q in partition %d", outer, tick.Partition)
	}
}

func newJournal(t *testing.T) (*journal.Journal, *kv.Store) {
	t.Helper()
	stores := make([]*kv.Store, 2)
	for i, role := range []string{kv.RoleJournal, kv.RoleState} {
		s, err := kv.Open(filepath.Join(t.TempDir(), role), kv.Options{Role: role})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closed(t, s.Close) })
		stores[i] = s
	}
	j, err := journal.Open(stores[0], journal.Default(), journal.Deps{Node: "edge-1", Logger: zaptest.NewLogger(t), Registerer: prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, j.Close) })
	return j, stores[1]
}
