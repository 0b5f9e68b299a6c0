package deploy_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"carom/pipeline/event"
	"carom/pipeline/kafka"
)

// testWait bounds what a test waits for, on a machine that does much else.
const testWait = 2 * time.Minute

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testWait)
	t.Cleanup(cancel)
	return ctx
}

// broker returns the address of the real broker, which `make test-kafka` starts.
func broker(t testing.TB) string {
	t.Helper()
	address := os.Getenv("CAROM_TEST_KAFKA")
	if address == "" {
		t.Skip("CAROM_TEST_KAFKA is not set: there is no Kafka broker; 'make test-kafka' starts one")
	}
	return address
}

// topic is a topic of events of this test's own.
type topic struct {
	broker, prefix, name string
	partitions           int32
	client               *kgo.Client
}

func newTopic(t testing.TB, broker string) *topic {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	prefix := "carom-test-" + strings.ToLower(rand.Text())
	tp := &topic{broker: broker, prefix: prefix, name: prefix + ".events", partitions: 3, client: client}
	create := kmsg.NewPtrCreateTopicsRequest()
	asked := kmsg.NewCreateTopicsRequestTopic()
	asked.Topic, asked.NumPartitions, asked.ReplicationFactor = tp.name, tp.partitions, 1
	create.Topics = append(create.Topics, asked)
	answer, err := create.RequestWith(testContext(t), client)
	if err == nil {
		err = kerr.ErrorForCode(answer.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		remove := kmsg.NewPtrDeleteTopicsRequest()
		named := kmsg.NewDeleteTopicsRequestTopic()
		named.Topic = kmsg.StringPtr(tp.name)
		remove.TopicNames, remove.Topics = []string{tp.name}, append(remove.Topics, named)
		if _, err := remove.RequestWith(context.Background(), client); err != nil {
			t.Error(err)
		}
	})
	return tp
}

// publish writes events as Carom does, in their order.
func (tp *topic) publish(t testing.TB, events ...event.Refined) {
	t.Helper()
	records := make([]*kgo.Record, len(events))
	for i := range events {
		e := &events[i]
		records[i] = &kgo.Record{
			Topic: tp.name, Key: event.AppendSenderKey(nil, e.Account, e.Sender), Value: e.AppendJSON(nil), Timestamp: e.Time.Time(),
			Headers: []kgo.RecordHeader{
				{Key: "ce_specversion", Value: []byte("1.0")},
				{Key: "ce_id", Value: []byte(e.ID.String())},
				{Key: "ce_type", Value: []byte("carom." + e.Kind.String())},
				{Key: "ce_source", Value: []byte("/carom/" + e.Origin.Node)},
				{Key: "ce_time", Value: []byte(e.Time.Time().Format("2006-01-02T15:04:05.000Z"))},
				{Key: "content-type", Value: []byte("application/json")},
				{Key: "ce_origin", Value: fmt.Appendf(nil, "%d/%d/%d", e.Origin.Partition, e.Origin.Offset, e.Origin.N)},
			},
		}
	}
	if err := tp.client.ProduceSync(testContext(t), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		// The client is not ours: that it finds the same partition shows that others do.
		if want := kafka.KeyPartition(r.Key, tp.partitions); r.Partition != want {
			t.Errorf("%s went to partition %d, the code says %d", r.Key, r.Partition, want)
		}
	}
}

// stream makes n events of some senders, released by some raw partitions in turn, with steps that release several.
func stream(t testing.TB, n int) []event.Refined {
	t.Helper()
	const sources, atOnce = 4, 2
	events := make([]event.Refined, n)
	for i := range events {
		k := i / sources // number within the raw partition
		e := &events[i]
		e.ID[0], e.ID[1] = byte(i>>8), byte(i)
		e.Kind, e.Time = kinds()[i%2*3], 1795283103120+event.Millis(i)
		e.Account, e.Sender, e.Message, e.Contact = "acme", "sender-"+strconv.Itoa(i%7), "m-"+strconv.Itoa(i), "c, \t\"é\""
		if e.Kind == event.Click {
			e.URL, e.Actor.Verdict = "https://example.com/", event.Human
		}
		// From 8 to 12 the digits of offset and n change in number: they must be compared as numbers.
		e.Origin = event.Origin{Node: "edge-1", Partition: int32(i % sources), Offset: int64(8 + k/atOnce), N: int32(9 + k%atOnce)}
	}
	return events
}
