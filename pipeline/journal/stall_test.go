package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

func isLogSync(op errorfs.Op) bool {
	return strings.HasSuffix(op.Path, ".log") && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData)
}

// gate is a disk whose syncs can be held.
type gate struct {
	mu sync.Mutex
	ch chan struct{}
}

func (g *gate) hold() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ch = make(chan struct{})
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ch != nil {
		close(g.ch)
		g.ch = nil
	}
}

func (g *gate) wrap(fs vfs.FS) vfs.FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !isLogSync(op) {
			return nil
		}
		g.mu.Lock()
		ch := g.ch
		g.mu.Unlock()
		if ch != nil {
			<-ch
		}
		return nil
	}))
}

// appendAsync appends n events at once, and gives their errors.
func appendAsync(f *fixture, name string, n, bytes int) (errs chan error) {
	errs = make(chan error, n)
	for i := range n {
		go func() { errs <- f.Append(Essential, big(fmt.Sprintf("%s%d", name, i), bytes)) }()
	}
	return errs
}

func wantErrors(t *testing.T, what string, errs chan error, want error) {
	t.Helper()
	for range cap(errs) {
		if err := <-errs; !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", what, err, want)
		}
	}
}

// While one batch is written, all that comes is gathered in the next: two syncs for a hundred appends.
func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		f := openOn(t, g.wrap(vfs.NewMem()), Default())
		defer f.close()
		defer g.open() // or a failed test never ends
		g.hold()
		first := appendAsync(f, "a", 1, 0)
		synctest.Wait()
		rest := appendAsync(f, "b", 99, 0)
		synctest.Wait()
		if len(first)+len(rest) != 0 {
			t.Fatal("an append returned before its sync")
		}
		if _, next := f.Bounds(); next != 0 {
			t.Fatalf("readers see %d records before the sync", next)
		}
		g.open()
		wantErrors(t, "first", first, nil)
		wantErrors(t, "rest", rest, nil)
		if n := f.metric(t, "carom_journal_batch_records", ""); n != 2 {
			t.Errorf("%v batches, want 2", n)
		}
	})
}

// The open batch is bounded: what does not fit waits, and is not lost.
func TestBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		f := openOn(t, g.wrap(vfs.NewMem()), Default())
		defer f.close()
		defer g.open() // or a failed test never ends
		g.hold()
		errs := appendAsync(f, "a", 40, 100_000)
		synctest.Wait()
		f.mu.Lock()
		if n := len(f.open.value); n > maxBatchBytes || n < maxBatchBytes/2 {
			t.Errorf("the open batch has %d bytes", n)
		}
		f.mu.Unlock()
		g.open()
		wantErrors(t, "append", errs, nil)
		if n := len(readAll(t, f.Journal, 0, 100)); n != 40 {
			t.Errorf("%d records, want 40", n)
		}
		if n := f.metric(t, "carom_journal_batch_records", ""); n < 4 {
			t.Errorf("%v batches for 4 MB", n)
		}
	})
}

// A disk that hangs makes appends fail, not hang; when it comes back, the journal goes on.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		fs := vfs.NewMem()
		f := openOn(t, g.wrap(fs), Default())
		defer f.close()
		defer g.open()
		mustAppend(t, f.Journal, "before")
		g.hold()
		written := appendAsync(f, "written", 1, 0)
		synctest.Wait()
		// One in the open batch, more than fit behind it.
		open := appendAsync(f, "open", 20, 100_000)
		wantErrors(t, "in hand", written, ErrStalled)
		wantErrors(t, "in the open batch", open, ErrStalled)
		if err := f.Append(Essential, ev("refused")); !errors.Is(err, ErrStalled) {
			t.Errorf("append meanwhile: %v", err)
		}
		if err := f.Health(); !errors.Is(err, ErrStalled) {
			t.Errorf("health: %v", err)
		}
		if n := f.metric(t, "carom_journal_refused_total", "stalled"); n != 22 {
			t.Errorf("%v refusals counted, want 22", n)
		}
		g.open()
		synctest.Wait()
		if err := f.Health(); err != nil {
			t.Errorf("health after it: %v", err)
		}
		mustAppend(t, f.Journal, "after")
		wantIDs(t, readAll(t, f.Journal, 0, 10), "before", "written0", "after")
		f.close()
		f = openOn(t, fs, Default())
		defer f.close()
		wantIDs(t, readAll(t, f.Journal, 0, 10), "before", "written0", "after")
	})
}

// Close while the disk hangs: it ends when the disk answers, and stays closed.
func TestCloseDuringStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		f := openOn(t, g.wrap(vfs.NewMem()), Default())
		defer g.open()
		g.hold()
		written := appendAsync(f, "written", 1, 0)
		wantErrors(t, "in hand", written, ErrStalled)
		closed := make(chan error)
		go func() { closed <- f.Journal.Close() }()
		synctest.Wait()
		g.open()
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if err := f.Append(Essential, ev("x")); !errors.Is(err, ErrClosed) {
			t.Errorf("append: %v", err)
		}
	})
}

// A failed write is the end: all its waiters learn it, nothing is accepted any more, and what was read stays.
func TestFailure(t *testing.T) {
	var g gate
	mem := vfs.NewCrashableMem()
	fail := make(chan struct{})
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if isLogSync(op) {
			select {
			case <-fail:
				return errorfs.ErrInjected
			default:
			}
		}
		return nil
	}))
	f := openOn(t, g.wrap(fs), Default())
	mustAppend(t, f.Journal, "kept")
	g.hold()
	close(fail)
	errs := appendAsync(f, "lost", 50, 0)
	g.open()
	for range cap(errs) {
		if err := <-errs; err == nil || !strings.Contains(err.Error(), "injected") {
			t.Errorf("append: %v", err)
		}
	}
	if err := f.Append(Essential, ev("x")); err == nil || !strings.Contains(err.Error(), "injected") {
		t.Errorf("append after it: %v", err)
	}
	if err := f.Health(); err == nil || !strings.Contains(err.Error(), "injected") {
		t.Errorf("health: %v", err)
	}
	if n := f.metric(t, "carom_journal_refused_total", "failed"); n != 51 {
		t.Errorf("%v refusals counted, want 51", n)
	}
	if n := f.logs.FilterMessageSnippet("journal failed").Len(); n != 1 {
		t.Errorf("%d logs of the failure, want 1", n)
	}
	wantIDs(t, readAll(t, f.Journal, 0, 10), "kept")
	if err := errors.Join(f.Journal.Close(), f.store.Close()); err != nil {
		t.Error(err)
	}
	if _, err := f.Read(context.Background(), 0, 1, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("read after Close: %v", err)
	}
	f = openOn(t, mem.CrashClone(vfs.CrashCloneCfg{}), Default())
	wantIDs(t, readAll(t, f.Journal, 0, 10), "kept")
}

// A reader may hang in a store that has failed. Close must not wait for it.
func TestCloseAfterFailureWaitsForNoReader(t *testing.T) {
	var armed atomic.Bool
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if armed.Load() && isLogSync(op) {
			return errorfs.ErrInjected
		}
		return nil
	}))
	f := openOn(t, fs, Default())
	f.life.RLock() // as Read does while it has an iterator
	defer f.life.RUnlock()
	armed.Store(true)
	if err := f.Append(Essential, ev("lost")); err == nil {
		t.Fatal("appended to a failed disk")
	}
	if err := errors.Join(f.Journal.Close(), f.store.Close()); err != nil {
		t.Error(err)
	}
	if _, err := f.Read(context.Background(), 0, 1, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("read after Close: %v", err)
	}
}
