package inbound

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"carom/edge/ref"
	"carom/pipeline/event"
)

const (
	bounceDomain = "bounce.example.com"
	replyDomain  = "reply.example.com"
	feedbackAddr = "fbl@bounce.example.com"
	repliesAddr  = "replies@reply.example.com"
)

// The keys of the tests: one that seals, one whose tokens are refused now, and one of another installation.
const (
	ourKeys = `
version: 1
keys:
  - {id: 1, state: retired, secret: "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="}
  - {id: 2, state: seal, secret: "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="}
`
	oldKeys = `
version: 1
keys:
  - {id: 1, state: seal, secret: "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="}
`
	foreignKeys = `
version: 1
keys:
  - {id: 2, state: seal, secret: "CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk="}
`
)

func keyring(t testing.TB, file string) *ref.Keyring {
	t.Helper()
	k, err := ref.ParseKeyring([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// message is the one that the tests speak of.
var message = event.Ref{Account: "acme", Sender: "alice", Sequence: "q4", Contact: "c-9812", Message: "m-77123@mail.example.com", SentAt: 1795283103120}

func messageKey() event.Key { return event.KeyOf(message.Account, message.Message) }

func tokenAddress(k *ref.Keyring, p ref.Purpose, domain string) string {
	return string(k.SealAddress([]byte{byte(p), '-'}, p, messageKey())) + "@" + domain
}

// sink keeps what it is told, or fails.
type sink struct {
	mu     sync.Mutex
	events []*event.Event
	calls  int
	fail   error
	bug    bool          // it panics
	hold   chan struct{} // what every call waits for, unless nil
	called chan struct{} // gets a value when a call begins, unless nil
}

func (s *sink) Facts(evs ...*event.Event) error {
	if s.called != nil {
		s.called <- struct{}{}
	}
	if s.hold != nil {
		<-s.hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.bug {
		panic("BUG: of the test")
	}
	if s.fail != nil {
		return s.fail
	}
	s.events = append(s.events, evs...)
	return nil
}

func (s *sink) all() []*event.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*event.Event(nil), s.events...)
}

// fixture is a server with its surroundings.
type fixture struct {
	*Server
	t     testing.TB
	sink  *sink
	keys  *ref.Keyring
	reg   *prometheus.Registry
	pipes *pipeListener // nil over TCP
	stop  func() error  // ends Run and returns its error
}

func newFixture(t testing.TB, change func(*Options)) *fixture {
	t.Helper()
	o := Default()
	o.Listen = "127.0.0.1:0"
	o.Hostname = "mx.example.com"
	o.BounceDomain, o.ReplyDomain = bounceDomain, replyDomain
	o.FeedbackAddresses, o.ReplyAddresses = []string{feedbackAddr}, []string{repliesAddr}
	o.PostmasterDir = t.TempDir()
	if change != nil {
		change(&o)
	}
	f := &fixture{t: t, sink: &sink{}, keys: keyring(t, ourKeys), reg: prometheus.NewRegistry()}
	log := zap.NewNop()
	if flag.Lookup("test.fuzz").Value.String() == "" { // it would slow the fuzzer down
		log = zaptest.NewLogger(t, zaptest.Level(zap.DebugLevel))
	}
	s, err := New(o, f.keys, f.sink, log, f.reg)
	if err != nil {
		t.Fatal(err)
	}
	f.Server = s
	return f
}

// run serves until the test ends.
func (f *fixture) run() *fixture {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	f.stop = sync.OnceValue(func() error { cancel(); return <-done })
	f.t.Cleanup(func() {
		f.sink.release()
		if err := f.stop(); err != nil {
			f.t.Errorf("Run: %v", err)
		}
	})
	return f
}

func (s *sink) release() {
	if s.hold != nil {
		select {
		case <-s.hold:
		default:
			close(s.hold)
		}
	}
}

// overTCP starts a server on loopback.
func overTCP(t testing.TB, change func(*Options)) *fixture {
	t.Helper()
	f := newFixture(t, change)
	if err := f.Listen(); err != nil {
		t.Fatal(err)
	}
	return f.run()
}

// overPipes starts a server on in-memory connections, which synctest can give its own time.
func overPipes(t testing.TB, change func(*Options)) *fixture {
	t.Helper()
	f := newFixture(t, change)
	f.pipes = newPipeListener()
	if err := f.prepare(f.pipes); err != nil {
		t.Fatal(err)
	}
	return f.run()
}

// dial connects a client, which has not read the greeting yet.
func (f *fixture) dial() *client {
	f.t.Helper()
	if f.pipes != nil {
		return newClient(f.t, f.pipes.dial())
	}
	return dialTCP(f.t, f.Addr())
}

// hello connects a client that has said EHLO.
func (f *fixture) hello() *client {
	f.t.Helper()
	c := f.dial()
	c.want("220 mx.example.com ESMTP Carom")
	c.do("EHLO client.example.net", "250")
	return c
}

func (f *fixture) count(c prometheus.Counter) float64 {
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		f.t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

// returnPath, replyTo and unsubscribe are addresses of the message.
func (f *fixture) returnPath() string { return tokenAddress(f.keys, ref.ReturnPath, bounceDomain) }
func (f *fixture) replyTo() string    { return tokenAddress(f.keys, ref.ReplyTo, replyDomain) }
func (f *fixture) unsubscribe() string {
	return tokenAddress(f.keys, ref.MailtoUnsubscribe, bounceDomain)
}

// bareLibrary starts go-smtp without anything of ours before it, and with a backend that accepts everything.
type bareLibrary struct {
	t     testing.TB
	mails chan string
	addr  net.Addr
	pipes *pipeListener
	*smtp.Server
}

func bare(t testing.TB, l net.Listener, change func(*smtp.Server), data func(io.Reader) error) *bareLibrary {
	t.Helper()
	b := &bareLibrary{t: t, mails: make(chan string, 100), addr: l.Addr()}
	if data == nil {
		data = func(r io.Reader) error {
			mail, err := io.ReadAll(r)
			if err == nil {
				b.mails <- string(mail)
			}
			return err
		}
	}
	b.Server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return bareSession{data}, nil }))
	b.Server.ErrorLog = libraryLog{zap.NewNop(), nil}
	if change != nil {
		change(b.Server)
	}
	b.pipes, _ = l.(*pipeListener)
	go func() { _ = b.Serve(l) }()
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func (b *bareLibrary) hello() *client {
	b.t.Helper()
	var c *client
	if b.pipes != nil {
		c = newClient(b.t, b.pipes.dial())
	} else {
		c = dialTCP(b.t, b.addr)
	}
	c.want("220")
	c.do("EHLO client.example.net", "250")
	return c
}

type bareSession struct{ data func(io.Reader) error }

func (bareSession) Reset()                               {}
func (bareSession) Logout() error                        { return nil }
func (bareSession) Mail(string, *smtp.MailOptions) error { return nil }
func (s bareSession) Data(r io.Reader) error             { return s.data(r) }
func (bareSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody@") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such user"}
	}
	return nil
}

func loopback(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// client speaks raw SMTP.
type client struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

// patience is what a client waits for a reply that has to come, whatever the machine is busy with.
const patience = time.Minute

func newClient(t testing.TB, conn net.Conn) *client {
	t.Cleanup(func() { conn.Close() })
	return &client{Conn: conn, t: t, r: bufio.NewReader(conn)}
}

func dialTCP(t testing.TB, addr net.Addr) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	return newClient(t, conn)
}

// send writes bytes as they are.
func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.t.Fatalf("send %.60q: %v", text, err)
	}
}

// reply reads one reply, its lines joined by LF.
func (c *client) reply() (string, error) {
	var lines []string
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return strings.Join(append(lines, line), "\n"), err
		}
		if !strings.HasSuffix(line, "\r\n") || len(line) < 6 {
			return line, fmt.Errorf("malformed reply line %q", line)
		}
		lines = append(lines, strings.TrimSuffix(line, "\r\n"))
		if line[3] == ' ' {
			return strings.Join(lines, "\n"), nil
		}
	}
}

// want reads a reply that begins so.
func (c *client) want(prefix string) string {
	c.t.Helper()
	got, err := c.reply()
	if err != nil {
		c.t.Fatalf("want reply %q, got %q, %v", prefix, got, err)
	}
	if !strings.HasPrefix(got, prefix) {
		c.t.Fatalf("want reply %q, got %q", prefix, got)
	}
	return got
}

// do sends a command and reads its reply.
func (c *client) do(command, prefix string) string {
	c.t.Helper()
	c.send(command + "\r\n")
	return c.want(prefix)
}

// wantEnd reads the end of the connection.
func (c *client) wantEnd() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.r); len(rest) > 0 || err != nil && !errors.Is(err, io.ErrClosedPipe) && !isReset(err) {
		c.t.Fatalf("want the end of the connection, got %q, %v", rest, err)
	}
}

func isReset(err error) bool { return strings.Contains(err.Error(), "connection reset") }

// begin opens a transaction for some recipients.
func (c *client) begin(to ...string) {
	c.t.Helper()
	c.do("MAIL FROM:<>", "250 2.1.0")
	for _, a := range to {
		c.do("RCPT TO:<"+a+">", "250 2.1.5")
	}
}

// deliver sends one mail by DATA and returns the last reply.
func (c *client) deliver(mail string, to ...string) string {
	c.t.Helper()
	c.begin(to...)
	c.do("DATA", "354")
	c.send(stuff(mail) + ".\r\n")
	got, err := c.reply()
	if err != nil {
		c.t.Fatal(err)
	}
	return got
}

// stuff puts dots before dots and ends the last line.
func stuff(mail string) string {
	if !strings.HasSuffix(mail, "\r\n") {
		mail += "\r\n"
	}
	if strings.HasPrefix(mail, ".") {
		mail = "." + mail
	}
	return strings.ReplaceAll(mail, "\r\n.", "\r\n..")
}

// pipeListener gives the other ends of pipes as connections.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (l *pipeListener) dial() net.Conn {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
	case <-l.closed:
		theirs.Close()
	}
	return ours
}

// dsn is a bounce of the message to one recipient.
func dsn(recipient, status, more string) string {
	return strings.ReplaceAll(`From: MAILER-DAEMON@mx.example.net
To: <return@bounce.example.com>
Subject: Undelivered Mail Returned to Sender
Message-ID: <dsn-1@mx.example.net>
Date: Sat, 21 Nov 2026 17:45:03 +0000
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b1"

--b1
Content-Type: text/plain

The mail could not be delivered.
--b1
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net

Final-Recipient: rfc822; `+recipient+`
Action: failed
Status: `+status+`
Remote-MTA: dns; mail.example.org
Diagnostic-Code: smtp; 550 `+status+` no such user

--b1
Content-Type: text/rfc822-headers

`+more+`From: alice@example.com
To: `+recipient+`
Subject: Hello

--b1--
`, "\n", "\r\n")
}
