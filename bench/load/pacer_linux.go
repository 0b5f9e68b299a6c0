package load

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// exactly makes a function that sleeps to some microseconds. The runtime's timers are late by up to a millisecond when
// nothing else goes on, so it has a thread of its own, which it sleeps with; done gives that back.
func exactly() (sleep func(time.Duration), done func()) {
	runtime.LockOSThread()
	// A thread's sleep may be 50 µs longer than asked for unless it says that it needs it exact. If it may not, it sleeps that
	// much longer, which lateness shows.
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	sleep = func(d time.Duration) {
		t := unix.NsecToTimespec(int64(d))
		_ = unix.Nanosleep(&t, nil) // cut short by a signal: whoever sleeps looks at the clock again
	}
	return sleep, func() {
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) // back to what it was
		runtime.UnlockOSThread()
	}
}
