package kafka

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestTopics(t *testing.T) {
	testTopics(t, options(fake(t).ListenAddrs()...))
}

// testTopics makes, changes and recreates topics on a cluster of one broker that has none of o's. It is run against
// the fake broker and a real one.
func testTopics(t *testing.T, o Options) {
	ctx := testContext(t)
	first := newClient(t, o)
	t.Cleanup(func() { deleteTopics(t, first, o.topicNames()...) })

	c := first
	if _, err := c.Topics(ctx); err == nil {
		t.Fatal("there are no topics yet")
	} else {
		wantSetting(t, err, "kafka.topic_prefix", "there is no topic "+o.TopicName(Raw), "carom topics apply")
	}
	plan := planOf(t, c)
	if text := strings.ReplaceAll(plan.String(), o.TopicPrefix+".", "P."); text != wantPlan {
		t.Errorf("plan for an empty cluster:\n%s", text)
	}
	apply(t, c)
	made, err := c.Topics(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ids := make(map[TopicID]bool)
	for _, kind := range topicKinds {
		topic, want := made[kind], o.Partitions
		if kind == Addresses || kind == Suppressions || kind == Controls {
			want = 1
		}
		if topic.Name != o.TopicName(kind) || len(topic.Partitions) != want || topic.Replication() != 1 || topic.ID == (TopicID{}) || ids[topic.ID] {
			t.Errorf("%s is %+v", kind, topic)
		}
		ids[topic.ID] = true
		if err := SameTopic(topic, topic.ID, want); err != nil {
			t.Error(err)
		}
		wantSetting(t, SameTopic(topic, topic.ID, want+1), "kafka.partitions", topic.Name)
	}

	// A second client, with its own cache, sees the same; and doing it again changes nothing.
	c = newClient(t, o)
	if plan := planOf(t, c); !plan.Done() || strings.Count(plan.String(), "= ") != len(topicKinds) {
		t.Errorf("plan after apply:\n%v", plan)
	}
	apply(t, c)
	if again, err := c.Topics(ctx); err != nil || again[Raw].ID != made[Raw].ID {
		t.Errorf("topics after a second apply: %+v, %v", again, err)
	}

	t.Run("change", func(t *testing.T) { testChange(t, o) })
	t.Run("partitions", func(t *testing.T) { testPartitions(t, o, made) })
	t.Run("recreated", func(t *testing.T) { testRecreated(t, o, made[Raw]) })
}

func planOf(t testing.TB, c *Client) Plan {
	t.Helper()
	plan, err := c.Plan(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	if plan.Cluster == "" || plan.Brokers != 1 {
		t.Errorf("cluster %q of %d brokers", plan.Cluster, plan.Brokers)
	}
	return plan
}

func apply(t testing.TB, c *Client) {
	t.Helper()
	if err := c.Apply(testContext(t), planOf(t, c)); err != nil {
		t.Fatal(err)
	}
	if plan := planOf(t, c); !plan.Done() {
		t.Errorf("plan after apply:\n%v", plan)
	}
}

// testChange: other settings are shown, carried out, and leave the other topics as they are.
func testChange(t *testing.T, o Options) {
	o.RawRetention = 30 * 24 * time.Hour
	o.EventsRetention = 60*24*time.Hour + 12*time.Hour
	c := newClient(t, o)
	plan := planOf(t, c)
	text := strings.ReplaceAll(plan.String(), o.TopicPrefix+".", "P.")
	want := `~ P.raw
    retention.ms: 3888000000 (45 d) -> 2592000000 (30 d)   (deletes the records beyond)
~ P.events
    retention.ms: 3888000000 (45 d) -> 5227200000 (1452h0m0s)
= P.addresses
= P.scores
= P.suppressions
= P.rejects
= P.controls
`
	if text != want || plan.Done() || plan.Refused() != nil {
		t.Errorf("plan:\n%s", text)
	}
	apply(t, c)
}

// testPartitions: another number of partitions is refused by all, and nothing else is done either.
func testPartitions(t *testing.T, o Options, made map[string]Topic) {
	for _, partitions := range []int{o.Partitions - 1, o.Partitions * 2} {
		o := o
		o.Partitions = partitions
		o.RejectsRetention = 48 * time.Hour
		c := newClient(t, o)
		_, err := c.Topics(testContext(t))
		wantSetting(t, err, "kafka.partitions", o.TopicName(Raw), "never changed")
		plan := planOf(t, c)
		if plan.Done() || !strings.Contains(plan.String(), "! "+o.TopicName(Events)+"\n") || strings.Contains(plan.String(), "! "+o.TopicName(Addresses)+"\n") {
			t.Errorf("plan for %d partitions:\n%v", partitions, plan)
		}
		err = c.Apply(testContext(t), plan)
		if err == nil || !strings.Contains(err.Error(), "kafka.partitions: ") {
			t.Errorf("apply of %d partitions: %v", partitions, err)
		}
	}
	o.RejectsRetention = 48 * time.Hour
	c := newClient(t, o)
	if plan := planOf(t, c); !strings.Contains(plan.String(), "~ "+o.TopicName(Rejects)+"\n") {
		t.Errorf("a refused plan was carried out in part:\n%v", plan)
	}
	if now, err := c.Topics(testContext(t)); err != nil || now[Raw].ID != made[Raw].ID {
		t.Errorf("topics: %+v, %v", now, err)
	}
}

// testRecreated: the same name is not the same topic.
func testRecreated(t *testing.T, o Options, before Topic) {
	c := newClient(t, o)
	deleteTopics(t, c, before.Name)
	eventually(t, func(ctx context.Context) error {
		if _, err := c.Topics(ctx); err == nil {
			return errors.New("the topic is still there")
		}
		return nil
	})
	apply(t, c)
	after, err := c.Topics(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	wantSetting(t, SameTopic(after[Raw], before.ID, len(before.Partitions)), "kafka.topic_prefix", before.Name, "deleted and made again", before.ID.String())
}

const wantPlan = `+ P.raw
    partitions = 4
    replication = 1
    cleanup.policy = delete
    retention.ms = 3888000000 (45 d)
    retention.bytes = -1
    message.timestamp.type = LogAppendTime
    min.insync.replicas = 1
    unclean.leader.election.enable = false
    compression.type = producer
    max.message.bytes = 8388608
+ P.events
    partitions = 4
    replication = 1
    cleanup.policy = delete
    retention.ms = 3888000000 (45 d)
    retention.bytes = -1
    message.timestamp.type = CreateTime
    min.insync.replicas = 1
    unclean.leader.election.enable = false
    compression.type = producer
    max.message.bytes = 8388608
+ P.addresses
    partitions = 1
    replication = 1
    cleanup.policy = delete
    retention.ms = 7776000000 (90 d)
    retention.bytes = -1
    message.timestamp.type = CreateTime
    min.insync.replicas = 1
    unclean.leader.election.enable = false
    compression.type = producer
    max.message.bytes = 8388608
+ P.scores
    partitions = 4
    replication = 1
    cleanup.policy = compact
    segment.ms = 86400000 (1 d)
    delete.retention.ms = 604800000 (7 d)
    message.timestamp.type = CreateTime
    min.insync.replicas = 1
    unclean.leader.election.enable = false
    compression.type = producer
    max.message.bytes = 8388608
+ P.suppressions
    partitions = 1
    replication = 1
    cleanup.policy = compact
    segment.ms = 86400000 (1 d)
    delete.retention.ms = 604800000 (7 d)
    message.timestamp.type = CreateTime
    min.insync.replicas = 1
    unclean.leader.election.enable = false
    compression.type = producer
    max.message.bytes = 8388608
+ P.rejects
    partitions = 4
    replication = 1
    cleanup.policy = delete
    retention.ms = 3888000000 (45 d)
    retention.bytes = -1
    message.timestamp.type = CreateTime
    min.insync.replicas = 1
    unclean.leader.election.enable = false
    compression.type = producer
    max.message.bytes = 8388608
+ P.controls
    partitions = 1
    replication = 1
    cleanup.policy = compact
    segment.ms = 86400000 (1 d)
    delete.retention.ms = 604800000 (7 d)
    message.timestamp.type = CreateTime
    min.insync.replicas = 1
    unclean.leader.election.enable = false
    compression.type = producer
    max.message.bytes = 8388608
`

func TestPlanReplication(t *testing.T) {
	// One broker can't keep three copies.
	o := options(fake(t).ListenAddrs()...)
	o.Replication, o.MinInsyncReplicas = 3, 2
	c := newClient(t, o)
	plan := planOf(t, c)
	err := plan.Refused()
	if err == nil || plan.Done() || strings.Count(plan.String(), "! ") != len(topicKinds) {
		t.Errorf("plan:\n%v", plan)
	}
	wantSetting(t, plan.Topics[0].Refused, "kafka.replication", "3: topic carom.raw", "--development")
	if err := c.Apply(testContext(t), plan); err == nil {
		t.Error("it was carried out")
	}

	// Fewer copies than wanted are refused; more are fine.
	brokers := fake(t, kfake.NumBrokers(3)).ListenAddrs()
	o = options(brokers...)
	o.Replication, o.MinInsyncReplicas = 2, 2
	c = newClient(t, o)
	p, err := c.Plan(testContext(t))
	if err == nil {
		err = c.Apply(testContext(t), p)
	}
	if err != nil {
		t.Fatal(err)
	}
	o.Replication = 3
	if p, err = newClient(t, o).Plan(testContext(t)); err != nil {
		t.Fatal(err)
	}
	wantSetting(t, p.Topics[1].Refused, "kafka.replication", "3: topic carom.events is kept on 2")
	o.Development()
	if p, err = newClient(t, o).Plan(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if p.Refused() != nil || !strings.Contains(p.String(), "min.insync.replicas: 2 -> 1   (records are kept on fewer brokers when acknowledged)") {
		t.Errorf("plan:\n%v", p)
	}
}

// A topic of ours that somebody else made is compared like any other.
func TestPlanForeignTopics(t *testing.T) {
	o := options(fake(t).ListenAddrs()...)
	c := newClient(t, o)
	createTopic(t, c, o.TopicName(Addresses), 2)
	createTopic(t, c, o.TopicName(Scores), 4)
	plan := planOf(t, c)
	wantSetting(t, plan.Topics[2].Refused, "kafka.topic_prefix", "topic carom.addresses has 2 partitions: want exactly 1")
	for _, want := range []string{
		"+ carom.raw\n", "! carom.addresses\n", "~ carom.scores\n",
		"    cleanup.policy: delete -> compact   (deletes all but the newest record of each key)\n",
		"    retention.ms: 604800000 (7 d) -> 7776000000 (90 d)\n",
	} {
		if !strings.Contains(plan.String(), want) {
			t.Errorf("no %q in\n%v", want, plan)
		}
	}
	deleteTopics(t, c, o.TopicName(Addresses))
	apply(t, c)
}

// What brokers refuse or do not tell is said, with the topic's name.
func TestTopicErrors(t *testing.T) {
	cluster := fake(t)
	c := newClient(t, options(cluster.ListenAddrs()...))
	refuse := func(key kmsg.Key, code int16, mend func(kmsg.Response, int16)) {
		cluster.ControlKey(int16(key), func(request kmsg.Request) (kmsg.Response, error, bool) {
			response := request.ResponseKind()
			mend(response, code)
			return response, nil, true
		})
	}
	const policyViolation, topicExists, invalidConfig, noLeader = 44, 36, 40, 5
	plan := planOf(t, c)
	create := func(r kmsg.Response, code int16) {
		topic := kmsg.NewCreateTopicsResponseTopic()
		topic.Topic, topic.ErrorCode, topic.ErrorMessage = "carom.raw", code, kmsg.StringPtr("too long a retention")
		r.(*kmsg.CreateTopicsResponse).Topics = append(r.(*kmsg.CreateTopicsResponse).Topics, topic)
	}
	refuse(kmsg.CreateTopics, policyViolation, create)
	if err := c.Apply(testContext(t), plan); err == nil || !strings.Contains(err.Error(), "make topic carom.raw: ") || !strings.Contains(err.Error(), "too long a retention") {
		t.Errorf("got %v", err)
	}

	// Somebody else was quicker, and made the same.
	apply(t, c)
	refuse(kmsg.CreateTopics, topicExists, create)
	if err := c.Apply(testContext(t), plan); err != nil {
		t.Errorf("topics made by somebody else: %v", err)
	}

	o := c.options
	o.RawRetention = 24 * time.Hour
	c = newClient(t, o)
	plan = planOf(t, c)
	refuse(kmsg.IncrementalAlterConfigs, invalidConfig, func(r kmsg.Response, code int16) {
		resource := kmsg.NewIncrementalAlterConfigsResponseResource()
		resource.ResourceName, resource.ErrorCode = "carom.raw", code
		r.(*kmsg.IncrementalAlterConfigsResponse).Resources = append(r.(*kmsg.IncrementalAlterConfigsResponse).Resources, resource)
	})
	if err := c.Apply(testContext(t), plan); err == nil || !strings.Contains(err.Error(), "change topic carom.raw: ") {
		t.Errorf("got %v", err)
	}
	refuse(kmsg.DescribeConfigs, invalidConfig, func(r kmsg.Response, code int16) {
		resource := kmsg.NewDescribeConfigsResponseResource()
		resource.ResourceName, resource.ErrorCode = "carom.raw", code
		r.(*kmsg.DescribeConfigsResponse).Resources = append(r.(*kmsg.DescribeConfigsResponse).Resources, resource)
	})
	if _, err := c.Plan(testContext(t)); err == nil || !strings.Contains(err.Error(), "read settings of topic carom.raw: ") {
		t.Errorf("got %v", err)
	}

	// No leader just now is no lasting error.
	cluster.ControlKey(int16(kmsg.Metadata), func(request kmsg.Request) (kmsg.Response, error, bool) {
		if request.GetVersion() != minMetadata {
			cluster.KeepControl()
			return nil, nil, false
		}
		response := request.ResponseKind().(*kmsg.MetadataResponse)
		topic := kmsg.NewMetadataResponseTopic()
		topic.Topic, topic.ErrorCode = kmsg.StringPtr("carom.raw"), noLeader
		response.Topics = append(response.Topics, topic)
		return response, nil, true
	})
	_, err := c.Topics(testContext(t))
	wantSetting(t, err, "kafka.brokers", "topic carom.raw: ")
	if !errors.Is(err, ErrUnreachable) {
		t.Errorf("%v is not ErrUnreachable", err)
	}
}
