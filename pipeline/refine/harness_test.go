package refine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random tests; 0 takes a new one")

// seeded returns a random source whose seed a failure prints, and -seed takes back.
func seeded(t testing.TB) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d: go test -run '%s' -seed %d", seed, t.Name(), seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// epoch is when the tests play.
var epoch = event.FromTime(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))

// feed is a raw log in memory: what the journal or a topic is to refine. It survives every crash of the store.
type feed struct {
	mu      sync.Mutex
	recs    []log.Record
	grown   chan struct{}
	oldest  int64
	ticks   int
	tickErr error
	now     func() event.Millis // log time of a tick
	badEnd  bool                // Bounds tells of no records
}

func newFeed(recs ...log.Record) *feed {
	f := &feed{grown: make(chan struct{}), now: event.Now}
	f.append(recs...)
	return f
}

func (f *feed) append(recs ...log.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range recs {
		r.Offset = int64(len(f.recs))
		f.recs = append(f.recs, r)
	}
	close(f.grown)
	f.grown = make(chan struct{})
}

func (f *feed) Read(ctx context.Context, from int64, most int, dst []log.Record) ([]log.Record, error) {
	for {
		f.mu.Lock()
		recs, grown, oldest := f.recs, f.grown, f.oldest
		f.mu.Unlock()
		if from < oldest {
			return dst, log.ErrTrimmed
		}
		if from < int64(len(recs)) {
			return append(dst, recs[from:min(int64(len(recs)), from+int64(most))]...), nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return dst, fmt.Errorf("feed: %w", ctx.Err())
		}
	}
}

func (f *feed) Bounds() (oldest, next int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.badEnd {
		return 0, 0
	}
	return f.oldest, int64(len(f.recs))
}

func (f *feed) Partition() int32 { return 3 }

func (f *feed) Refresh(context.Context) error { return nil }

func (f *feed) Tick(context.Context) error {
	f.mu.Lock()
	f.ticks++
	err, now := f.tickErr, f.now()
	f.mu.Unlock()
	if err == nil {
		f.append(tickAtTime(now))
	}
	return err
}

func (f *feed) ticked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ticks
}

// setTick says what a tick does from now on.
func (f *feed) setTick(now func() event.Millis, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now, f.tickErr = now, err
}

func tickAtTime(at event.Millis) log.Record {
	e := event.Event{Kind: event.Tick, Time: at}
	return log.Record{Time: at, Value: e.AppendBinary(nil)}
}

// world is a partition with all that it stands on.
type world struct {
	t         testing.TB
	fs        vfs.FS
	feed      *feed
	store     *kv.Store
	begun     *Partition
	events    *log.Local
	rejects   *log.Local
	addresses *log.Local
	reg       *prometheus.Registry
	p         *Partition
}

func testOptions() Options {
	o := Default()
	o.CacheMessages = 16 // so that states come back from disk
	return o
}

// openWorld opens a store on fs and a partition that reads f.
func openWorld(t testing.TB, o Options, fs vfs.FS, f *feed) *world {
	t.Helper()
	w := &world{t: t, fs: fs, feed: f, reg: prometheus.NewRegistry()}
	w.check(w.open(o))
	return w
}

func (w *world) open(o Options) (err error) {
	if w.store, err = kv.Open("state", kv.Options{FS: w.fs, MemTableBytes: 1 << 20, CacheBytes: 1 << 20}); err != nil {
		return err
	}
	if w.events, err = log.NewLocal(w.store, kv.LogEvents, w.feed.Partition()); err != nil {
		return err
	}
	if w.rejects, err = log.NewLocal(w.store, kv.LogRejects, w.feed.Partition()); err != nil {
		return err
	}
	if w.addresses, err = log.NewLocal(w.store, kv.LogAddresses, w.feed.Partition()); err != nil {
		return err
	}
	w.p, err = Open(o, w.store, w.feed, w.outputs(), w.feed, zap.NewNop(), w.reg)
	return err
}

func (w *world) outputs() Outputs { return Outputs{w.events, w.addresses, w.rejects} }

// begin does what Run does first.
func (w *world) begin() {
	w.t.Helper()
	if w.begun != w.p {
		w.check(w.p.begin(context.Background()))
		w.begun = w.p
	}
}

func (w *world) close() {
	w.t.Helper()
	w.check(w.p.step.batch.Close())
	w.check(w.store.Close())
}

func (w *world) reopen(o Options) {
	w.t.Helper()
	w.close()
	w.check(w.open(o))
}

func (w *world) check(err error) {
	if err != nil {
		w.t.Helper()
		w.t.Fatal(err)
	}
}

// drain refines all that the feed holds, in steps as cut says: it returns the size of the next one.
func (w *world) drain(cut func() int) {
	w.t.Helper()
	w.begin()
	for {
		_, next := w.feed.Bounds()
		if w.p.Passed() >= next {
			return
		}
		recs, err := w.feed.Read(context.Background(), w.p.meta.offset, cut(), nil)
		w.check(err)
		w.check(w.p.refine(context.Background(), recs))
	}
}

func all() int { return 1 << 20 }

// contents is all that a log holds.
func contents(t testing.TB, l *log.Local) []log.Record {
	t.Helper()
	oldest, next := l.Bounds()
	if oldest == next {
		return nil
	}
	recs, err := l.Read(context.Background(), oldest, int(next-oldest), nil)
	if err != nil {
		t.Fatal(err)
	}
	return recs
}

func refinedOf(t testing.TB, recs []log.Record) []event.Refined {
	t.Helper()
	out := make([]event.Refined, len(recs))
	for i := range recs {
		if err := out[i].DecodeJSON(recs[i].Value); err != nil {
			t.Fatalf("event %d: %v: %s", i, err, recs[i].Value)
		}
	}
	return out
}

func decodeJSON(t testing.TB, b []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

func factsOf(t testing.TB, recs []log.Record) []event.AddressFact {
	t.Helper()
	out := make([]event.AddressFact, len(recs))
	for i := range recs {
		if err := out[i].DecodeJSON(recs[i].Value); err != nil {
			t.Fatalf("fact %d: %v: %s", i, err, recs[i].Value)
		}
	}
	return out
}

func rejectsOf(t testing.TB, recs []log.Record) []Reject {
	t.Helper()
	out := make([]Reject, len(recs))
	for i := range recs {
		var err error
		if out[i], err = ReadReject(recs[i].Value); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// sameRecords fails unless both logs hold the same bytes.
func sameRecords(t testing.TB, what string, got, want []log.Record) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		g, w := got[i], want[i]
		if g.Offset != w.Offset || g.Time != w.Time || !bytes.Equal(g.Key, w.Key) || !bytes.Equal(g.Value, w.Value) {
			t.Fatalf("%s: record %d is\n  %v %s %s\nwant\n  %v %s %s", what, i, g.Time, g.Key, g.Value, w.Time, w.Key, w.Value)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%s: %d records, want %d", what, len(got), len(want))
	}
}

// state returns every key and value of refine's own.
func stored(t testing.TB, s *kv.Store) map[string]string {
	t.Helper()
	it, err := s.DB().NewIter(&pebble.IterOptions{LowerBound: []byte{kv.PrefixRefine}, UpperBound: []byte{kv.PrefixRefine + 1}})
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	for ok := it.First(); ok; ok = it.Next() {
		all[string(it.Key())] = string(it.Value())
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return all
}

func sameStored(t testing.TB, got, want map[string]string) {
	t.Helper()
	for k, v := range want {
		if g, ok := got[k]; !ok || g != v {
			t.Fatalf("key %x is %x, want %x", k, g, v)
		}
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			t.Fatalf("key %x is there and should not be", k)
		}
	}
}

// value reads a metric; labels are pairs of name and value that must all be there.
func (w *world) value(name string, labels ...string) float64 {
	w.t.Helper()
	families, err := w.reg.Gather()
	w.check(err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if hasLabels(m, labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	w.t.Fatalf("no metric %s %v", name, labels)
	return 0
}

func hasLabels(m *dto.Metric, want []string) bool {
	for i := 0; i < len(want); i += 2 {
		found := false
		for _, l := range m.GetLabel() {
			found = found || l.GetName() == want[i] && l.GetValue() == want[i+1]
		}
		if !found {
			return false
		}
	}
	return true
}

// message asks for a message that must be known.
func (w *world) message(account, id string) Message {
	w.t.Helper()
	m, ok, err := w.p.Message(account, id)
	w.check(err)
	if !ok {
		w.check(errors.New("message " + id + " is not known"))
	}
	return m
}

// builder makes raw records as one node's journal would.
type builder struct {
	node        string
	incarnation [16]byte
	sequence    uint64
}

func newBuilder(node string) *builder {
	b := &builder{node: node}
	copy(b.incarnation[:], node+" incarnation")
	return b
}

// record journals e at log time at.
func (b *builder) record(at event.Millis, e event.Event) log.Record {
	b.sequence++
	return log.Record{
		Time: at, Value: e.AppendBinary(nil),
		Source: event.Source{Node: b.node, Incarnation: b.incarnation, Sequence: b.sequence},
	}
}
