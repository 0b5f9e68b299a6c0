package kafka

import (
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"go.uber.org/zap/zapcore"
)

// failure is why a batch was not acknowledged.
type failure struct {
	cause string // a setting, or the broker's error: a word for metrics, of which there are few
	err   error
	// lasting: somebody must change a setting or the cluster; else it may well pass by itself.
	lasting bool
}

const (
	minBackoff     = 50 * time.Millisecond
	maxBackoff     = 2 * time.Second
	lastingBackoff = 10 * time.Second
)

// backoff is how long to wait after so many tries before.
func (f failure) backoff(tries int) time.Duration {
	most := maxBackoff
	if f.lasting {
		most = lastingBackoff
	}
	d := min(most, minBackoff<<min(tries, 10))
	return d/2 + rand.N(d/2) // so that the lanes do not come all at once
}

// level is how loud it is told.
func (f failure) level() zapcore.Level {
	if f.lasting {
		return zapcore.ErrorLevel
	}
	return zapcore.WarnLevel
}

func isTooLarge(err error) bool {
	return errors.Is(err, kafkago.MessageSizeTooLarge) || errors.Is(err, kafkago.RecordListTooLarge)
}

// judge says why b failed, and which setting may be to blame.
func (p *Producer) judge(l *lane, b *parcel, err error) failure {
	c := p.client
	switch {
	case isTooLarge(err):
		return settingFailure(wrong("batch_bytes", "%d: topic %s takes no record of %d bytes: raise its max.message.bytes ('carom topics apply' sets what fits): %w",
			c.options.BatchBytes, l.topic, b.unpacked, err))
	case errors.Is(err, protocol.ErrNoTopic), errors.Is(err, protocol.ErrNoPartition), errors.Is(err, protocol.ErrNoLeader),
		errors.Is(err, kafkago.UnknownTopicOrPartition):
		err = p.lookFor(l, err)
	}
	return failureOf(c.explain(p.ctx, err))
}

// failureOf says what kind of failure an explained error is.
func failureOf(err error) failure {
	if setting := (*SettingError)(nil); errors.As(err, &setting) {
		return settingFailure(setting)
	}
	if code := kafkago.Error(0); errors.As(err, &code) {
		return failure{cause: "broker_" + strconv.Itoa(int(code)), err: err, lasting: !code.Temporary()}
	}
	return failure{cause: "other", err: err}
}

func settingFailure(err *SettingError) failure {
	return failure{cause: strings.TrimPrefix(err.Key, "kafka."), err: err, lasting: !errors.Is(err, ErrUnreachable)}
}

// lookFor finds out why the leader of a partition is not known: kafka-go says the same of a cluster that it never
// reached, of a topic that does not exist, and of one whose partition has no leader just now.
func (p *Producer) lookFor(l *lane, err error) error {
	info, failed := p.client.describe(p.ctx, []string{l.topic})
	if failed != nil {
		return failed
	}
	topic, ok := topicsByName(info.Topics)[l.topic]
	switch {
	case !ok || errors.Is(topic.Err, kafkago.UnknownTopicOrPartition):
		return wrong("topic_prefix", "%q: there is no topic %s: 'carom topics apply' makes it", p.client.options.TopicPrefix, l.topic)
	case topic.Err != nil:
		return p.client.topicError(p.ctx, topic)
	case int(l.partition) >= len(topic.Partitions):
		return wrong("partitions", "topic %s has %d, but there are records for partition %d", l.topic, len(topic.Partitions), l.partition)
	}
	return away("brokers", "topic %s, partition %d: no leader known yet: %w", l.topic, l.partition, err)
}
