package wire

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// line is an open connection, or none.
type line struct {
	conn net.Conn
	raw  syscall.RawConn // below TLS
	fast bool            // there is no TLS, and the system has what exchangeRaw needs
	step func(fd uintptr) bool
	out  []byte // that step has not written yet
	in   *answer
	err  error // what ended step

	deadline time.Time

	mu sync.Mutex // guards conn against hangUp
}

// open takes a connection over.
func (l *line) open(conn net.Conn) error {
	l.mu.Lock()
	l.conn = conn
	l.mu.Unlock()
	l.deadline = time.Time{}
	tcp, plain := conn.(*net.TCPConn)
	if secured, ok := conn.(*tls.Conn); ok {
		tcp = secured.NetConn().(*net.TCPConn)
	}
	l.fast = plain && canExchangeRaw
	if l.step == nil {
		l.step = l.rawStep
	}
	var err error
	l.raw, err = tcp.SyscallConn()
	return err
}

func (l *line) isOpen() bool { return l.conn != nil }

func (l *line) close() {
	if l.conn == nil {
		return
	}
	_ = l.conn.Close() // all that matters was read
	l.mu.Lock()
	l.conn = nil
	l.mu.Unlock()
}

// hangUp ends the connection for whoever waits on it. Unlike all others it may be called at any time.
func (l *line) hangUp() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		_ = l.conn.Close()
	}
}

// limit bounds the next exchange. Setting a deadline costs, and an eighth more or less is no matter: it is moved on only
// then.
func (l *line) limit(now time.Time, timeout time.Duration) error {
	if l.deadline.Sub(now) > timeout-timeout/8 {
		return nil
	}
	l.deadline = now.Add(timeout)
	return l.conn.SetDeadline(l.deadline)
}

// hungUp reports whether the server has closed the connection, or sent what nobody asked for.
func (l *line) hungUp() bool {
	some := false
	if err := l.raw.Control(func(fd uintptr) { some = peeked(fd) }); err != nil {
		return true
	}
	return some && l.fast || !l.fast && l.ended(some)
}

// endWait is how long a connection that has something is read for what it is.
const endWait = time.Millisecond

// ended tells the end of TLS, or data, from tickets for later sessions, which come unasked and are read by the way. Without
// some to be read from the network there may still be what came with the last answer.
func (l *line) ended(some bool) bool {
	l.deadline = time.Time{}
	by := time.Unix(1, 0)
	if some {
		by = time.Now().Add(endWait)
	}
	if err := l.conn.SetReadDeadline(by); err != nil {
		return true
	}
	var b [1]byte
	_, err := l.conn.Read(b[:])
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// exchange sends a request and reads its answer.
func (l *line) exchange(request []byte, a *answer) error {
	if l.fast {
		return l.exchangeRaw(request, a)
	}
	if _, err := l.conn.Write(request); err != nil {
		return err
	}
	return l.read(a)
}

func (l *line) read(a *answer) error {
	for {
		n, err := l.conn.Read(a.room())
		if n > 0 {
			if done, bad := a.filled(n); done || bad != nil {
				return bad
			}
		}
		if errors.Is(err, io.EOF) {
			return a.ended()
		}
		if err != nil {
			return err
		}
	}
}
