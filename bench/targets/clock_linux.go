package targets

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// threadClock makes a clock of the CPU time that the calling goroutine uses, which gets a thread of its own until done.
func threadClock() (clock func() time.Duration, done func()) {
	runtime.LockOSThread()
	clock = func() time.Duration {
		var t unix.Timespec
		if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil {
			return 0
		}
		return time.Duration(t.Nano())
	}
	return clock, runtime.UnlockOSThread
}
