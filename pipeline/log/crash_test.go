package log

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
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
)

var seedFlag = flag.Uint64("seed", 0, "seed of random tests; 0 takes one from the clock")

// stage is what every stage does: its state and the records that it releases are one batch.
type stage struct {
	store *kv.Store
	log   *Local
	steps uint64
}

var stateKey = []byte{kv.PrefixRefine, 0, 0, 0}

// releases returns the records of one step: none, one or several, so that state and log differ.
func releases(step uint64) (values []string) {
	for i := range step % 4 {
		values = append(values, fmt.Sprintf("%d.%d", step, i)+strings.Repeat(" ", int(step*1037%8000)))
	}
	return values
}

func openStage(fs vfs.FS) (*stage, error) {
	s, err := kv.Open("state", kv.Options{FS: fs, MemTableBytes: 256 << 10, CacheBytes: 1 << 20})
	if err != nil {
		return nil, err
	}
	l, err := NewLocal(s, kv.LogEvents, 0)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	st := &stage{store: s, log: l}
	v, ok, err := s.Get(nil, stateKey)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if ok {
		st.steps = binary.BigEndian.Uint64(v)
	}
	return st, nil
}

func (st *stage) step() error {
	b := st.store.NewBatch()
	err := errors.Join(
		st.log.Write(context.Background(), b, records(event.Millis(st.steps), releases(st.steps)...)),
		b.Set(stateKey, binary.BigEndian.AppendUint64(nil, st.steps+1), nil))
	if err != nil {
		return err
	}
	if err := st.store.Commit(b); err != nil {
		return err
	}
	st.steps++
	st.log.Committed()
	return b.Close()
}

// check compares log and state: whatever crashed, the log holds what the steps up to the state released.
func (st *stage) check(t *testing.T, acked, tried uint64) {
	t.Helper()
	if st.steps < acked || st.steps > tried {
		t.Fatalf("%d steps are there, %d were acknowledged, %d tried", st.steps, acked, tried)
	}
	var want []string
	for step := range st.steps {
		want = append(want, releases(step)...)
	}
	oldest, next := st.log.Bounds()
	if next != int64(len(want)) || oldest > trimmedBefore(st.steps) {
		t.Fatalf("bounds %d, %d with %d released and %d trimmed", oldest, next, len(want), trimmedBefore(st.steps))
	}
	if next > 0 {
		wantValues(t, readLog(t, st.log, oldest, 50), want[oldest:]...)
	}
}

// trimmedBefore is how far the test trims after so many steps.
func trimmedBefore(steps uint64) int64 { return int64(steps) }

func TestLocalCrashAtEveryWrite(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("run again with -seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))

	type crash struct {
		fs           *vfs.MemFS
		acked, tried uint64
		percent      int
		op           errorfs.Op
	}
	var crashes []crash
	var acked, tried atomic.Uint64
	var mu sync.Mutex // one clone at a time
	mem := vfs.NewCrashableMem()
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		c := crash{acked: acked.Load(), percent: []int{0, 50, 100}[len(crashes)%3], op: op}
		c.fs = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: c.percent, RNG: rng})
		c.tried = tried.Load()
		crashes = append(crashes, c)
		return nil
	}))
	for range 2 {
		st, err := openStage(fs)
		if err != nil {
			t.Fatal(err)
		}
		for range 60 {
			tried.Store(st.steps + 1)
			if err := st.step(); err != nil {
				t.Fatal(err)
			}
			acked.Store(st.steps)
			if err := st.log.Trim(trimmedBefore(st.steps)); err != nil {
				t.Fatal(err)
			}
		}
		if err := st.store.Close(); err != nil {
			t.Fatal(err)
		}
	}

	disordered := 0
	for i, c := range crashes {
		st, err := openStage(c.fs)
		// See the journal's crash test: Pebble counts on a file system that keeps the order of names in a folder.
		if err != nil && c.percent == 50 && strings.Contains(err.Error(), "could not open manifest file") {
			disordered++
			continue
		}
		if err != nil {
			t.Fatalf("crash %d, before %+v: %v", i, c.op, err)
		}
		st.check(t, c.acked, c.tried)
		if err := errors.Join(st.step(), st.step()); err != nil {
			t.Fatal(err)
		}
		st.check(t, c.acked+2, c.tried+2)
		if err := st.store.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Fatalf("crash %d, before %+v", i, c.op)
		}
	}
	t.Logf("%d crashes, %d impossible ones", len(crashes), disordered)
	if len(crashes) < 300 || disordered > len(crashes)/20 {
		t.Error("too few crashes to be worth anything")
	}
}

// The k-th write to Pebble's log fails, for every k: the step fails, and after a restart it is there or not, whole.
func TestLocalWriteErrorAtEveryWrite(t *testing.T) {
	const steps = 10
	for k := int64(1); ; k++ {
		mem := vfs.NewCrashableMem()
		var armed atomic.Bool
		var count atomic.Int64
		fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
			write := op.Kind == errorfs.OpFileWrite || op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData
			if write && strings.HasSuffix(op.Path, ".log") && armed.Load() && count.Add(1) == k {
				return errorfs.ErrInjected
			}
			return nil
		}))
		st, err := openStage(fs)
		if err != nil {
			t.Fatal(err)
		}
		armed.Store(true)
		for err == nil && st.steps < steps {
			err = st.step()
		}
		armed.Store(false)
		acked := st.steps
		_, next := st.log.Bounds()
		for percent := range 2 {
			again, err := openStage(mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100 * percent, RNG: rand.New(rand.NewPCG(0, 0))}))
			if err != nil {
				t.Fatal(err)
			}
			again.check(t, acked, min(acked+1, steps))
			if _, n := again.log.Bounds(); n < next {
				t.Errorf("write %d: readers saw %d records, after a restart there are %d", k, next, n)
			}
			_ = again.store.Close()
		}
		_ = st.store.Close()
		if err == nil {
			if k < 2*steps {
				t.Errorf("only %d writes for %d steps", k-1, steps)
			}
			return
		}
		if !strings.Contains(err.Error(), "injected") {
			t.Errorf("write %d: %v", k, err)
		}
	}
}
