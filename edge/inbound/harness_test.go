package inbound

import (
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

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
	for _, ev := range evs { // which are the server's again afterwards
		kept := new(event.Event)
		if err := kept.DecodeBinary(ev.AppendBinary(nil)); err != nil {
			return err
		}
		s.events = append(s.events, kept)
	}
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

// eventually waits for what another goroutine is about to do.
func eventually(t testing.TB, done func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !done(); {
		if time.Now().After(limit) {
			t.Fatal("waited in vain")
		}
		<-time.After(time.Millisecond)
	}
}

// kept returns the mails that were kept for the operator.
func kept(f *fixture) (mails []string) {
	for _, name := range keptFiles(f) {
		b, err := os.ReadFile(name)
		if err != nil {
			f.t.Fatal(err)
		}
		mails = append(mails, string(b))
	}
	return mails
}

func keptFiles(f *fixture) []string {
	names, err := filepath.Glob(filepath.Join(f.options.PostmasterDir, "*"))
	if err != nil {
		f.t.Fatal(err)
	}
	return names
}

// newRandom prints its seed, and takes it back from CAROM_TEST_SEED.
func newRandom(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("CAROM_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("CAROM_TEST_SEED: %v", err)
		}
	}
	t.Logf("CAROM_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
