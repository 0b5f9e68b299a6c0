package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// ErrNotOffered says that the server lacks what is demanded.
var ErrNotOffered = errors.New("not offered by the server")

// connect makes a connection and greets the server, under TLS if that is demanded.
func (c *SMTP) connect(ctx context.Context, by time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, by)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", c.o.Address)
	if err != nil {
		return fmt.Errorf("connect: %w", plain(err))
	}
	if err := c.use(conn); err != nil {
		return err
	}
	c.counts.Connections.Add(1)
	c.replies.reset(conn)
	_ = conn.SetDeadline(by)
	greeting, err := c.replies.next(nil)
	if err != nil {
		return fmt.Errorf("greeting: %w", plain(err))
	}
	if greeting.code != codeReady {
		return refusedBy("greeting", greeting)
	}
	if err := c.hello(); err != nil {
		return err
	}
	if c.o.StartTLS {
		return c.startTLS(ctx)
	}
	return nil
}

// hello says EHLO, or HELO to a server that knows no other.
func (c *SMTP) hello() error {
	c.offers = Offer{Extended: true, TLS: c.offers.TLS}
	first := true
	r, err := c.ask("EHLO "+c.o.Hello, func(text []byte) {
		if first {
			name, _, _ := bytes.Cut(text, []byte(" "))
			c.offers.Name, first = string(name), false
			return
		}
		c.offers.read(text)
	})
	if err == nil && r.code >= 500 {
		c.offers = Offer{TLS: c.offers.TLS}
		r, err = c.ask("HELO "+c.o.Hello, nil)
	}
	if err != nil {
		return fmt.Errorf("EHLO: %w", err)
	}
	if r.code != codeTaken {
		return refusedBy("EHLO", r)
	}
	return nil
}

// read takes a line of the answer to EHLO, RFC 5321 §4.1.1.1.
func (o *Offer) read(line []byte) {
	keyword, _, _ := bytes.Cut(line, []byte(" "))
	switch string(bytes.ToUpper(keyword)) {
	case "PIPELINING":
		o.Pipelining = true
	case "CHUNKING":
		o.Chunking = true
	case "STARTTLS":
		o.StartTLS = true
	case "8BITMIME":
		o.EightBit = true
	case "SMTPUTF8":
		o.UTF8 = true
	case "SIZE":
		o.Size = true
	}
}

// startTLS changes to TLS and greets again: what was offered in the clear counts no more (RFC 3207 §4.2).
func (c *SMTP) startTLS(ctx context.Context) error {
	if !c.offers.StartTLS {
		return fmt.Errorf("STARTTLS: %w", ErrNotOffered)
	}
	r, err := c.ask("STARTTLS", nil)
	if err != nil {
		return fmt.Errorf("STARTTLS: %w", err)
	}
	if r.code != codeReady {
		return refusedBy("STARTTLS", r)
	}
	if c.replies.waiting() > 0 { // it came in the clear and would count as said under TLS
		return fmt.Errorf("STARTTLS: %w: more behind the reply", ErrGarbage)
	}
	secure := tls.Client(c.conn, c.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("STARTTLS: %w", plain(err))
	}
	c.secure(secure)
	c.replies.reset(secure)
	c.offers.TLS = true
	return c.hello()
}

// ask sends a command of its own and reads its reply.
func (c *SMTP) ask(command string, each func([]byte)) (reply, error) {
	c.out = append(append(c.out[:0], command...), crlf...)
	if err := c.write(c.out); err != nil {
		return reply{}, plain(err)
	}
	r, err := c.replies.next(each)
	return r, plain(err)
}

// plain is an error of the network without addresses, so that all of a kind can be counted as one.
func plain(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return errNoAnswer
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// errNoAnswer says that the server took too long.
var errNoAnswer = fmt.Errorf("no answer in time: %w", os.ErrDeadlineExceeded)
