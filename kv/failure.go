package kv

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"
)

// failure is the end of a store: what Pebble thinks is worth the process. Carom goes on without the store, because a
// reader still gets the pixel or the redirect when nothing can be written.
//
// It is also Pebble's logger, for that is where Pebble tells. A Fatalf must not return: its caller would go on as if
// nothing had happened, and a commit whose sync failed would report success. So
//
//   - on a goroutine that entered Pebble through a method of Store, Fatalf panics, and the method's catch makes an
//     error of it;
//   - on a goroutine of Pebble's own, Fatalf blocks for ever. It may hold Pebble's locks, so a commit in flight may
//     never return: who must not hang waits for Store.Failed too.
//
// The exception: when the write-ahead log or the manifest can't be rotated, Pebble panics on a goroutine of its own or
// under a mutex that it then unlocks twice, and the process ends. Nothing acknowledged is lost by that.
type failure struct {
	log   *zap.Logger
	once  sync.Once
	cause atomic.Pointer[error]
	done  chan struct{}
}

// fatal is what Fatalf panics with.
type fatal struct{ err error }

func (f *failure) init(log *zap.Logger) {
	f.log = log
	f.done = make(chan struct{})
}

// err returns why the store failed, nil if it did not.
func (f *failure) err() error {
	if p := f.cause.Load(); p != nil {
		return *p
	}
	return nil
}

func (f *failure) fail(err error) error {
	f.once.Do(func() {
		f.cause.Store(&err)
		close(f.done)
		f.log.Error("store failed; restart to recover", zap.Error(err))
	})
	return f.err()
}

// Infof is Pebble's talk about flushes and compactions.
func (f *failure) Infof(format string, args ...any) {
	if f.log.Core().Enabled(zap.DebugLevel) {
		f.log.Debug("pebble", zap.String("text", fmt.Sprintf(format, args...)))
	}
}

// Errorf is what Pebble could not do and goes on without.
func (f *failure) Errorf(format string, args ...any) {
	f.log.Error("pebble", zap.String("text", fmt.Sprintf(format, args...)))
}

// Fatalf records the failure and does not return.
func (f *failure) Fatalf(format string, args ...any) {
	err := f.fail(fmt.Errorf("kv: store failed: %w", fmt.Errorf(format, args...)))
	if enteredByUs() {
		panic(fatal{err})
	}
	select {}
}

// enteredByUs reports whether a method of Store, which will catch a panic, is on the goroutine's stack.
func enteredByUs() bool {
	pcs := make([]uintptr, 128)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		frame, more := frames.Next()
		if strings.HasPrefix(frame.Function, "carom/kv.(*Store).") {
			return true
		}
		if !more {
			return false
		}
	}
}

// catch is deferred by every method of Store that lets Pebble write. Besides Fatalf, Pebble panics with the error
// itself when it can't write its log; anything else is a bug, and goes on.
func (s *Store) catch(err *error) {
	switch r := recover().(type) {
	case nil:
	case fatal:
		*err = r.err
	case runtime.Error:
		panic(r)
	case error:
		if errors.Is(r, pebble.ErrClosed) {
			*err = ErrClosed
			return
		}
		*err = s.failure.fail(fmt.Errorf("kv: store failed: %w", r))
	default:
		panic(r)
	}
}

// Err returns why the store has failed for good, nil if it has not. Only a new process can use its folder again.
func (s *Store) Err() error { return s.failure.err() }

// Failed is closed when the store has failed.
func (s *Store) Failed() <-chan struct{} { return s.failure.done }
