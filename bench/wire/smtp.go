package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"carom/bench/load"
	"carom/bench/targets"
)

// SMTPOptions say how mails are sent.
type SMTPOptions struct {
	Address string // host:port
	Hello   string // the name in EHLO
	// StartTLS demands STARTTLS. TLS says how the certificate is checked; nil: against the host of Address, and what the
	// system trusts.
	StartTLS bool
	TLS      *tls.Config
	// Pipelining sends commands in groups where the server offers PIPELINING (RFC 2920), Chunking mails by BDAT where it
	// offers CHUNKING (RFC 3030).
	Pipelining bool
	Chunking   bool
	// MailsPerConnection is after how many mails a client connects anew; 0: never by itself.
	MailsPerConnection int
	// Timeout of one mail, with the connecting where that is needed.
	Timeout time.Duration
}

// SMTPDefault is a client that keeps its connection and groups what it may.
func SMTPDefault() SMTPOptions {
	return SMTPOptions{Hello: "bench.example.com", Pipelining: true, Timeout: 10 * time.Second}
}

// Validate names the first option that is not allowed.
func (o *SMTPOptions) Validate() error {
	switch host, _, err := net.SplitHostPort(o.Address); {
	case err != nil || host == "":
		return fmt.Errorf("address %q: want host:port, such as 127.0.0.1:2525", o.Address)
	case o.Hello == "" || bytes.ContainsAny([]byte(o.Hello), " \t\r\n"):
		return fmt.Errorf("hello %q: want a host name", o.Hello)
	case o.MailsPerConnection < 0:
		return fmt.Errorf("%d mails a connection: want 1 or more, or 0 for no bound", o.MailsPerConnection)
	case o.Timeout <= 0:
		return fmt.Errorf("timeout %s: want more than nothing", o.Timeout)
	}
	return nil
}

// SMTPCounts are what all clients of a run count together.
type SMTPCounts struct {
	Connections atomic.Int64 // made
	Ended       atomic.Int64 // ended by the server between two mails, which were then sent over a new one
}

// SMTP sends mails over one connection at a time. It implements load.Client.
type SMTP struct {
	o      SMTPOptions
	mails  targets.Mails
	counts *SMTPCounts
	tls    *tls.Config

	connection

	replies replyReader
	offers  Offer
	sent    int  // mails over this connection, or tried
	unclean bool // the last mail was refused midway: RSET comes before the next
	out     []byte
	wrote   int
}

// Offer is what a server said to EHLO.
type Offer struct {
	Name       string // of the server
	Pipelining bool
	Chunking   bool
	StartTLS   bool
	EightBit   bool
	UTF8       bool
	Size       bool
	Extended   bool // it knows EHLO
	TLS        bool // said under TLS
}

// NewSMTP returns a client that connects when it has something to send.
func NewSMTP(o SMTPOptions, mails targets.Mails, counts *SMTPCounts) (*SMTP, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c := &SMTP{o: o, mails: mails, counts: counts, tls: o.TLS}
	if c.tls == nil {
		host, _, _ := net.SplitHostPort(o.Address)
		c.tls = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	}
	c.replies.buf = make([]byte, replyBuffer)
	return c, nil
}

// errEnded says that the server ended a connection that had carried mails, before it answered anything to the next.
var errEnded = errors.New("the server ended the connection")

// Do sends the next mail. When ctx ends while it waits for the server, Close ends the wait.
func (c *SMTP) Do(ctx context.Context) load.Answer {
	if !c.begin() {
		return load.Answer{Kind: "mail", Err: net.ErrClosed}
	}
	defer c.end()
	m, err := c.mails.Next(ctx)
	if err != nil {
		return load.Answer{Kind: "mail", Err: fmt.Errorf("next mail: %w", err)}
	}
	a := load.Answer{Kind: m.Kind}
	before := c.wrote + c.replies.total
	a.Code, a.Items, a.Err = c.deliver(ctx, m)
	a.Bytes = c.wrote + c.replies.total - before
	return a
}

// deliver sends a mail, over a new connection if that in hand turns out to have ended: servers end those that rest, or
// that have carried as many mails as they allow, and nothing of the mail was taken then.
func (c *SMTP) deliver(ctx context.Context, m *targets.Mail) (code, items int, err error) {
	by := time.Now().Add(c.o.Timeout)
	used := c.conn != nil
	code, items, err = c.tryOnce(ctx, by, m)
	if used && errors.Is(err, errEnded) {
		c.counts.Ended.Add(1)
		code, items, err = c.tryOnce(ctx, by, m)
	}
	return code, items, err
}

func (c *SMTP) tryOnce(ctx context.Context, by time.Time, m *targets.Mail) (code, items int, err error) {
	if c.conn == nil {
		if err := c.connect(ctx, by); err != nil {
			c.drop()
			return codeOf(err), 0, err
		}
	} else {
		_ = c.conn.SetDeadline(by)
	}
	c.sent++
	last := c.o.MailsPerConnection > 0 && c.sent >= c.o.MailsPerConnection
	items, err = c.send(m, last)
	if err == nil {
		if last {
			c.drop()
		}
		return codeTaken, items, nil
	}
	var refused *Refused
	if last || !errors.As(err, &refused) || refused.Code == codeClosing {
		c.drop() // nobody knows what the next reply would be to
	}
	return codeOf(err), items, err
}

// Probe connects, if there is no connection, and returns what the server offers.
func (c *SMTP) Probe(ctx context.Context) (Offer, error) {
	if !c.begin() {
		return Offer{}, net.ErrClosed
	}
	defer c.end()
	if c.conn == nil {
		if err := c.connect(ctx, time.Now().Add(c.o.Timeout)); err != nil {
			c.drop()
			return Offer{}, err
		}
	}
	return c.offers, nil
}

// goodbyeTimeout bounds the sending of QUIT, to which no answer is waited for.
const goodbyeTimeout = 100 * time.Millisecond

// Close ends the connection, with QUIT if no mail is on its way.
func (c *SMTP) Close() error {
	c.close(func(conn net.Conn) {
		_ = conn.SetDeadline(time.Now().Add(goodbyeTimeout))
		_, _ = conn.Write([]byte("QUIT\r\n"))
	})
	return nil
}

// drop ends the connection at once.
func (c *SMTP) drop() {
	c.connection.drop()
	c.sent, c.unclean = 0, false
}

func (c *SMTP) write(b []byte) error {
	n, err := c.conn.Write(b)
	c.wrote += n
	return err
}

// toldEvents reads how many events a Carom says that it made of a mail; -1 of other servers' words.
func toldEvents(text []byte) int {
	_, number, ok := bytes.Cut(text, []byte(" events="))
	if !ok {
		return -1
	}
	n, err := strconv.Atoi(string(number))
	if err != nil {
		return -1
	}
	return n
}
