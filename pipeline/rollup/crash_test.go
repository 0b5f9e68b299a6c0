package rollup

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"carom/pipeline/event"
)

// crashFS hands out what a crash before each write would have left of the disk.
type crashFS struct {
	vfs.FS
	mem *vfs.MemFS

	mu      sync.Mutex
	rng     *rand.Rand
	crashed func(disk *vfs.MemFS)
}

func newCrashFS(rng *rand.Rand) *crashFS {
	c := &crashFS{mem: vfs.NewCrashableMem(), rng: rng}
	c.FS = errorfs.Wrap(c.mem, errorfs.InjectorFunc(c.before))
	return c
}

func (c *crashFS) before(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.crashed != nil {
		percent := pick(c.rng, []int{0, 50, 100})
		c.crashed(c.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: c.rng}))
	}
	return nil
}

// onCrash has fn called with the disk before each write from now on; nil ends that.
func (c *crashFS) onCrash(fn func(disk *vfs.MemFS)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.crashed = fn
}

// crash is a disk, and what was promised to be on it.
type crash struct {
	disk   *vfs.MemFS
	passed int64
}

// TestCrashAtEveryWrite lets the machine fail before each write of a run that counts step by step. Opened again, the
// rollup must hold exactly the facts that it says it has passed, at least those it had promised, and in the end the
// same bytes as one that never failed.
func TestCrashAtEveryWrite(t *testing.T) {
	rng := newRand(t)
	o := Options{CompleteAfter: 36 * time.Hour, PublishEvery: time.Minute, Domains: 10, StepRecords: 7, CacheEnrollments: 8, CacheRows: 8}
	events := randomEvents(rng, 80)
	fs := newCrashFS(rng)
	f := &fixture{t: t, store: openStore(t, fs)}
	f.in = openLog(t, f.store)
	f.open(o)

	var crashes []crash
	fs.onCrash(func(disk *vfs.MemFS) { crashes = append(crashes, crash{disk, f.p.Passed()}) })
	for start := 0; start < len(events); start += 10 {
		f.tell(events[start:min(start+10, len(events))]...)
	}
	fs.onCrash(nil)
	want := dump(t, f)
	t.Logf("%d crashes", len(crashes))
	if len(crashes) < 2*len(events)/10 {
		t.Fatalf("only %d writes for %d events", len(crashes), len(events))
	}
	for _, c := range crashes {
		recoverFrom(t, rng, o, c, events, want)
	}
}

func recoverFrom(t *testing.T, rng *rand.Rand, o Options, c crash, events []event.Refined, want map[string]string) {
	t.Helper()
	g := &fixture{t: t, store: openStore(t, c.disk)}
	defer func() { _ = g.store.Close() }()
	g.in = openLog(t, g.store)
	g.open(o)
	if g.p.Passed() < c.passed {
		t.Fatalf("%d records are counted, %d were promised", g.p.Passed(), c.passed)
	}
	m := newModel(event.Millis(o.CompleteAfter / time.Millisecond))
	m.tell(events[:g.p.Passed()]...)
	compareWithModel(t, rng, g, m)
	_, logged := g.in.Bounds()
	g.n = logged
	g.tell(events[logged:]...)
	if got := dump(t, g); !reflect.DeepEqual(got, want) {
		t.Fatalf("after a crash at %d: %q\nwithout: %q", c.passed, got, want)
	}
}

// TestCrashInRebuild lets the machine fail before each write of a rebuild.
func TestCrashInRebuild(t *testing.T) {
	rng := newRand(t)
	defer func(n int) { rebuildRows = n }(rebuildRows)
	rebuildRows = 5
	before := Options{CompleteAfter: 72 * time.Hour, PublishEvery: time.Minute, Domains: 10, StepRecords: 50, CacheEnrollments: 8, CacheRows: 8}
	after := Options{CompleteAfter: 36 * time.Hour, PublishEvery: time.Minute, Domains: 10, StepRecords: 50, CacheEnrollments: 8, CacheRows: 8}
	events := randomEvents(rng, 200)
	fs := newCrashFS(rng)
	f := &fixture{t: t, store: openStore(t, fs)}
	f.in = openLog(t, f.store)
	f.open(before)
	f.tell(events...)

	var crashes []crash
	fs.onCrash(func(disk *vfs.MemFS) { crashes = append(crashes, crash{disk, f.p.Passed()}) })
	f.open(after)
	fs.onCrash(nil)
	want := dump(t, f)
	if !reflect.DeepEqual(straight(t, after, events), want) {
		t.Fatal("a rebuild does not give what counting by the new setting gives")
	}
	t.Logf("%d crashes", len(crashes))
	if len(crashes) < 4 {
		t.Fatalf("only %d writes", len(crashes))
	}
	third := Options{CompleteAfter: time.Hour, PublishEvery: time.Minute, Domains: 10, StepRecords: 50, CacheEnrollments: 8, CacheRows: 8}
	wantThird := straight(t, third, events)
	for i, c := range crashes {
		switch i % 3 {
		case 0: // the operator goes on
			recoverFrom(t, rng, after, c, events, want)
		case 1: // goes back, and then on
			detour(t, c, before)
			recoverFrom(t, rng, after, c, events, want)
		case 2: // wants something else in the middle of it
			recoverFrom(t, rng, third, c, events, wantThird)
		}
	}
}

// straight counts events by o from the beginning.
func straight(t *testing.T, o Options, events []event.Refined) map[string]string {
	t.Helper()
	f := newFixture(t, o)
	f.tell(slices.Clone(events)...)
	return dump(t, f)
}

// detour opens what a crash left with other settings first, as an operator does who changes his mind.
func detour(t *testing.T, c crash, o Options) {
	t.Helper()
	g := &fixture{t: t, store: openStore(t, c.disk)}
	g.in = openLog(t, g.store)
	g.open(o)
	if err := g.store.Close(); err != nil {
		t.Fatal(err)
	}
}
