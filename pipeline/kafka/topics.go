package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"carom/pipeline/event"
)

// The topics, without their prefix.
const (
	Raw          = "raw"
	Events       = "events"
	Addresses    = "addresses"
	Scores       = "scores"
	Suppressions = "suppressions"
	Rejects      = "rejects"
	Controls     = "controls"
)

// topicKinds lists them all, in the order of the data flow.
var topicKinds = []string{Raw, Events, Addresses, Scores, Suppressions, Rejects, Controls}

// TopicName returns the full name of a topic, such as carom.raw.
func (o Options) TopicName(kind string) string { return o.TopicPrefix + "." + kind }

func (o Options) topicNames() []string {
	names := make([]string, len(topicKinds))
	for i, kind := range topicKinds {
		names[i] = o.TopicName(kind)
	}
	return names
}

// TopicSpec is a topic as we want it.
type TopicSpec struct {
	Name          string
	Partitions    int
	PartitionsKey string // the setting that says how many; empty: the design does
	Replication   int
	Configs       []TopicConfig
}

// TopicConfig is one setting of a topic, in Kafka's words.
type TopicConfig struct {
	Key, Value string
	From       string // our setting that it comes from, if any
}

// Of compacted topics the broker leaves the newest segment alone, so a new one is begun every day; and who was away
// for a week still hears of a key that was removed.
const (
	compactedSegment = 24 * time.Hour
	compactedTombs   = 7 * 24 * time.Hour
	onePartition     = 1 // addresses: only one may decide about one; suppressions, controls: all nodes follow one order
)

// Specs returns all topics as the settings want them.
func (o Options) Specs() []TopicSpec {
	specs := make([]TopicSpec, len(topicKinds))
	for i, kind := range topicKinds {
		specs[i] = TopicSpec{
			Name: o.TopicName(kind), Partitions: o.Partitions, PartitionsKey: "kafka.partitions", Replication: o.Replication,
			Configs: append(o.kindConfigs(kind), o.commonConfigs()...),
		}
		if kind == Addresses || kind == Suppressions || kind == Controls {
			specs[i].Partitions, specs[i].PartitionsKey = onePartition, ""
		}
	}
	return specs
}

func (o Options) kindConfigs(kind string) []TopicConfig {
	switch kind {
	case Raw:
		// Log time is the broker's, so that no edge's clock can hold back or hurry the others' facts.
		return append(kept(o.RawRetention, "kafka.raw_retention"), TopicConfig{Key: "message.timestamp.type", Value: "LogAppendTime"})
	case Events:
		return append(kept(o.EventsRetention, "kafka.events_retention"), ownTime)
	case Addresses:
		return append(kept(o.AddressesRetention, "kafka.addresses_retention"), ownTime)
	case Rejects:
		return append(kept(o.RejectsRetention, "kafka.rejects_retention"), ownTime)
	case Scores, Suppressions, Controls:
		return []TopicConfig{
			{Key: "cleanup.policy", Value: "compact"},
			{Key: "segment.ms", Value: millis(compactedSegment)},
			{Key: "delete.retention.ms", Value: millis(compactedTombs)},
			ownTime,
		}
	}
	panic("BUG: no settings for topic " + kind)
}

// ownTime: a stage stamps what it writes with the log time of the input that released it. So the same input gives the
// same records, whoever writes them and when.
var ownTime = TopicConfig{Key: "message.timestamp.type", Value: "CreateTime"}

func kept(retention time.Duration, from string) []TopicConfig {
	return []TopicConfig{
		{Key: "cleanup.policy", Value: "delete"},
		{Key: "retention.ms", Value: millis(retention), From: from},
		{Key: "retention.bytes", Value: "-1"},
	}
}

func (o Options) commonConfigs() []TopicConfig {
	return []TopicConfig{
		{Key: "min.insync.replicas", Value: strconv.Itoa(o.MinInsyncReplicas), From: "kafka.min_insync_replicas"},
		// A leader without the acknowledged records would lose them for good.
		{Key: "unclean.leader.election.enable", Value: "false"},
		{Key: "compression.type", Value: "producer"},
		{Key: "max.message.bytes", Value: strconv.Itoa(o.maxMessageBytes()), From: "kafka.batch_bytes"},
	}
}

// maxMessageBytes is what a topic must take at once: a full batch, or one event of the largest size alone. Twice
// that, because JSON and the compression of what can't be compressed add to it.
func (o Options) maxMessageBytes() int { return 2 * max(o.BatchBytes, event.MaxBinaryBytes) }

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// Topics returns our topics as they are, by kind. Its error names the first that is missing or has another number of
// partitions than the settings say, or that the brokers can't tell about just now (ErrUnreachable). The ids are for
// the caller to keep, and to compare at the next start with SameTopic.
func (c *Client) Topics(ctx context.Context) (map[string]Topic, error) {
	specs := c.options.Specs()
	found, err := c.describe(ctx, c.options.topicNames())
	if err != nil {
		return nil, err
	}
	byName := topicsByName(found.Topics)
	topics := make(map[string]Topic, len(specs))
	for i, spec := range specs {
		topic, ok := byName[spec.Name]
		switch {
		case !ok || errors.Is(topic.Err, kafkago.UnknownTopicOrPartition):
			return nil, wrong("topic_prefix", "%q: there is no topic %s: 'carom topics apply' makes it", c.options.TopicPrefix, spec.Name)
		case topic.Err != nil:
			return nil, c.topicError(ctx, topic)
		}
		if err := checkPartitions(spec, topic); err != nil {
			return nil, err
		}
		topics[topicKinds[i]] = topic
	}
	return topics, nil
}

func topicsByName(list []Topic) map[string]Topic {
	m := make(map[string]Topic, len(list))
	for _, t := range list {
		m[t.Name] = t
	}
	return m
}

// topicError explains why the brokers say no more of a topic.
func (c *Client) topicError(ctx context.Context, t Topic) error {
	err := fmt.Errorf("topic %s: %w", t.Name, t.Err)
	if code := kafkago.Error(0); errors.As(t.Err, &code) && code.Temporary() {
		return away("brokers", "%w", err)
	}
	return c.explain(ctx, err)
}

// checkPartitions refuses another number than wanted: a message's partition follows from it, and all that is known of
// the message lies with the worker of that partition.
func checkPartitions(spec TopicSpec, t Topic) error {
	if have := len(t.Partitions); have != spec.Partitions {
		if spec.PartitionsKey == "" {
			return wrong("topic_prefix", "topic %s has %d partitions: want exactly %d; partitions are never changed: delete the topic, or use another prefix", t.Name, have, spec.Partitions)
		}
		return wrong("partitions", "%d: topic %s has %d, and partitions are never changed: set %d, or use another kafka.topic_prefix", spec.Partitions, t.Name, have, have)
	}
	return nil
}

// SameTopic compares a topic with the id and the number of partitions that were kept of it, and says what it means if
// they differ.
func SameTopic(t Topic, id TopicID, partitions int) error {
	switch {
	case t.ID != id:
		return wrong("topic_prefix", "topic %s was deleted and made again since this node last read it (its id is %v, was %v): what this node knows is of the former, and its offsets begin again, which whoever reads events takes for repeats: choose another prefix, make its topics, and remove the node's state to begin anew", t.Name, t.ID, id)
	case len(t.Partitions) != partitions:
		return wrong("partitions", "topic %s has %d partitions, and the state on this node's disk is of %d: restore the topic, or remove the node's state to begin anew", t.Name, len(t.Partitions), partitions)
	}
	return nil
}
