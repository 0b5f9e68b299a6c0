package kafka

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// troubleAfter is how long a lane must fail before Trouble tells of it: leaders change in less.
const troubleAfter = time.Minute

// trouble keeps which lanes fail.
type trouble struct {
	log     *zap.Logger
	outages *outages
	metrics *producerMetrics

	mu      sync.Mutex
	failing map[*lane]stuck
}

// stuck is since when a lane does, and why.
type stuck struct {
	since time.Time
	last  failure
}

func newTrouble(c *Client, m *producerMetrics) *trouble {
	return &trouble{log: c.log.Named("producer"), outages: c.outages, metrics: m, failing: make(map[*lane]stuck)}
}

func (t *trouble) failed(l *lane, f failure) {
	t.metrics.errors.WithLabelValues(f.cause).Inc()
	t.mu.Lock()
	state, was := t.failing[l]
	if !was {
		state.since = time.Now()
	}
	state.last = f
	t.failing[l] = state
	n := len(t.failing)
	t.metrics.failing.Set(float64(n))
	t.mu.Unlock()
	t.outages.failed(l, f.cause, func() {
		t.log.Log(f.level(), "records wait, will be sent again", zap.String("topic", l.topic), zap.Int32("partition", l.partition),
			zap.Int("partitions-failing", n), zap.Error(f.err))
	})
}

// passed: a batch of l was acknowledged.
func (t *trouble) passed(l *lane) {
	t.mu.Lock()
	_, was := t.failing[l]
	delete(t.failing, l)
	t.metrics.failing.Set(float64(len(t.failing)))
	t.mu.Unlock()
	if was {
		t.outages.passed(l)
	}
}

// some reports whether a lane is failing.
func (t *trouble) some() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.failing) > 0
}

// Trouble says what the producer has not got through to for more than a minute, in a line for each topic and cause; none
// if all is well. Nothing is lost yet: it is tried again for ever, and what stands behind it waits.
func (p *Producer) Trouble() []string { return p.trouble.lines(time.Now()) }

func (t *trouble) lines(now time.Time) (lines []string) {
	type group struct {
		partitions []int32
		oldest     stuck
	}
	type key struct{ topic, cause string }
	groups := make(map[key]*group)
	t.mu.Lock()
	for l, f := range t.failing {
		if now.Sub(f.since) <= troubleAfter {
			continue
		}
		k := key{l.topic, f.last.cause}
		g := groups[k]
		if g == nil {
			g = &group{oldest: f}
			groups[k] = g
		}
		g.partitions = append(g.partitions, l.partition)
		if f.since.Before(g.oldest.since) {
			g.oldest = f
		}
	}
	t.mu.Unlock()
	for k, g := range groups {
		slices.Sort(g.partitions)
		lines = append(lines, fmt.Sprintf("topic %s, %s: records have waited since %s: %v",
			k.topic, namePartitions(g.partitions), g.oldest.since.UTC().Format(time.RFC3339), g.oldest.last.err))
	}
	slices.Sort(lines)
	return lines
}

// maxNamed bounds the partitions that are named one by one.
const maxNamed = 4

func namePartitions(list []int32) string {
	names := make([]string, 0, maxNamed)
	for _, n := range list[:min(len(list), maxNamed)] {
		names = append(names, strconv.Itoa(int(n)))
	}
	text := "partition " + strings.Join(names, ", ")
	if more := len(list) - maxNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
