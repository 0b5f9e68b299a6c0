package wire

import (
	"os"
	"syscall"
	"unsafe"
)

const canExchangeRaw = true

// exchangeRaw sends a request and reads its answer with one system call each: net.Conn would first try to read what can't
// be there yet, and tell the scheduler of every call that it may block, which these don't.
func (l *line) exchangeRaw(request []byte, a *answer) error {
	l.out, l.in, l.err = request, a, nil
	if err := l.raw.Read(l.step); err != nil {
		return err
	}
	if l.err != nil || len(l.out) == 0 {
		return l.err
	}
	// The buffer of a connection that waits for nothing takes a request; if this one's doesn't, the rest goes the usual way.
	if _, err := l.conn.Write(l.out); err != nil {
		return err
	}
	return l.read(a)
}

// rawStep is called when the connection may be readable, and before. It returns true when the exchange is over, and
// false to be called again when there is something to read. That the request is written in here matters: the poller
// forgets, before the first call, what it was told of the connection; an answer that came before that would never be
// noticed.
func (l *line) rawStep(fd uintptr) bool {
	if len(l.out) > 0 {
		n, errno := rawWrite(fd, l.out)
		switch {
		case errno == syscall.EAGAIN || errno == syscall.EINTR:
			n = 0
		case errno != 0:
			l.err = os.NewSyscallError("write", errno)
			return true
		}
		l.out = l.out[n:]
		return len(l.out) > 0
	}
	for {
		room := l.in.room()
		n, errno := rawRead(fd, room)
		switch {
		case errno == syscall.EAGAIN:
			return false
		case errno == syscall.EINTR:
			continue
		case errno != 0:
			l.err = os.NewSyscallError("read", errno)
			return true
		case n == 0:
			l.err = l.in.ended()
			return true
		}
		done, err := l.in.filled(n)
		if done || err != nil {
			l.err = err
			return true
		}
		// The poller tells of what is new only, and of the last bytes and the connection's end as one: read until nothing
		// is left.
	}
}

// peeked reports whether a connection on which nothing is expected has something: its end, or what nobody asked for.
func peeked(fd uintptr) bool {
	var b [1]byte
	n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err == nil && n >= 0 || err != nil && err != syscall.EAGAIN && err != syscall.EINTR
}

func rawWrite(fd uintptr, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}

func rawRead(fd uintptr, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_READ, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}
