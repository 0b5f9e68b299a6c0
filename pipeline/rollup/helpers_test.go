package rollup

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
	"carom/pipeline/score"
)

// hour0 is 2026-11-21T00:00:00Z, a whole hour.
const hour0 event.Millis = 1795219200000

const (
	second = event.Millis(1000)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

// fixture is a store with a log of events in it and a partition that counts them.
type fixture struct {
	t     testing.TB
	store *kv.Store
	in    *log.Local
	p     *Partition
	n     int64 // origins given
}

func newFixture(t testing.TB, o Options) *fixture {
	t.Helper()
	f := &fixture{t: t, store: openStore(t, vfs.NewMem())}
	f.in = openLog(t, f.store)
	f.open(o)
	return f
}

func openStore(t testing.TB, fs vfs.FS) *kv.Store {
	t.Helper()
	store, err := kv.Open("state", kv.Options{FS: fs, MemTableBytes: 1 << 20, Logger: errorsOnly(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func openLog(t testing.TB, store *kv.Store) *log.Local {
	t.Helper()
	in, err := log.NewLocal(store, kv.LogEvents, 0)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func errorsOnly(t testing.TB) *zap.Logger { return zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel)) }

// open opens the partition, anew if it was open.
func (f *fixture) open(o Options) {
	f.t.Helper()
	p, err := Open(o, score.Default(), f.store, f.in, nil, errorsOnly(f.t), nil)
	if err != nil {
		f.t.Fatal(err)
	}
	f.p = p
}

// tell puts events on the log, each with an origin of its own, and has them counted.
func (f *fixture) tell(events ...event.Refined) {
	f.t.Helper()
	for i := range events {
		events[i].Origin = event.Origin{Node: "n", Offset: f.n}
		f.n++
	}
	f.publish(events)
	f.drain()
}

// publish puts events on the log as they are.
func (f *fixture) publish(events []event.Refined) {
	f.t.Helper()
	recs := make([]log.Record, len(events))
	for i := range events {
		recs[i].Value = events[i].AppendJSON(nil)
		recs[i].Time = hour0
	}
	f.publishRecords(recs)
}

func (f *fixture) publishRecords(recs []log.Record) {
	f.t.Helper()
	b := f.store.NewBatch()
	if err := f.in.Write(context.Background(), b, recs); err != nil {
		f.t.Fatal(err)
	}
	if err := f.store.Commit(b); err != nil {
		f.t.Fatal(err)
	}
	f.in.Committed()
	_ = b.Close()
}

// drain counts what is on the log, in the steps that Run would take.
func (f *fixture) drain() {
	f.t.Helper()
	s := newStep(f.p)
	for {
		if _, next := f.in.Bounds(); f.p.Passed() == next {
			return
		}
		recs, err := f.in.Read(context.Background(), f.p.Passed(), f.p.o.StepRecords, nil)
		if err != nil {
			f.t.Fatal(err)
		}
		for rest := recs; len(rest) > 0; {
			n := untilErase(rest)
			if err := f.p.count(s, rest[:n]); err != nil {
				f.t.Fatal(err)
			}
			rest = rest[n:]
		}
		if n := counterOf(f.t, f.p.metrics.broken); n != 0 {
			f.t.Fatalf("%v cohort rows count below zero", n)
		}
	}
}

// score asks for the sender s, 24 hours.
func (f *fixture) score(asOf event.Millis) Score {
	f.t.Helper()
	return f.ask(Query{Account: "a", Sender: "s", Window: 24 * time.Hour, AsOf: asOf})
}

func (f *fixture) ask(q Query) Score {
	f.t.Helper()
	s, err := f.p.Score(q)
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// ev makes an event of sender s about message m, and changes it.
func ev(kind event.Kind, at event.Millis, change ...func(*event.Refined)) event.Refined {
	r := event.Refined{Kind: kind, Time: at, Ref: event.Ref{Account: "a", Sender: "s", Contact: "c", Message: "m"}}
	if kind == event.Open || kind == event.Click || kind == event.Reply {
		r.Actor.Verdict = event.Human
	}
	nextID++
	binary.BigEndian.PutUint64(r.ID[:], nextID*0x9e3779b97f4a7c15)
	for _, c := range change {
		c(&r)
	}
	return r
}

var nextID uint64

func verdict(v event.Verdict) func(*event.Refined) {
	return func(r *event.Refined) { r.Actor.Verdict = v }
}

func reason(code string) func(*event.Refined) {
	return func(r *event.Refined) { r.Actor.Reasons = []string{code} }
}

func inferred(r *event.Refined) { r.Inferred = true }

func hard(r *event.Refined) { r.Bounce.Hard = true }

func message(m string) func(*event.Refined) { return func(r *event.Refined) { r.Message = m } }

func sequence(s string) func(*event.Refined) { return func(r *event.Refined) { r.Sequence = s } }

func contact(c string) func(*event.Refined) { return func(r *event.Refined) { r.Contact = c } }

func sender(s string) func(*event.Refined) { return func(r *event.Refined) { r.Sender = s } }

func feedback(s string) func(*event.Refined) { return func(r *event.Refined) { r.FeedbackType = s } }

// someone makes an open or click nameless.
func someone(r *event.Refined) { r.Message, r.Contact = "", event.Someone }

// revised makes r the next revision of the event before.
func revised(before event.Refined, change ...func(*event.Refined)) event.Refined {
	before.Revision++
	for _, c := range change {
		c(&before)
	}
	return before
}

func counterOf(t testing.TB, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}
