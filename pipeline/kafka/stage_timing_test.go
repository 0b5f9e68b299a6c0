package kafka

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
	"carom/pipeline/refine"
	"carom/pipeline/rollup"
	"carom/pipeline/score"
)

const (
	stageRecords = 200_000
	stageSenders = 200
	stageAge     = -100 * time.Hour // so that most enrollments are complete
)

// BenchmarkKafkaRefine is a worker that refines: raw records that the relay wrote are read from a kfake in a process of
// its own, refined with the state on disk, and the events, facts about addresses and rejects written there; the
// partitions at the same time. B/s and B/record are of the raw records' events, wire-B/record of batches, in and out.
func BenchmarkKafkaRefine(b *testing.B) {
	o := options(fakeProcess(b))
	c := benchClient(b, o)
	for _, kind := range topicKinds {
		createTopic(b, c, o.TopicName(kind), partitionsOf(o, kind))
	}
	journal := stageJournal(stageRecords)
	size := journal.size()
	relayAll(b, c, journal)
	var total usage
	events := 0.0
	for b.Loop() {
		reg := prometheus.NewRegistry()
		p := c.NewProducer(reg)
		var u usage
		in := refineAll(b, c, p, func(work func()) { u = measured(b, stageRecords, work) })
		u.bytes = size
		u.sent = int64(in)
		for _, topic := range p.metrics.byTopic {
			u.sent += int64(counted(b, topic.sent))
		}
		events += counted(b, p.metrics.byTopic[Events].records)
		if n := counted(b, p.metrics.byTopic[Rejects].records); n > 0 {
			b.Fatalf("%v rejects", n)
		}
		total.add(u)
		if err := p.Close(); err != nil {
			b.Fatal(err)
		}
	}
	total.report(b)
	b.ReportMetric(events/float64(total.records), "events/record")
}

func partitionsOf(o Options, kind string) int {
	if kind == Addresses {
		return 1
	}
	return o.Partitions
}

// refineAll refines the raw topic from its start with an empty disk, within measure, and returns the bytes that were
// fetched.
func refineAll(b *testing.B, c *Client, p *Producer, measure func(work func())) (fetched float64) {
	b.Helper()
	store, err := kv.Open(b.TempDir(), kv.Options{})
	if err != nil {
		b.Fatal(err)
	}
	n := c.options.Partitions
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var run errgroup.Group
	var left sync.WaitGroup
	var readers []*Reader
	var stages []*refine.Partition
	for i := range int32(n) {
		r := c.NewReader(Raw, i, nil)
		if err := r.Refresh(ctx); err != nil {
			b.Fatal(err)
		}
		out := refine.Outputs{Events: p.Events(), Addresses: p.Addresses(), Rejects: p.Rejects(i)}
		stage, err := refine.Open(refine.Default().Share(n), store, r, out, p.Ticker(i), zap.NewNop(), nil)
		if err != nil {
			b.Fatal(err)
		}
		_, end := r.Bounds()
		left.Add(1)
		reached := sync.OnceFunc(left.Done)
		stage.OnPassed(func(offset int64) {
			if offset >= end {
				reached()
			}
		})
		readers, stages = append(readers, r), append(stages, stage)
	}
	measure(func() {
		for _, stage := range stages {
			run.Go(func() error { return stage.Run(ctx) })
		}
		left.Wait()
	})
	stop()
	if err := run.Wait(); err != nil {
		b.Fatal(err)
	}
	for _, r := range readers {
		fetched += counted(b, r.metrics.bytes)
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
	return fetched
}

// BenchmarkKafkaRollup is a worker that rolls up: the events of BenchmarkKafkaRefine are mirrored from a kfake in a
// process of its own to the disk, counted there, and the score of each sender written to its topic once. The CPU time and
// the allocations have all of that; the time that passes ends when all is counted, because scores are written every so
// often. B/s and B/record are of the events' JSON, wire-B/record of batches, in and out.
func BenchmarkKafkaRollup(b *testing.B) {
	o := options(fakeProcess(b))
	c := benchClient(b, o)
	for _, kind := range topicKinds {
		createTopic(b, c, o.TopicName(kind), partitionsOf(o, kind))
	}
	relayAll(b, c, stageJournal(stageRecords))
	filling := c.NewProducer(prometheus.NewRegistry())
	refineAll(b, c, filling, func(work func()) { work() })
	records := int(counted(b, filling.metrics.byTopic[Events].records))
	if err := filling.Close(); err != nil {
		b.Fatal(err)
	}
	var total usage
	for b.Loop() {
		total.add(rollUpAll(b, c, records))
	}
	total.report(b)
}

// rollUpAll rolls the events topic up from its start with an empty disk.
func rollUpAll(b *testing.B, c *Client, records int) usage {
	b.Helper()
	store, err := kv.Open(b.TempDir(), kv.Options{})
	if err != nil {
		b.Fatal(err)
	}
	p := c.NewProducer(prometheus.NewRegistry())
	n := c.options.Partitions
	o := rollup.Default().Share(n)
	o.PublishEvery = time.Second
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var run errgroup.Group
	var readers []*Reader
	var mirrors []*log.Mirror
	var stages []*rollup.Partition
	for i := range int32(n) {
		r := c.NewReader(Events, i, nil)
		if err := r.Refresh(ctx); err != nil {
			b.Fatal(err)
		}
		m, err := log.OpenMirror(store, kv.LogEvents, i, zap.NewNop(), nil)
		if err != nil {
			b.Fatal(err)
		}
		stage, err := rollup.Open(o, score.Default(), store, m, p.Scores(), zap.NewNop(), nil)
		if err != nil {
			b.Fatal(err)
		}
		readers, mirrors, stages = append(readers, r), append(mirrors, m), append(stages, stage)
	}
	var wall time.Duration
	u := measured(b, records, func() {
		begun := time.Now()
		for i := range stages {
			run.Go(func() error { return mirrors[i].Run(ctx, readers[i]) })
			run.Go(func() error { return stages[i].Run(ctx) })
		}
		eventually(b, func(context.Context) error {
			for i, stage := range stages {
				if _, end := readers[i].Bounds(); stage.Passed() < end {
					return fmt.Errorf("rollup %d is at %d of %d", i, stage.Passed(), end)
				}
			}
			return nil
		})
		wall = time.Since(begun)
		eventually(b, func(context.Context) error {
			if got := counted(b, p.metrics.byTopic[Scores].records); got < stageSenders {
				return fmt.Errorf("%v scores", got)
			}
			return nil
		})
	})
	u.wall = wall
	stop()
	if err := run.Wait(); err != nil {
		b.Fatal(err)
	}
	u.sent = int64(counted(b, p.metrics.byTopic[Scores].sent))
	for i, r := range readers {
		u.sent += int64(counted(b, r.metrics.bytes))
		u.bytes += mirrored(b, mirrors[i])
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		b.Fatal(err)
	}
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
	return u
}

// mirrored returns the bytes of the values of a mirror.
func mirrored(b *testing.B, m *log.Mirror) (size int64) {
	for at, end := m.Bounds(); at < end; {
		recs, err := m.Read(context.Background(), at, 1000, nil)
		if err != nil {
			b.Fatal(err)
		}
		for i := range recs {
			size += int64(len(recs[i].Value))
		}
		at = recs[len(recs)-1].Offset + 1
	}
	return size
}

func (m *memory) size() (n int64) {
	for i := range m.recs {
		n += int64(len(m.recs[i].Value))
	}
	return n
}

// stageJournal is what an edge hears of senders that write to new contacts: of each mail comes what usually does, mixed
// among the sends of later mails.
func stageJournal(n int) *memory {
	m := &memory{recs: make([]log.Record, n)}
	source := event.Source{Node: "edge-1", Incarnation: [16]byte{9, 8, 7, 6, 5, 4, 3, 2, 1, 42, 43, 44, 45, 46, 47, 48}}
	g := &platform{rng: rand.New(rand.NewPCG(1, 2)), now: event.Now().Add(stageAge)}
	for i := range m.recs {
		if i%10 == 0 {
			g.now++
		}
		source.Sequence = uint64(i + 1)
		e := g.next()
		m.recs[i] = log.Record{Offset: int64(i), Time: g.now, Source: source, Value: e.AppendBinary(nil)}
	}
	return m
}

// platform makes up what happens.
type platform struct {
	rng   *rand.Rand
	now   event.Millis
	sent  int
	later []event.Event
}

func (g *platform) next() event.Event {
	var e event.Event
	if len(g.later) > 20_000 {
		i := g.rng.IntN(len(g.later))
		last := len(g.later) - 1
		e, g.later[i] = g.later[i], g.later[last]
		g.later = g.later[:last]
	} else {
		e = g.send()
	}
	e.Time = g.now
	return e
}

// send makes a mail, and what will be heard of it.
func (g *platform) send() event.Event {
	g.sent++
	message := fmt.Sprintf("20261121.%08x.%d@mail.example.com", g.rng.Uint32(), g.sent)
	contact := fmt.Sprintf("c-%d", g.sent)
	e := event.Event{
		Kind: event.Sent, KnownBy: event.ByRef, Key: event.KeyOf("acme", message),
		Ref: event.Ref{
			Account: "acme", Sender: fmt.Sprintf("sender-%d", g.sent%stageSenders), Sequence: fmt.Sprintf("q4-%d", g.rng.IntN(3)),
			Contact: contact, Message: message, SentAt: g.now,
		},
	}
	hit := e
	e.Recipient, e.Links = contact+"@example.com", []string{"https://example.com/offers", "https://example.com/terms"}
	in := func(percent int) bool { return g.rng.IntN(100) < percent }
	hit.Client = event.Client{UserAgent: agents[g.rng.IntN(len(agents))], Hash: g.rng.Uint64()}
	hit.Actor = event.Actor{Verdict: event.Human}
	if in(30) {
		hit.Actor = event.Actor{Verdict: event.Proxy, Reasons: []string{"agent_proxy"}, Via: "gmail"}
	}
	fact := event.Event{KnownBy: event.ByKey, Key: e.Key}
	if in(95) {
		fact.Kind = event.Delivered
		g.later = append(g.later, fact)
	}
	if in(40) {
		hit.Kind = event.Open
		g.later = append(g.later, hit)
		if in(30) { // a mail program that loads the picture twice
			g.later = append(g.later, hit)
		}
	}
	if in(6) {
		hit.Kind, hit.Link, hit.URL = event.Click, 1, "https://example.com/offers?utm_source=mail"
		g.later = append(g.later, hit)
	}
	if in(3) {
		fact.Kind, fact.Recipient = event.Bounce, e.Recipient
		fact.Bounce = event.Diagnosis{
			Hard: in(50), Category: "invalid_recipient", Status: "5.1.1", ReplyCode: "550", RemoteMTA: "mx.example.com",
			Diagnostic: "550 5.1.1 <" + e.Recipient + ">: user unknown", Provider: "google",
		}
		g.later = append(g.later, fact)
	}
	if in(2) {
		g.later = append(g.later, event.Event{
			Kind: event.Reply, KnownBy: event.ByKey, Key: e.Key, Mail: event.Mail{ID: "r-" + message, From: e.Recipient, ReplyAddress: true},
		})
	}
	return e
}
