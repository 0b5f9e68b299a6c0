package journal

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

var seedFlag = flag.Uint64("seed", 0, "seed of random tests; 0 takes one from the clock")

func newRand(t *testing.T) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("run again with -seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// model is what the world knows of a journal: every id is sent before its append, acked after it, and read at one
// sequence.
type model struct {
	mu          sync.Mutex
	sent, acked map[string]bool
	read        map[int64]string
	passed      int64
}

func newModel() *model {
	return &model{sent: make(map[string]bool), acked: make(map[string]bool), read: make(map[int64]string)}
}

func (m *model) note(set map[string]bool, ids []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		set[id] = true
	}
}

func (m *model) snapshot() *model {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &model{sent: maps.Clone(m.sent), acked: maps.Clone(m.acked), read: maps.Clone(m.read), passed: m.passed}
}

// check compares a journal that was opened after a crash. old is the model just before the crash: all that it has
// acked must be there. m is the model after it: nothing else may be there.
func (m *model) check(t *testing.T, j *Journal, old *model) {
	t.Helper()
	oldest, next := j.Bounds()
	if oldest > m.passed {
		t.Fatalf("oldest is %d, but only %d was passed", oldest, m.passed)
	}
	seen := make(map[string]int64)
	last := make(map[string]int)
	for i, id := range readAll(t, j, oldest, 64) {
		sequence := oldest + int64(i)
		if at, twice := seen[id]; twice {
			t.Fatalf("%s is there twice, at %d and %d", id, at, sequence)
		}
		seen[id] = sequence
		if !m.sent[id] {
			t.Fatalf("%s at %d was never sent", id, sequence)
		}
		if was, ok := old.read[sequence]; ok && was != id {
			t.Fatalf("sequence %d is %s, a reader saw %s", sequence, id, was)
		}
		var who string
		var n int
		if _, err := fmt.Sscanf(strings.Replace(id, "-", " ", 1), "%s %d", &who, &n); err != nil {
			t.Fatal(err)
		}
		if before, ok := last[who]; ok && n <= before {
			t.Fatalf("%s comes after %s-%d", id, who, before)
		}
		last[who] = n
	}
	for sequence, id := range old.read {
		if sequence >= next {
			t.Fatalf("%s at %d was read, and is gone", id, sequence)
		}
		if sequence < oldest {
			seen[id] = sequence
		}
	}
	for id := range old.acked {
		if _, ok := seen[id]; !ok {
			t.Fatalf("%s was acknowledged, and is gone", id)
		}
	}
}

// crash is one moment at which the machine might have stopped.
type crash struct {
	fs     *vfs.MemFS
	before *model
	op     string
	// disorder: some names in a folder may survive, and older ones not.
	disorder bool
}

// crashes wraps a file system so that it is cloned, as a crash would leave it, before every write. A write is
// acknowledged in before if its ack came before the clone.
type crashes struct {
	t     *testing.T
	mem   *vfs.MemFS
	model *model
	rng   *rand.Rand
	armed atomic.Bool
	mu    sync.Mutex
	all   []crash
}

func (c *crashes) wrap() vfs.FS {
	return errorfs.Wrap(c.mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && c.armed.Load() {
			c.take(op)
		}
		return nil
	}))
}

func (c *crashes) take(op errorfs.Op) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.model.snapshot()
	// Nothing, all, or some of what was not synced survives.
	cfg := vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 50, 100}[len(c.all)%3], RNG: c.rng}
	c.all = append(c.all, crash{c.mem.CrashClone(cfg), before, fmt.Sprintf("write %d (%d) to %s, %d %% of unsynced data kept",
		len(c.all), op.Kind, op.Path, cfg.UnsyncedDataPercent), cfg.UnsyncedDataPercent == 50})
}

func crashOptions(fs vfs.FS) (kv.Options, Options) {
	o := Default()
	o.MaxBytes, o.MinFreeBytes, o.Retention = 4<<20, 0, 0
	return kv.Options{FS: fs, MemTableBytes: 256 << 10, CacheBytes: 1 << 20}, o
}

func tryReopen(fs vfs.FS) (*fixture, error) {
	so, o := crashOptions(fs)
	return tryOpen(fs, so, o, "reader")
}

func reopen(t *testing.T, fs vfs.FS) *fixture {
	t.Helper()
	f, err := tryReopen(fs)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// load lets four goroutines append, one read, and trims, until all have appended n times.
func load(t *testing.T, f *fixture, m *model, run string, n int) {
	var appenders, others sync.WaitGroup
	for a := range 4 {
		appenders.Go(func() {
			for i := range n {
				ids := []string{fmt.Sprintf("%s%d-%d", run, a, 2*i), fmt.Sprintf("%s%d-%d", run, a, 2*i+1)}
				m.note(m.sent, ids)
				if err := f.Append(Essential, big(ids[0], 300*a), ev(ids[1])); err != nil {
					t.Error(err)
					return
				}
				m.note(m.acked, ids)
			}
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	others.Go(func() {
		oldest, _ := f.Bounds()
		var recs []log.Record
		for from := oldest; ; {
			var err error
			if recs, err = f.Read(ctx, from, 50, recs[:0]); err != nil {
				return
			}
			m.mu.Lock()
			for _, rec := range recs {
				m.read[rec.Offset] = idOf(t, rec)
				from = rec.Offset + 1
			}
			// A real reader would have made this durable; here the model plays its memory.
			m.passed = max(m.passed, from-100)
			passed := m.passed
			m.mu.Unlock()
			f.Passed("reader", passed)
			if err := f.trim(event.Now()); err != nil {
				t.Error(err)
			}
		}
	})
	appenders.Wait()
	cancel()
	others.Wait()
}

func TestCrashAtEveryWrite(t *testing.T) {
	m := newModel()
	c := &crashes{t: t, mem: vfs.NewCrashableMem(), model: m, rng: newRand(t)}
	c.armed.Store(true)
	f := reopen(t, c.wrap()) // making the store is crashed too
	load(t, f, m, "a", 150)
	f.close()
	f = reopen(t, c.wrap()) // and opening it again, with flushes of the log
	load(t, f, m, "b", 20)
	f.close()
	c.armed.Store(false)

	trimmed, disordered := 0, 0
	for i, crash := range c.all {
		f, err := tryReopen(crash.fs)
		// Pebble does not sync the folder between making a manifest and pointing at it: it counts on a file system
		// that keeps the order of what happens in one folder. The clones that keep some of it do not.
		if err != nil && crash.disorder && strings.Contains(err.Error(), "could not open manifest file") {
			disordered++
			continue
		}
		if err != nil {
			t.Fatalf("crash before %s: %v", crash.op, err)
		}
		m.check(t, f.Journal, crash.before)
		if oldest, _ := f.Bounds(); oldest > 0 {
			trimmed++
		}
		// What was found can be built on: the next record follows, and survives.
		next := f.synced.Load()
		mustAppend(t, f.Journal, "z-1")
		if i%10 == 0 {
			again := reopen(t, crash.fs.CrashClone(vfs.CrashCloneCfg{}))
			wantIDs(t, readAll(t, again.Journal, next, 1), "z-1")
			again.close()
		}
		f.close()
		if t.Failed() {
			t.Fatalf("crash before %s", crash.op)
		}
	}
	t.Logf("%d crashes, %d after trimming, %d impossible ones", len(c.all), trimmed, disordered)
	if len(c.all) < 300 || trimmed == 0 || disordered > len(c.all)/20 {
		t.Error("too few crashes to be worth anything")
	}
}

// The k-th write to Pebble's log fails, for every k; then the machine crashes.
func TestWriteErrorAtEveryWrite(t *testing.T) {
	rng := newRand(t)
	for k := int64(1); ; k++ {
		m := newModel()
		mem := vfs.NewCrashableMem()
		var count atomic.Int64
		var armed atomic.Bool
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			write := op.Kind == errorfs.OpFileWrite || isLogSync(op)
			if write && strings.HasSuffix(op.Path, ".log") && armed.Load() && count.Add(1) == k {
				return errorfs.ErrInjected
			}
			return nil
		}))
		f := reopen(t, fs)
		armed.Store(true)
		var failed atomic.Bool
		var wg sync.WaitGroup
		for a := range 3 {
			wg.Go(func() {
				for i := range 10 {
					ids := []string{fmt.Sprintf("a%d-%d", a, i)}
					m.note(m.sent, ids)
					if err := f.Append(Essential, ev(ids[0])); err != nil {
						failed.Store(true)
						continue
					}
					if failed.Load() && f.Health() == nil {
						t.Error("healthy after a failure")
					}
					m.note(m.acked, ids)
				}
			})
		}
		wg.Wait()
		armed.Store(false)
		_, next := f.Bounds()
		for i, id := range readAll(t, f.Journal, 0, 100) {
			m.read[int64(i)] = id
		}
		if next != int64(len(m.read)) || len(m.acked) > len(m.read) {
			t.Fatalf("write %d: %d acked, %d read, bound %d", k, len(m.acked), len(m.read), next)
		}
		clones := []*vfs.MemFS{
			mem.CrashClone(vfs.CrashCloneCfg{}),
			mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng}),
			mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng}),
		}
		f.close()
		for _, clone := range clones {
			f := reopen(t, clone)
			m.check(t, f.Journal, m)
			f.close()
		}
		if t.Failed() {
			t.Fatalf("write %d failed", k)
		}
		if !failed.Load() {
			t.Logf("%d writes", k-1)
			if k < 10 {
				t.Error("too few writes")
			}
			return
		}
	}
}

// Opening must fail cleanly, or succeed, whichever write fails meanwhile.
func TestWriteErrorWhileOpening(t *testing.T) {
	for k := int32(0); ; k++ {
		mem := vfs.NewMem()
		inject := errorfs.OnIndex(k)
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpFileClose {
				return inject.MaybeError(op)
			}
			return nil
		}))
		so, o := crashOptions(fs)
		f, err := tryOpen(fs, so, o)
		if err == nil {
			mustAppendOr(t, f)
			f.close()
			if inject.Index.Load() >= 0 {
				t.Logf("%d writes", k)
				return
			}
			continue
		}
		if !errors.Is(err, errorfs.ErrInjected) && !strings.Contains(err.Error(), "injected") {
			t.Errorf("write %d: %v", k, err)
		}
	}
}

// mustAppendOr appends one record, or gets the injected error.
func mustAppendOr(t *testing.T, f *fixture) {
	t.Helper()
	if err := f.Append(Essential, ev("x")); err != nil && !strings.Contains(err.Error(), "injected") {
		t.Error(err)
	}
}
