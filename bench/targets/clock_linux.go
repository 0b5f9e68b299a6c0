package targets

import (
	"time"

	"golang.org/x/sys/unix"
)

// threadTime is the CPU time that the thread has used on which it is called.
func threadTime() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
