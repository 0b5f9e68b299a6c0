package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/offsetcommit"
	"go.uber.org/zap"

	"carom/pipeline/log"
)

const (
	// commitApart is the least time between two commits of a group.
	commitApart = 20 * time.Millisecond
	// commitAgain is how often offsets that do not move are committed again: brokers forget them after
	// offsets.retention.minutes, 7 days by default, and to a worker with an empty disk that would mean that nothing was
	// shipped.
	commitAgain = time.Hour
	// commitLast bounds the commit of what is left when Run ends.
	commitLast = 5 * time.Second
)

// Group is how far a stage has come with the partitions of a topic, kept by Kafka under a group id that has no
// members: partitions are owned by the settings. It is for lag monitors, and for a worker with an empty disk.
type Group struct {
	client  *Client
	stage   string
	id      string
	topic   string
	parts   int
	log     *zap.Logger
	metrics *groupMetrics
	news    log.Bell

	mu     sync.Mutex // guards what follows
	passed map[int32]int64
	before map[int32]int64    // what was committed when Committed was asked
	fresh  map[int32]struct{} // partitions that moved since the last commit
}

// NewGroup returns the group <prefix>.<stage> on the topic kind. reg may be nil.
func (c *Client) NewGroup(stage, kind string, reg prometheus.Registerer) *Group {
	g := &Group{
		client: c, stage: stage, id: c.options.TopicPrefix + "." + stage, topic: c.options.TopicName(kind), metrics: newGroupMetrics(reg, stage),
		passed: make(map[int32]int64), before: make(map[int32]int64), fresh: make(map[int32]struct{}),
	}
	g.log = c.log.Named("group").With(zap.String("group", g.id))
	for _, spec := range c.options.Specs() {
		if spec.Name == g.topic {
			g.parts = spec.Partitions
		}
	}
	return g
}

// Committed returns the committed offsets, and waits for the cluster until ctx is done; its error then tells what it
// waited for. A partition without one is absent. From then on none goes back, see Passed.
func (g *Group) Committed(ctx context.Context) (map[int32]int64, error) {
	t := g.tries("read the offsets of group " + g.id)
	defer t.leave()
	for {
		offsets, err := g.committed(ctx)
		if err == nil {
			t.done()
			g.mu.Lock()
			for partition, offset := range offsets {
				g.before[partition] = max(g.before[partition], offset)
			}
			g.mu.Unlock()
			return offsets, nil
		}
		if !t.again(ctx, g.client.explain(ctx, err)) {
			return nil, fmt.Errorf("offsets of group %s: %w", g.id, errors.Join(ctx.Err(), g.client.explain(ctx, err)))
		}
	}
}

func (g *Group) tries(doing string) tries {
	return tries{log: g.log, outages: g.client.outages, errors: g.metrics.errors, doing: doing}
}

func (g *Group) committed(ctx context.Context) (map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, g.client.options.RequestTimeout)
	defer cancel()
	partitions := make([]int, g.parts)
	for i := range partitions {
		partitions[i] = i
	}
	answer, err := g.client.api.OffsetFetch(ctx, &kafkago.OffsetFetchRequest{GroupID: g.id, Topics: map[string][]int{g.topic: partitions}})
	if err != nil {
		return nil, err
	}
	if errors.Is(answer.Error, kafkago.GroupIdNotFound) {
		return map[int32]int64{}, nil // nothing was committed ever
	}
	if answer.Error != nil {
		return nil, answer.Error
	}
	list, ok := answer.Topics[g.topic]
	if !ok {
		return nil, errors.New("the broker says nothing of " + g.topic)
	}
	offsets := make(map[int32]int64, len(list))
	for _, p := range list {
		if p.Error != nil {
			return nil, fmt.Errorf("partition %d: %w", p.Partition, p.Error)
		}
		if p.CommittedOffset >= 0 {
			offsets[int32(p.Partition)] = p.CommittedOffset
		}
	}
	return offsets, nil
}

// Passed says that all records of a partition before offset are done with. It returns at once; Run commits the newest.
//
// A worker that rebuilds begins far before what Committed told; the group stays at that until the worker is there again.
// Should it end on the way, the next start must not take for new what was shipped long ago.
func (g *Group) Passed(partition int32, offset int64) {
	g.mu.Lock()
	offset = max(offset, g.before[partition])
	last, ok := g.passed[partition]
	moved := !ok || offset != last
	if moved {
		g.passed[partition] = offset
		g.fresh[partition] = struct{}{}
	}
	g.mu.Unlock()
	if moved {
		g.news.Ring()
	}
}

// Run commits until ctx is done, and then what is left, for a few seconds at most. It goes on through outages, and
// returns no error.
func (g *Group) Run(ctx context.Context) error {
	again := time.NewTicker(commitAgain)
	defer again.Stop()
	t := g.tries("commit the offsets of group " + g.id)
	defer t.leave()
	for {
		rung := g.news.Rung()
		err := g.commit(ctx)
		switch {
		case err == nil:
			t.done()
		case ctx.Err() == nil && t.again(ctx, g.client.explain(ctx, err)):
			continue
		}
		select {
		case <-rung:
		case <-again.C:
			g.refresh()
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitLast)
			defer cancel()
			if err := g.commit(last); err != nil {
				// The next start reads again what came since, and drops it.
				g.log.Warn("last offsets not committed", zap.Error(g.client.explain(last, err)))
			}
			return nil
		}
		_ = wait(ctx, commitApart)
	}
}

// refresh lets the next commit tell all offsets.
func (g *Group) refresh() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for partition := range g.passed {
		g.fresh[partition] = struct{}{}
	}
}

// commit commits what has moved. What fails is left for the next.
func (g *Group) commit(ctx context.Context) (err error) {
	g.mu.Lock()
	var partitions []offsetcommit.RequestPartition
	for _, p := range slices.Sorted(maps.Keys(g.fresh)) {
		partitions = append(partitions, offsetcommit.RequestPartition{PartitionIndex: p, CommittedOffset: g.passed[p], CommittedLeaderEpoch: -1})
	}
	clear(g.fresh)
	g.mu.Unlock()
	if len(partitions) == 0 {
		return nil
	}
	defer func() {
		if err == nil {
			g.metrics.commits.Inc()
			return
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		for _, p := range partitions {
			g.fresh[p.PartitionIndex] = struct{}{}
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, g.client.options.RequestTimeout)
	defer cancel()
	answer, err := g.client.RoundTrip(ctx, g.client.api.Addr, &offsetcommit.Request{
		GroupID: g.id, GenerationID: -1, // no member
		Topics: []offsetcommit.RequestTopic{{Name: g.topic, Partitions: partitions}},
	})
	if err != nil {
		return err
	}
	accepted := 0
	for _, topic := range answer.(*offsetcommit.Response).Topics {
		for _, p := range topic.Partitions {
			if err := errorOf(p.ErrorCode); err != nil {
				return fmt.Errorf("partition %d: %w", p.PartitionIndex, err)
			}
			accepted++
		}
	}
	if accepted != len(partitions) {
		return fmt.Errorf("the broker took %d offsets of %d", accepted, len(partitions))
	}
	return nil
}
