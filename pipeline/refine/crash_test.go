package refine

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// crash is the disk as it may be found after a crash, and what refine had promised by then.
type crash struct {
	fs      *vfs.MemFS
	write   int   // before this one
	passed  int64 // OnPassed had said so
	shipped [2]int
}

// crasher is a file system that keeps what a crash before each write would leave: what was synced, and of the rest
// nothing, some, or all.
type crasher struct {
	mem     *vfs.MemFS
	rng     *rand.Rand
	passed  atomic.Int64
	shipped func() [2]int

	mu      sync.Mutex
	crashes []crash
	writes  int
}

func newCrasher(rng *rand.Rand, mem *vfs.MemFS) *crasher {
	return &crasher{mem: mem, rng: rng, shipped: func() [2]int { return [2]int{} }}
}

func (c *crasher) fs() vfs.FS {
	return errorfs.Wrap(c.mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsRead {
			return nil
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: pick(c.rng, 0, 50, 100), RNG: c.rng}
		if moves := strings.Contains(op.Path, "marker") || op.Path == "state"; moves && cfg.UnsyncedDataPercent == 50 {
			// Pebble makes a manifest and then the marker that names it, and syncs the folder once. It relies on the
			// order of a folder's entries, which file systems keep and a half clone doesn't.
			cfg.UnsyncedDataPercent = 100
		}
		// The promise first: what is promised later must not be asked of an earlier disk.
		passed, shipped := c.passed.Load(), c.shipped()
		c.crashes = append(c.crashes, crash{fs: c.mem.CrashClone(cfg), write: c.writes, passed: passed, shipped: shipped})
		c.writes++
		return nil
	}))
}

// crashOptions make many small commits, some of them in the middle of a record.
func crashOptions() Options {
	o := trafficOptions()
	o.StepBytes = 4 << 10
	o.Keep = time.Minute // so that messages expire, too
	return o
}

// play refines the whole feed in small steps, flushing now and then so that table files are written too.
func (w *world) play(rng *rand.Rand) {
	w.t.Helper()
	steps := 0
	w.drain(func() int {
		if steps++; steps%16 == 0 {
			w.check(w.store.DB().Flush())
		}
		return 1 + rng.IntN(8)
	})
}

// A crash before any write: what was promised is there, and the rest of the way gives what an uncrashed run gives, byte
// for byte, each once. Some of the runs that recover crash again.
func TestCrashAtEveryWrite(t *testing.T) {
	rng := seeded(t)
	feed := newFeed(makeTraffic(rng, 150)...)
	o := crashOptions()
	want := refineUncut(t, o, feed.recs)
	if want.counters["expired_epochs_total"] < 2 {
		t.Fatal("no message expires")
	}

	crashes := crashesOf(t, o, feed, rng, vfs.NewCrashableMem())
	again := 0
	for _, c := range crashes {
		recovered := c.fs
		if rng.IntN(20) == 0 {
			// The clone is consumed by the run that crashes again; any of its crashes will do.
			second := crashesOf(t, o, feed, rng, recovered)
			c = second[rng.IntN(len(second))]
			recovered = c.fs
			again++
		}
		w := openWorld(t, o, recovered, feed)
		if w.p.Passed() < c.passed {
			t.Fatalf("crash before write %d: input offset %d was promised, %d is there", c.write, c.passed, w.p.Passed())
		}
		checkPrefix(t, w, want)
		w.drain(all)
		sameRecords(t, "events", contents(t, w.events), want.events)
		sameRecords(t, "addresses", contents(t, w.addresses), want.addresses)
		sameRecords(t, "rejects", contents(t, w.rejects), want.rejects)
		sameStored(t, stored(t, w.store), want.stored)
		w.close()
	}
	t.Logf("%d crashes, %d of them twice", len(crashes), again)
	if len(crashes) < 100 {
		t.Errorf("only %d writes: too few to crash at", len(crashes))
	}
}

func crashesOf(t *testing.T, o Options, f *feed, rng *rand.Rand, mem *vfs.MemFS) []crash {
	t.Helper()
	c := newCrasher(rand.New(rand.NewPCG(rng.Uint64(), 0)), mem)
	w := openWorld(t, o, c.fs(), f)
	c.passed.Store(w.p.Passed())
	w.p.OnPassed(c.passed.Store)
	w.play(rng)
	w.close()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.crashes
}

// checkPrefix fails if, right after the crash, state and output don't belong together.
func checkPrefix(t *testing.T, w *world, want uncut) {
	t.Helper()
	events := contents(t, w.events)
	if len(events) > len(want.events) {
		t.Fatalf("%d events after the crash, want at most %d", len(events), len(want.events))
	}
	sameRecords(t, "events after the crash", events, want.events[:len(events)])
	for _, r := range refinedOf(t, want.events[len(events):]) {
		if r.Origin.Offset < w.p.meta.offset || r.Origin.Offset == w.p.meta.offset && r.Origin.N < w.p.meta.events {
			t.Fatalf("the state is at offset %d, %d events; event %+v is missing", w.p.meta.offset, w.p.meta.events, r.Origin)
		}
	}
}

// topic is a log elsewhere: what is written to it is there for good, whether or not the batch ever gets to the disk.
type topic struct {
	mu   sync.Mutex
	recs []log.Record
}

func (tp *topic) Write(_ context.Context, _ *kv.Batch, recs []log.Record) error {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	for _, r := range recs {
		tp.recs = append(tp.recs, log.Record{Key: append([]byte(nil), r.Key...), Value: append([]byte(nil), r.Value...)})
	}
	return nil
}

func (tp *topic) Committed() {}

func (tp *topic) size() int {
	tp.mu.Lock()
	defer tp.mu.Unlock()
	return len(tp.recs)
}

// With the logs elsewhere, a crash between shipping and commit ships again: the same bytes, which a consumer drops by
// their origin.
func TestCrashWithTopics(t *testing.T) {
	rng := seeded(t)
	f := newFeed(makeTraffic(rng, 120)...)
	o := crashOptions()
	want := refineUncut(t, o, f.recs)

	c := newCrasher(rand.New(rand.NewPCG(rng.Uint64(), 0)), vfs.NewCrashableMem())
	events, rejects := &topic{}, &topic{}
	c.shipped = func() [2]int { return [2]int{events.size(), rejects.size()} }
	playTopics(t, o, c.fs(), f, events, rejects, rng)

	repeats := 0
	for _, c := range c.crashes {
		events := &topic{recs: append([]log.Record(nil), events.recs[:c.shipped[0]]...)}
		rejects := &topic{recs: append([]log.Record(nil), rejects.recs[:c.shipped[1]]...)}
		playTopics(t, o, c.fs, f, events, rejects, rng)
		kept := dropSeenEvents(t, events.recs)
		repeats += len(events.recs) - len(kept)
		sameValues(t, kept, want.events)
		sameValues(t, dropSeenRejects(t, rejects.recs), want.rejects)
	}
	if repeats == 0 {
		t.Error("nothing was shipped twice: the test shows nothing")
	}
	t.Logf("%d crashes, %d events shipped again", len(c.crashes), repeats)
}

func playTopics(t *testing.T, o Options, fs vfs.FS, f *feed, events, rejects *topic, rng *rand.Rand) {
	t.Helper()
	w := openTopics(t, o, fs, f, events, rejects)
	w.play(rng)
	w.close()
}

// openTopics opens a partition whose logs are topics.
func openTopics(t *testing.T, o Options, fs vfs.FS, f *feed, events, rejects *topic) *world {
	t.Helper()
	store, err := kv.Open("state", kv.Options{FS: fs, MemTableBytes: 1 << 20, CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Open(o, store, f, Outputs{events, &topic{}, rejects}, f, zap.NewNop(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, feed: f, store: store, p: p}
}

func dropSeenEvents(t *testing.T, recs []log.Record) (kept []log.Record) {
	t.Helper()
	var last event.Origin
	for i, r := range refinedOf(t, recs) {
		if len(kept) == 0 || r.Origin.After(last) {
			last, kept = r.Origin, append(kept, recs[i])
		}
	}
	return kept
}

func dropSeenRejects(t *testing.T, recs []log.Record) (kept []log.Record) {
	t.Helper()
	var last RejectOrigin
	for i, r := range rejectsOf(t, recs) {
		after := r.Origin.Offset > last.Offset || r.Origin.Offset == last.Offset && r.Origin.N > last.N
		if len(kept) == 0 || after {
			last, kept = r.Origin, append(kept, recs[i])
		}
	}
	return kept
}

func sameValues(t *testing.T, got, want []log.Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range got {
		if string(got[i].Key) != string(want[i].Key) || string(got[i].Value) != string(want[i].Value) {
			t.Fatalf("record %d is %s, want %s", i, got[i].Value, want[i].Value)
		}
	}
}

// Whatever fails on the way to the disk, Run ends with an error, and a new Run from that disk makes it good.
func TestWriteErrors(t *testing.T) {
	rng := seeded(t)
	f := newFeed(makeTraffic(rng, 60)...)
	o := crashOptions()
	o.StepRecords = 2 // so that there are many writes
	want := refineUncut(t, o, f.recs)
	broken := errors.New("broken")
	for failAt := range 12 {
		events, rejects := &topic{}, &topic{}
		fs := vfs.NewMem()
		store, err := kv.Open("state", kv.Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		p, err := Open(o, store, f, Outputs{&failing{topic: events, left: failAt, err: broken}, &topic{}, rejects}, f, zap.NewNop(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Run(t.Context()); !errors.Is(err, broken) {
			t.Fatalf("Run returned %v, want the writer's error", err)
		}
		if err := p.Run(t.Context()); !errors.Is(err, errRan) {
			t.Fatalf("a second Run returned %v", err)
		}
		if err := errors.Join(p.step.batch.Close(), store.Close()); err != nil {
			t.Fatal(err)
		}
		playTopics(t, o, fs, f, events, rejects, rng)
		sameValues(t, dropSeenEvents(t, events.recs), want.events)
		sameValues(t, dropSeenRejects(t, rejects.recs), want.rejects)
	}
}

// failing fails the write after left more.
type failing struct {
	*topic
	left int
	err  error
}

func (f *failing) Write(ctx context.Context, b *kv.Batch, recs []log.Record) error {
	if f.left == 0 {
		return f.err
	}
	f.left--
	return f.topic.Write(ctx, b, recs)
}
