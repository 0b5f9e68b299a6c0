package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// Plan is what has to be done to the topics, and what stands in the way.
type Plan struct {
	Cluster string // the cluster's id
	Brokers int
	Topics  []TopicPlan
}

// TopicPlan is what has to be done to one topic.
type TopicPlan struct {
	Spec    TopicSpec
	Exists  bool
	ID      TopicID
	Changes []Change // of a topic that exists
	// Refused says why the topic can't be made what it should be; nil: it can.
	Refused error
}

// Change is a setting of a topic that differs.
type Change struct {
	Key, Have, Want string
	From            string // our setting that it comes from, if any
	Loss            string // what will be lost by it, if anything
}

// Done reports whether there is nothing to do and nothing in the way.
func (p Plan) Done() bool {
	for _, t := range p.Topics {
		if !t.Exists || len(t.Changes) > 0 || t.Refused != nil {
			return false
		}
	}
	return true
}

// Refused returns why the plan can't be carried out, one line a topic; nil if it can.
func (p Plan) Refused() error {
	var errs []error
	for _, t := range p.Topics {
		errs = append(errs, t.Refused)
	}
	return errors.Join(errs...)
}

// String writes the plan for people: + is made, ~ is changed, ! can't be, = is as it should be.
func (p Plan) String() string {
	var b strings.Builder
	for _, t := range p.Topics {
		t.write(&b)
	}
	return b.String()
}

func (t TopicPlan) write(b *strings.Builder) {
	switch {
	case t.Refused != nil:
		fmt.Fprintf(b, "! %s\n    %v\n", t.Spec.Name, t.Refused)
	case !t.Exists:
		fmt.Fprintf(b, "+ %s\n    partitions = %d\n    replication = %d\n", t.Spec.Name, t.Spec.Partitions, t.Spec.Replication)
		for _, config := range t.Spec.Configs {
			fmt.Fprintf(b, "    %s = %s%s\n", config.Key, config.Value, meaning(config.Key, config.Value))
		}
	case len(t.Changes) > 0:
		fmt.Fprintf(b, "~ %s\n", t.Spec.Name)
	default:
		fmt.Fprintf(b, "= %s\n", t.Spec.Name)
	}
	for _, change := range t.Changes {
		fmt.Fprintf(b, "    %s: %s%s -> %s%s", change.Key, change.Have, meaning(change.Key, change.Have), change.Want, meaning(change.Key, change.Want))
		if change.Loss != "" {
			fmt.Fprintf(b, "   (%s)", change.Loss)
		}
		b.WriteString("\n")
	}
}

// meaning gives milliseconds in words.
func meaning(key, value string) string {
	ms, err := strconv.ParseInt(value, 10, 64)
	if !strings.HasSuffix(key, ".ms") || err != nil || ms < 0 || ms > int64(maxRetention/time.Millisecond) {
		return ""
	}
	const day = 24 * time.Hour
	d := time.Duration(ms) * time.Millisecond
	if d%day == 0 {
		return fmt.Sprintf(" (%d d)", d/day)
	}
	return fmt.Sprintf(" (%v)", d)
}

// Plan compares the topics with the settings. It changes nothing.
func (c *Client) Plan(ctx context.Context) (Plan, error) {
	specs := c.options.Specs()
	found, err := c.describe(ctx, c.options.topicNames())
	if err != nil {
		return Plan{}, err
	}
	byName := topicsByName(found.Topics)
	plan := Plan{Cluster: found.ID, Brokers: len(found.Brokers)}
	var there []string
	for _, spec := range specs {
		t := TopicPlan{Spec: spec}
		topic, ok := byName[spec.Name]
		switch {
		case !ok || errors.Is(topic.Err, kafkago.UnknownTopicOrPartition):
			t.Refused = checkBrokers(spec, len(found.Brokers))
		case topic.Err != nil:
			return Plan{}, c.topicError(ctx, topic)
		default:
			t.Exists, t.ID = true, topic.ID
			t.Refused = errors.Join(checkPartitions(spec, topic), checkReplication(spec, topic))
			there = append(there, spec.Name)
		}
		plan.Topics = append(plan.Topics, t)
	}
	configs, err := c.topicConfigs(ctx, there)
	if err != nil {
		return Plan{}, err
	}
	for i := range plan.Topics {
		if t := &plan.Topics[i]; t.Exists {
			t.Changes = changes(t.Spec, configs[t.Spec.Name])
		}
	}
	return plan, nil
}

func checkBrokers(spec TopicSpec, brokers int) error {
	if spec.Replication > brokers {
		return wrong("replication", "%d: topic %s can't be kept on more brokers than the cluster has, which is %d (for development, --development takes 1)", spec.Replication, spec.Name, brokers)
	}
	return nil
}

// checkReplication refuses fewer replicas than wanted; making more moves data between brokers and is the operator's to time.
func checkReplication(spec TopicSpec, t Topic) error {
	if have := t.Replication(); have < spec.Replication {
		return wrong("replication", "%d: topic %s is kept on %d: add replicas with Kafka's own kafka-reassign-partitions, or set %d", spec.Replication, t.Name, have, have)
	}
	return nil
}

// topicConfigs reads the effective settings of topics, including those that they take from their brokers.
func (c *Client) topicConfigs(ctx context.Context, topics []string) (map[string]map[string]string, error) {
	configs := make(map[string]map[string]string)
	if len(topics) == 0 {
		return configs, nil
	}
	request := &kafkago.DescribeConfigsRequest{}
	for _, name := range topics {
		request.Resources = append(request.Resources, kafkago.DescribeConfigRequestResource{ResourceType: kafkago.ResourceTypeTopic, ResourceName: name})
	}
	answer, err := c.api.DescribeConfigs(ctx, request)
	if err != nil {
		return nil, c.explain(ctx, fmt.Errorf("read settings of topics: %w", err))
	}
	for _, resource := range answer.Resources {
		if resource.Error != nil {
			return nil, c.explain(ctx, fmt.Errorf("read settings of topic %s: %w", resource.ResourceName, resource.Error))
		}
		entries := make(map[string]string)
		for _, entry := range resource.ConfigEntries {
			entries[entry.ConfigName] = entry.ConfigValue
		}
		configs[resource.ResourceName] = entries
	}
	return configs, nil
}

func changes(spec TopicSpec, have map[string]string) []Change {
	var list []Change
	for _, want := range spec.Configs {
		value := have[want.Key]
		if value == want.Value {
			continue
		}
		list = append(list, Change{Key: want.Key, Have: value, Want: want.Value, From: want.From, Loss: loss(want.Key, value, want.Value)})
	}
	return list
}

// loss says what a change takes away, because Kafka does so at once and for good.
func loss(key, have, want string) string {
	switch key {
	case "retention.ms", "retention.bytes":
		before, err1 := strconv.ParseInt(have, 10, 64)
		after, err2 := strconv.ParseInt(want, 10, 64)
		if err1 == nil && err2 == nil && after >= 0 && (before < 0 || after < before) {
			return "deletes the records beyond"
		}
	case "cleanup.policy":
		if strings.Contains(want, "compact") && !strings.Contains(have, "compact") {
			return "deletes all but the newest record of each key"
		}
		return "deletes records beyond the retention"
	case "min.insync.replicas":
		before, err1 := strconv.Atoi(have)
		after, err2 := strconv.Atoi(want)
		if err1 == nil && err2 == nil && after < before {
			return "records are kept on fewer brokers when acknowledged"
		}
	}
	return ""
}

// Apply carries a plan out: it makes what is missing and changes what differs. It does nothing if any topic is
// refused. When it returns nil the topics are as the settings say, and known to the brokers.
func (c *Client) Apply(ctx context.Context, plan Plan) error {
	if err := plan.Refused(); err != nil {
		return err
	}
	if err := c.create(ctx, plan); err != nil {
		return err
	}
	if err := c.alter(ctx, plan); err != nil {
		return err
	}
	return c.settled(ctx)
}

func (c *Client) create(ctx context.Context, plan Plan) error {
	request := &kafkago.CreateTopicsRequest{}
	for _, t := range plan.Topics {
		if t.Exists {
			continue
		}
		config := kafkago.TopicConfig{Topic: t.Spec.Name, NumPartitions: t.Spec.Partitions, ReplicationFactor: t.Spec.Replication}
		for _, entry := range t.Spec.Configs {
			config.ConfigEntries = append(config.ConfigEntries, kafkago.ConfigEntry{ConfigName: entry.Key, ConfigValue: entry.Value})
		}
		request.Topics = append(request.Topics, config)
	}
	if len(request.Topics) == 0 {
		return nil
	}
	answer, err := c.api.CreateTopics(ctx, request)
	if err != nil {
		return c.explain(ctx, fmt.Errorf("make topics: %w", err))
	}
	var errs []error
	for _, t := range request.Topics {
		// Somebody else may have made it meanwhile; whether it is as it should be is looked at last.
		if err := answer.Errors[t.Topic]; err != nil && !errors.Is(err, kafkago.TopicAlreadyExists) {
			errs = append(errs, c.explain(ctx, fmt.Errorf("make topic %s: %w", t.Topic, err)))
		}
	}
	return errors.Join(errs...)
}

func (c *Client) alter(ctx context.Context, plan Plan) error {
	request := &kafkago.IncrementalAlterConfigsRequest{}
	for _, t := range plan.Topics {
		if len(t.Changes) == 0 {
			continue
		}
		resource := kafkago.IncrementalAlterConfigsRequestResource{ResourceType: kafkago.ResourceTypeTopic, ResourceName: t.Spec.Name}
		for _, change := range t.Changes {
			resource.Configs = append(resource.Configs, kafkago.IncrementalAlterConfigsRequestConfig{
				Name: change.Key, Value: change.Want, ConfigOperation: kafkago.ConfigOperationSet,
			})
		}
		request.Resources = append(request.Resources, resource)
	}
	if len(request.Resources) == 0 {
		return nil
	}
	answer, err := c.api.IncrementalAlterConfigs(ctx, request)
	if err != nil {
		return c.explain(ctx, fmt.Errorf("change topics: %w", err))
	}
	var errs []error
	for _, resource := range answer.Resources {
		if resource.Error != nil {
			errs = append(errs, c.explain(ctx, fmt.Errorf("change topic %s: %w", resource.ResourceName, resource.Error)))
		}
	}
	return errors.Join(errs...)
}

const (
	settleWait  = 30 * time.Second       // how long the brokers may take to know of what was done
	settlePause = 100 * time.Millisecond // between two looks
)

// settled waits until the brokers tell of the topics what was asked for, and each partition has a leader.
func (c *Client) settled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleWait)
	defer cancel()
	for {
		missing, err := c.unsettled(ctx)
		if err == nil && missing == "" {
			return nil
		}
		if err != nil && !errors.Is(err, ErrUnreachable) {
			return err
		}
		select {
		case <-ctx.Done():
			if err != nil {
				return err
			}
			return fmt.Errorf("the brokers took the changes, but %v later %s", settleWait, missing)
		case <-time.After(settlePause):
		}
	}
}

// unsettled names what is not as it should be yet.
func (c *Client) unsettled(ctx context.Context) (string, error) {
	plan, err := c.Plan(ctx)
	if err != nil {
		return "", err
	}
	if err := plan.Refused(); err != nil {
		return "", err
	}
	for _, t := range plan.Topics {
		switch {
		case !t.Exists:
			return "there is no topic " + t.Spec.Name, nil
		case len(t.Changes) > 0:
			return fmt.Sprintf("topic %s has %s = %s", t.Spec.Name, t.Changes[0].Key, t.Changes[0].Have), nil
		}
	}
	topics, err := c.Topics(ctx)
	if err != nil {
		return "", err
	}
	for _, t := range topics {
		for number, p := range t.Partitions {
			if p.Err != nil || p.Leader < 0 {
				return fmt.Sprintf("partition %d of topic %s has no leader", number, t.Name), nil
			}
		}
	}
	return "", nil
}
