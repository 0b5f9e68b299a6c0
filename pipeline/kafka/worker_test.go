package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"
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

// worker is a node that refines and rolls up all partitions, as cmd/carom puts one together.
type worker struct {
	t       testing.TB
	c       *Client
	refines []*refine.Partition
	mirrors []*log.Mirror
	rollups []*rollup.Partition
}

// startWorker runs a worker until the test ends.
func startWorker(t testing.TB, c *Client) *worker {
	t.Helper()
	w := &worker{t: t, c: c}
	store, p, reg := openState(t), newProducer(t, c), prometheus.NewRegistry()
	refining, counting := refine.Default(), rollup.Default()
	refining.Settle = 100 * time.Millisecond
	counting.CompleteAfter = 0
	run, ctx := errgroup.WithContext(context.Background())
	ctx, stop := context.WithCancel(ctx)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range int32(c.options.Partitions) {
		out := refine.Outputs{Events: p.Events(), Addresses: p.Addresses(), Rejects: p.Rejects(i)}
		r, err := refine.Open(refining, store, newReader(t, c, Raw, i), out, p.Ticker(i), zap.NewNop(), reg)
		check(err)
		m, err := log.OpenMirror(store, kv.LogEvents, i, zap.NewNop(), reg)
		check(err)
		s, err := rollup.Open(counting, score.Default(), store, m, nil, zap.NewNop(), reg)
		check(err)
		in := newReader(t, c, Events, i)
		run.Go(func() error { return r.Run(ctx) })
		run.Go(func() error { return m.Run(ctx, in) })
		run.Go(func() error { return s.Run(ctx) })
		w.refines, w.mirrors, w.rollups = append(w.refines, r), append(w.mirrors, m), append(w.rollups, s)
	}
	t.Cleanup(func() { // before the readers are closed
		stop()
		if err := run.Wait(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// finish waits until all records are refined, and all events, of which there are n, counted. Revisions come on top: how
// many depends on which of two journals was heard first.
func (w *worker) finish(n int) {
	w.t.Helper()
	eventually(w.t, func(ctx context.Context) error {
		for i := range int32(len(w.refines)) {
			if _, end, err := w.c.bounds(ctx, w.c.options.TopicName(Raw), i); err != nil || w.refines[i].Passed() != end {
				return fmt.Errorf("refine %d passed %d of %d, %w", i, w.refines[i].Passed(), end, err)
			}
			if _, end, err := w.c.bounds(ctx, w.c.options.TopicName(Events), i); err != nil || w.mirrors[i].Passed() != end {
				return fmt.Errorf("mirror %d passed %d of %d, %w", i, w.mirrors[i].Passed(), end, err)
			}
			if _, end := w.mirrors[i].Bounds(); w.rollups[i].Passed() != end {
				return fmt.Errorf("rollup %d passed %d of %d", i, w.rollups[i].Passed(), end)
			}
		}
		if got := len(standing(w.t, w.events())); got < n {
			return fmt.Errorf("%d events, want %d", got, n)
		}
		return nil
	})
	if events := standing(w.t, w.events()); len(events) != n {
		w.t.Fatalf("%d events, want %d: %q", len(events), n, events)
	}
}

// standing returns the events by their last revisions, without those that were taken back: which of two that are one
// stands depends on who is heard first.
func standing(t testing.TB, events []string) (list []string) {
	t.Helper()
	type revision struct {
		number uint32
		text   string
		taken  bool
	}
	last := make(map[event.ID]revision)
	for _, e := range events {
		var r event.Refined
		if err := r.DecodeJSON([]byte(e[strings.IndexByte(e, ' ')+1:])); err != nil {
			t.Fatal(err)
		}
		if old, ok := last[r.ID]; !ok || r.Revision > old.number {
			n := len(r.Actor.Reasons)
			taken := r.Actor.Verdict == event.Unknown && n > 0 && (r.Actor.Reasons[n-1] == "repeat" || r.Actor.Reasons[n-1] == "withdrawn")
			last[r.ID] = revision{r.Revision, e, taken}
		}
	}
	for _, e := range last {
		if !e.taken {
			list = append(list, e.text)
		}
	}
	slices.Sort(list)
	return list
}

// events returns the events of all partitions in a fixed order: key and value.
func (w *worker) events() (list []string) {
	w.t.Helper()
	for _, m := range w.mirrors {
		for at, end := m.Bounds(); at < end; {
			recs, err := m.Read(testContext(w.t), at, 1000, nil)
			if err != nil {
				w.t.Fatal(err)
			}
			for _, r := range recs {
				list = append(list, string(r.Key)+" "+string(r.Value))
			}
			at = recs[len(recs)-1].Offset + 1
		}
	}
	slices.Sort(list)
	return list
}

// message returns what is known of a message.
func (w *worker) message(account, message string) refine.Message {
	w.t.Helper()
	m, ok, err := w.refines[RawPartition(event.KeyOf(account, message), int32(len(w.refines)))].Message(account, message)
	if err != nil || !ok {
		w.t.Fatalf("message %s: %v, %v", message, ok, err)
	}
	return m
}

// score returns a sender's.
func (w *worker) score(account, sender string, asOf event.Millis) rollup.Score {
	w.t.Helper()
	p := w.rollups[KeyPartition([]byte(account+"/"+sender), int32(len(w.rollups)))]
	s, err := p.Score(rollup.Query{Account: account, Sender: sender, Window: 24 * time.Hour, AsOf: asOf})
	if err != nil || !s.Known {
		w.t.Fatalf("score of %s: %v, known %v", sender, err, s.Known)
	}
	return s
}
