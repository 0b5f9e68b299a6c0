//go:build unix

package track

import (
	"errors"
	"net"
	"syscall"
)

// trial writes to a connection without ever waiting: what the peer has no room for stays unwritten.
type trial struct {
	raw   syscall.RawConn
	write func(fd uintptr) (done bool) // attempt, as a value
	bytes []byte
	n     int
	err   error
}

// open reports whether t can be used: a connection may be no socket.
func (t *trial) open(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	t.raw, t.write = raw, t.attempt
	return err == nil
}

// try writes as much of b as the peer takes at once, and returns how much that is.
func (t *trial) try(b []byte) (int, error) {
	t.bytes, t.n, t.err = b, 0, nil
	if err := t.raw.Write(t.write); err != nil {
		return 0, err
	}
	t.bytes = nil
	return t.n, t.err
}

func (t *trial) attempt(fd uintptr) (done bool) {
	for {
		n, err := syscall.Write(int(fd), t.bytes)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
		case err != nil:
			t.err = err
		default:
			t.n = n
		}
		return true
	}
}
