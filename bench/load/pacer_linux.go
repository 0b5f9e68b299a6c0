package load

import (
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// exactly makes a function that sleeps to some microseconds, by a timer of the kernel's that the runtime waits for as for
// a connection. The runtime's own timers are late by up to a millisecond when nothing else goes on.
func exactly() (sleep func(time.Duration), done func(), err error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("make a timer: %w", err)
	}
	timer := os.NewFile(uintptr(fd), "timerfd")
	raw, err := timer.SyscallConn()
	if err != nil {
		return nil, nil, fmt.Errorf("make a timer: %w", err)
	}
	var spec unix.ItimerSpec
	var expired [8]byte
	set := false
	// The timer is set in here because the runtime forgets, before the first call, what it was told of the timer. None of
	// both calls can block, so the scheduler need not be told of them, which would wake a thread of its own each time.
	step := func(fd uintptr) bool {
		if !set {
			set = true
			_, _, errno := unix.RawSyscall6(unix.SYS_TIMERFD_SETTIME, fd, 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0)
			return errno != 0
		}
		_, _, errno := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&expired)), unsafe.Sizeof(expired))
		return errno != unix.EAGAIN
	}
	sleep = func(d time.Duration) {
		spec.Value = unix.NsecToTimespec(int64(max(d, 1)))
		set = false
		_ = raw.Read(step) // whoever sleeps looks at the clock again
	}
	return sleep, func() { _ = timer.Close() }, nil
}
