package kafka

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The request is what another implementation of the protocol reads as meant.
func TestMetadataRequest(t *testing.T) {
	for _, topics := range [][]string{{}, {"carom.raw", "carom.events"}} {
		got := (&metadataRequest{client: "carom", topics: topics}).append(nil)
		want := kmsg.NewPtrMetadataRequest()
		want.Version = minMetadata
		want.Topics = []kmsg.MetadataRequestTopic{}
		for _, name := range topics {
			topic := kmsg.NewMetadataRequestTopic()
			topic.Topic = kmsg.StringPtr(name)
			want.Topics = append(want.Topics, topic)
		}
		body := kmsg.NewRequestFormatter(kmsg.FormatterClientID("carom")).AppendRequest(nil, want, correlation)
		if !bytes.Equal(got, body) {
			t.Errorf("%q:\n got %x\nwant %x", topics, got, body)
		}
	}
}

func metadataSample() (clusterInfo, []byte) {
	r := kmsg.NewPtrMetadataResponse()
	r.Version = minMetadata
	r.ClusterID = kmsg.StringPtr("cluster")
	r.ControllerID = 2
	for id, host := range []string{"a.example.com", "::1"} {
		b := kmsg.NewMetadataResponseBroker()
		b.NodeID, b.Host, b.Port = int32(id), host, 9092
		if id == 0 {
			b.Rack = kmsg.StringPtr("rack")
		}
		r.Brokers = append(r.Brokers, b)
	}
	topic := kmsg.NewMetadataResponseTopic()
	topic.Topic, topic.TopicID = kmsg.StringPtr("carom.raw"), [16]byte{1, 15: 2}
	for _, number := range []int32{1, 0} { // brokers tell them in any order
		p := kmsg.NewMetadataResponseTopicPartition()
		p.Partition, p.Leader, p.LeaderEpoch = number, 1-number, 7
		p.Replicas, p.ISR = []int32{0, 1}[number:], []int32{0}
		p.UnknownTags.Set(3, []byte("tag"))
		if number == 1 {
			p.ErrorCode, p.OfflineReplicas = int16(kafkago.LeaderNotAvailable), []int32{1}
		}
		topic.Partitions = append(topic.Partitions, p)
	}
	missing := kmsg.NewMetadataResponseTopic()
	missing.Topic, missing.ErrorCode = kmsg.StringPtr("carom.events"), int16(kafkago.UnknownTopicOrPartition)
	r.Topics = append(r.Topics, topic, missing)
	header := []byte{0x63, 0x61, 0x72, 0x6f, 0} // the correlation id, and no tags
	return clusterInfo{
		ID:      "cluster",
		Brokers: []Broker{{0, "a.example.com:9092"}, {1, "[::1]:9092"}},
		Topics: []Topic{
			{Name: "carom.raw", ID: TopicID{1, 15: 2}, Partitions: []TopicPartition{
				{Leader: 1, Replicas: []int32{0, 1}},
				{Leader: 0, Replicas: []int32{1}, Err: kafkago.LeaderNotAvailable},
			}},
			{Name: "carom.events", Err: kafkago.UnknownTopicOrPartition},
		},
	}, r.AppendTo(header)
}

func TestDecodeMetadata(t *testing.T) {
	want, body := metadataSample()
	got, err := decodeMetadata(body)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if n := got.Topics[0].Replication(); n != 1 {
		t.Errorf("replication %d, want that of the least replicated partition", n)
	}
	for n := range body {
		if _, err := decodeMetadata(body[:n]); !errors.Is(err, errMetadata) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
	if _, err := decodeMetadata(append(bytes.Clone(body), 0)); !errors.Is(err, errMetadata) {
		t.Errorf("a byte too many: %v", err)
	}
	body[0]++
	if _, err := decodeMetadata(body); !errors.Is(err, errMetadata) {
		t.Errorf("another request's answer: %v", err)
	}
}

func FuzzDecodeMetadata(f *testing.F) {
	_, body := metadataSample()
	f.Add(body)
	f.Add(body[:40])
	f.Fuzz(func(t *testing.T, body []byte) {
		info, err := decodeMetadata(body)
		if err != nil {
			return
		}
		n := len(info.Brokers) + len(info.Topics)
		for _, topic := range info.Topics {
			n += len(topic.Partitions)
		}
		if n > len(body) {
			t.Fatalf("%d elements from %d bytes", n, len(body))
		}
	})
}
