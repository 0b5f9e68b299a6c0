package journal

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/pipeline/event"
)

// told counts how often each of many waiters is told, and with what.
type told struct {
	times []atomic.Int32
	errs  []atomic.Pointer[error]
}

func newTold(n int) *told {
	return &told{times: make([]atomic.Int32, n), errs: make([]atomic.Pointer[error], n)}
}

func (w *told) done(i int) func(error) {
	return func(err error) {
		w.errs[i].Store(&err)
		w.times[i].Add(1)
	}
}

// want checks that each of the waiters from up to, not including, to was told so many times, at last this.
func (w *told) want(t *testing.T, what string, from, to int, times int32, want error) {
	t.Helper()
	for i := from; i < to; i++ {
		if n := w.times[i].Load(); n != times {
			t.Fatalf("%s: waiter %d is told %d times, want %d", what, i, n, times)
		}
		if times == 0 {
			continue
		}
		if err := *w.errs[i].Load(); !errors.Is(err, want) {
			t.Fatalf("%s: waiter %d is told %v, want %v", what, i, err, want)
		}
	}
}

// TestAppendThen: each is told once, whatever comes, and nobody before the disk has answered; by the committer, and by
// tellers.
func TestAppendThen(t *testing.T) {
	for _, cores := range []int{2, 8} {
		t.Run(fmt.Sprintf("%d cores", cores), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
			synctest.Test(t, appendsThen)
		})
	}
}

// TestAppendThenWithoutRoom: those who wait for room in the open batch, as the readers of connections do with their turn, hold
// up nobody who tells.
func TestAppendThenWithoutRoom(t *testing.T) {
	for _, cores := range []int{2, 8} {
		t.Run(fmt.Sprintf("%d cores", cores), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
			synctest.Test(t, func(t *testing.T) {
				var g gate
				f := openOn(t, g.wrap(vfs.NewMem()), Default())
				const connections, requests, bytes = 6 * tellAtOnce, 2, maxBatchBytes / tellAtOnce
				w := newTold(connections * requests)
				g.hold()
				for c := range connections {
					turn := make(chan struct{}, 1)
					go func() {
						for i := c * requests; i < (c+1)*requests; i++ {
							turn <- struct{}{}
							done := w.done(i)
							f.AppendThen(Essential, func(err error) { done(err); <-turn }, big(fmt.Sprint(i), bytes))
						}
					}()
				}
				synctest.Wait() // at the first record, and all others at their room
				w.want(t, "before the sync", 0, connections*requests, 0, nil)
				g.open()
				synctest.Wait()
				w.want(t, "after the sync", 0, connections*requests, 1, nil)
			})
		})
	}
}

func appendsThen(t *testing.T) {
	var g gate
	f := openOn(t, g.wrap(vfs.NewMem()), Default())
	const some = 3*tellAtOnce + 1
	w := newTold(4 * some)
	ask := func(from int) {
		for i := from; i < from+some; i++ {
			f.AppendThen(Essential, w.done(i), ev(fmt.Sprint(i)))
		}
	}
	g.hold()
	ask(0) // the first is written, the others are gathered
	synctest.Wait()
	w.want(t, "before the sync", 0, some, 0, nil)
	g.open()
	synctest.Wait()
	w.want(t, "after the sync", 0, some, 1, nil)

	g.hold()
	ask(some)
	time.Sleep(stallAfter + 2*watchEvery)
	w.want(t, "stalled", some, 2*some, 1, ErrStalled)
	ask(2 * some)
	w.want(t, "while it is stalled", 2*some, 3*some, 1, ErrStalled)
	g.open()
	synctest.Wait()
	w.want(t, "the disk answers again", some, 3*some, 1, ErrStalled)

	ask(3 * some)
	f.close()
	w.want(t, "closed", 3*some, 4*some, 1, nil)
	last := newTold(3)
	f.AppendThen(Essential, last.done(0), ev("late"))
	last.want(t, "after the end", 0, 1, 1, ErrClosed)
	f.AppendThen(Essential, last.done(1), big("huge", event.MaxBinaryBytes+1))
	last.want(t, "too large", 1, 2, 1, ErrTooLarge)
	f.AppendThen(Essential, last.done(2))
	last.want(t, "nothing", 2, 3, 1, nil)
}
