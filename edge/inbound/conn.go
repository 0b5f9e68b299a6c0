package inbound

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// readAhead is how much of what the client sends is read at once, and the most that replies to it wait for each other.
	readAhead = 16 << 10
	// lingerTime and lingerBytes bound what is still read from a client that is told to go while it talks. Closing at
	// once would reset the connection, and the reset can overtake the reply.
	lingerTime  = time.Second
	lingerBytes = 1 << 20
)

// errDraining ends a wait for a command because the server stops.
var errDraining = errors.New("inbound: server stops")

// conn stands between a client and the library. Towards the library it is a net.Conn whose Read gives one sound command
// at a time and never a byte of a mail; towards the client it is the protocol's framing, order and limits.
//
// All of it belongs to the goroutine that the library serves the connection with, except for raw's deadlines and Close,
// by which the gate wakes and aborts it.
type conn struct {
	server *Server
	log    *zap.Logger
	raw    net.Conn      // TCP
	rw     io.ReadWriter // raw, or the TLS connection on it
	tls    *tls.Conn     // nil before STARTTLS
	client netip.Addr    // who calls; not valid until greeted, or where the transport has no IP addresses

	in      *bufio.Reader // reads rw through fill
	out     []byte        // replies on their way to the client
	feed    []byte        // what the library reads next
	line    []byte        // the memory of feed
	partial []byte        // a line of a reply that the library has not finished

	command   command // the one that is being answered
	helo      string  // the client's name; empty before EHLO
	esmtp     bool    // it said EHLO
	upgrading bool    // a TLS handshake is next
	ending    bool    // nothing more is read
	deaf      bool    // the client doesn't take replies any more
	lingers   bool    // it may be talking when it is cut off

	mail     transaction
	mails    int // taken on this connection
	errors   int // 5xx but for recipients
	refused  int // recipients
	commands int // since the last mail

	by      time.Time     // when the command or the mail must be complete; zero before the first wait in it
	pause   time.Duration // longest wait for the next byte of a mail; 0 in commands
	expires time.Time     // when the connection must end
	readBy  time.Time     // raw's deadline; zero if it isn't ours
	writeBy time.Time     // the same for writing

	closing sync.Once
}

func newConn(s *Server, raw net.Conn) *conn {
	c := &conn{server: s, log: s.log, raw: raw, rw: raw, command: cmdGreeting, expires: time.Now().Add(s.options.SessionTimeout)}
	c.in = readers.Get().(*bufio.Reader)
	c.in.Reset(readerFunc(c.fill))
	return c
}

// readers are those of connections that are over: many clients connect anew for each mail.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readAhead) }}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// Read gives the library the next command that is for it, a whole line at a time. Because the library has dealt with
// the last line when it asks for the next, both agree on the state of the session.
func (c *conn) Read(b []byte) (n int, err error) {
	defer func() {
		// The library recovers from panics in commands, not in reads, and this must not end the process.
		if cause := recover(); cause != nil {
			c.server.metrics.panics.Inc()
			c.log.Error("panic in the protocol filter", zap.Any("cause", cause), zap.Stack("stack"))
			n, err = 0, io.ErrUnexpectedEOF
		}
	}()
	if len(c.feed) == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	n = copy(b, c.feed)
	c.feed = c.feed[n:]
	return n, nil
}

// Write takes replies from the library, which writes them line by line.
func (c *conn) Write(b []byte) (int, error) {
	c.partial = append(c.partial, b...)
	for {
		end := bytes.IndexByte(c.partial, '\n') + 1
		if end == 0 {
			return len(b), nil
		}
		c.answered(c.partial[:end])
		c.partial = append(c.partial[:0], c.partial[end:]...)
	}
}

// say queues a reply and counts it.
func (c *conn) say(r *reply) {
	c.out = appendReply(c.out, r)
	c.count(r.Code)
}

// end queues a reply and then ends the connection, whose client may be in the middle of talking.
func (c *conn) end(r *reply, reason string) {
	c.hangUp(r, reason)
	c.lingers = true
}

// hangUp queues a reply and then ends the connection, whose client is silent.
func (c *conn) hangUp(r *reply, reason string) {
	c.out = appendReply(c.out, r)
	c.server.metrics.closed.WithLabelValues(reason).Inc()
	c.ending = true
}

// flush sends the replies that wait. The client gets WriteTimeout for all of them, or up to a quarter less: so one
// deadline serves for many replies.
func (c *conn) flush(now time.Time) error {
	if len(c.out) == 0 {
		return nil
	}
	if c.deaf {
		return io.ErrClosedPipe
	}
	if t := c.server.options.WriteTimeout; c.writeBy.Sub(now) < t-t/4 {
		c.writeBy = now.Add(t)
		_ = c.raw.SetWriteDeadline(c.writeBy)
	}
	_, err := c.rw.Write(c.out)
	if c.out = c.out[:0]; cap(c.out) > 4*readAhead {
		c.out = nil
	}
	if err != nil {
		// Some of it may have gone out. More would be taken for its rest.
		c.ending, c.deaf = true, true
	}
	return err
}

// fill reads from the network. It is the only place that waits for the client, so here the replies are sent: those to
// pipelined commands go out together (RFC 2920 §3.2).
func (c *conn) fill(b []byte) (int, error) {
	now := time.Now()
	if err := c.flush(now); err != nil {
		return 0, err
	}
	by := c.deadline(now)
	for {
		c.readUntil(by, now)
		// The gate first says that it drains and then moves the deadline into the past. If it does so before the line
		// above, this sees it; if after, the read below ends at once.
		if c.server.gate.draining.Load() && !c.mail.open {
			return 0, errDraining
		}
		n, err := c.rw.Read(b)
		if n > 0 {
			return n, nil
		}
		if now = time.Now(); errors.Is(err, os.ErrDeadlineExceeded) && now.Before(by) {
			// Woken by the gate in the middle of a mail, which may be finished, or by a deadline that was good enough.
			c.readBy = time.Time{}
			continue
		}
		return 0, err
	}
}

// deadline says until when fill may wait.
func (c *conn) deadline(now time.Time) time.Time {
	if c.mail.begun && c.mail.by.IsZero() {
		c.mail.by = now.Add(c.server.options.MessageTimeout)
	}
	if c.by.IsZero() {
		c.by = c.mail.by
		if c.pause == 0 {
			c.by = now.Add(c.server.options.CommandTimeout)
			if c.mail.begun {
				c.by = earlier(c.by, c.mail.by)
			}
		}
	}
	by := c.by
	if c.pause > 0 {
		by = earlier(by, now.Add(c.pause))
	}
	return earlier(by, c.expires)
}

// readUntil sets raw's deadline. One that passes earlier is good enough, unless it is much earlier: fill then looks at
// the clock and waits on. So a deadline serves for many commands.
func (c *conn) readUntil(by, now time.Time) {
	if !by.Before(c.readBy) && c.readBy.Sub(now) > by.Sub(now)/2 {
		return
	}
	c.readBy = by
	_ = c.raw.SetReadDeadline(by)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// Close sends what is left and closes the connection. The library calls it last thing, and after QUIT.
func (c *conn) Close() error {
	c.closing.Do(func() {
		c.ending = true
		_ = c.flush(time.Now())
		if c.lingers {
			c.linger()
		}
		if c.tls != nil {
			_ = c.tls.Close() // tells the client that nothing was cut off; bounded by the library to 5 s
		}
		_ = c.raw.Close()
		c.mail.reset()
		c.in.Reset(nil) // nobody reads any more: ending is set
		readers.Put(c.in)
		c.in = nil
		c.server.gate.leave(c)
	})
	return nil
}

// linger lets a client read the last reply before the connection goes.
func (c *conn) linger() {
	half, ok := c.raw.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = c.raw.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.CopyN(io.Discard, c.raw, lingerBytes)
}

// wake ends a wait for the client; fill says what then. Any goroutine may call it.
func (c *conn) wake() { _ = c.raw.SetReadDeadline(time.Unix(1, 0)) }

// abort cuts the connection. Any goroutine may call it.
func (c *conn) abort() { _ = c.raw.Close() }

// The rest of net.Conn. Deadlines are set by fill and flush alone.

func (c *conn) LocalAddr() net.Addr              { return c.raw.LocalAddr() }
func (c *conn) RemoteAddr() net.Addr             { return c.raw.RemoteAddr() }
func (c *conn) SetDeadline(time.Time) error      { return nil }
func (c *conn) SetReadDeadline(time.Time) error  { return nil }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
