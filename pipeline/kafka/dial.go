package kafka

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"time"
)

// bootstrap is the address under which kafka-go asks for a connection to any of the configured brokers. (Given them
// all, it would report only the failure of the last that it tried, and might spend all its time on the first.)
const bootstrap = "bootstrap:9092"

// dialer makes connections to brokers. kafka-go could do TLS itself, but would not say that TLS was what failed.
type dialer struct {
	brokers []string
	tls     *tls.Config // nil: none
	stall   time.Duration
	metrics *clientMetrics
	net     net.Dialer
}

// dial connects to the broker at address, or to any if it is bootstrap.
func (d *dialer) dial(ctx context.Context, _, address string) (net.Conn, error) {
	if address != bootstrap {
		return d.dialOne(ctx, address)
	}
	var failed []error
	order := rand.Perm(len(d.brokers))
	for i, at := range order {
		share, cancel := shareOf(ctx, len(order)-i)
		conn, err := d.dialOne(share, d.brokers[at])
		cancel()
		if err == nil {
			return conn, nil
		}
		failed = append(failed, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, joined(failed)
}

// shareOf gives one of n tries its part of the time that is left, so that a broker that swallows packets leaves
// some for the next.
func shareOf(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Until(deadline)/time.Duration(n))
}

// joined is errors.Join on one line.
type joined []error

func (j joined) Error() string {
	text := ""
	for i, err := range j {
		if i > 0 {
			text += "; "
		}
		text += err.Error()
	}
	return text
}

func (j joined) Unwrap() []error { return j }

func (d *dialer) dialOne(ctx context.Context, address string) (net.Conn, error) {
	raw, err := d.net.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, &connectError{address, err}
	}
	if d.tls == nil {
		d.metrics.connections.Inc()
		return &conn{Conn: raw, address: address, stall: d.stall, greeting: true}, nil
	}
	config := d.tls.Clone()
	if config.ServerName, _, err = net.SplitHostPort(address); err != nil {
		return nil, errors.Join(&connectError{address, err}, raw.Close())
	}
	secured := tls.Client(raw, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, &handshakeError{address, err}
	}
	d.metrics.connections.Inc()
	return &conn{Conn: secured, address: address, stall: d.stall, greeting: true}, nil
}

// conn is a connection to a broker that never waits for ever, and says what is wrong when a stranger answers. As
// kafka-go uses it, one goroutine at a time.
type conn struct {
	net.Conn
	address  string
	stall    time.Duration // how long one read or write may take where kafka-go sets no deadline
	timed    bool          // kafka-go has set one
	greeting bool          // nothing was read yet
	head     []byte        // read ahead, to be given to the reader
}

// SetDeadline notes whether there is one: during authentication, for one, kafka-go sets none.
func (c *conn) SetDeadline(t time.Time) error {
	c.timed = !t.IsZero()
	return c.Conn.SetDeadline(t)
}

func (c *conn) Read(b []byte) (int, error) {
	if !c.timed {
		if err := c.Conn.SetReadDeadline(time.Now().Add(c.stall)); err != nil {
			return 0, err
		}
	}
	if c.greeting {
		if err := c.readGreeting(); err != nil {
			return 0, err
		}
	}
	if len(c.head) > 0 {
		n := copy(b, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	n, err := c.Conn.Read(b)
	return n, c.ended(err, true)
}

// ended makes the end of the connection, orderly or not, a closedError.
func (c *conn) ended(err error, answered bool) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isReset(err) {
		return &closedError{c.address, answered}
	}
	return err
}

func (c *conn) Write(b []byte) (int, error) {
	if !c.timed {
		if err := c.Conn.SetWriteDeadline(time.Now().Add(c.stall)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(b)
}

// maxGreeting bounds the first response, which lists a broker's versions in some 1 KB.
const maxGreeting = 1 << 20

// readGreeting looks at the length of the first response, before kafka-go believes it. A TLS server answers our plain
// request with an alert: type 21, version 3.x (RFC 8446 §5.1); a web server with "HTTP", a length of 1.2 GB.
func (c *conn) readGreeting() error {
	head := make([]byte, 4)
	if _, err := io.ReadFull(c.Conn, head); err != nil {
		return c.ended(err, false)
	}
	if binary.BigEndian.Uint32(head) > maxGreeting {
		return &protocolError{c.address, head[0] == 21 && head[1] == 3}
	}
	c.greeting, c.head = false, head
	return nil
}
