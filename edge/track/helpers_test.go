package track

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/edge/ref"
	"carom/pipeline/event"
)

// patience is how long a test waits for what must come; only a failing test waits that long.
const patience = 20 * time.Second

// memorySink keeps copies of what it gets, or fails.
type memorySink struct {
	mu   sync.Mutex
	hits []heard
	err  error
	// before, if set, is called by Hit and Facts before anything else.
	before func()
	// later has HitThen tell on another goroutine, as the journal does, and not before hold is closed.
	later bool
	hold  chan struct{}
}

// heard is one event, and the request it came by.
type heard struct {
	ev    event.Event
	req   event.Request
	facts bool
}

func (s *memorySink) Hit(ev *event.Event, req *event.Request) error {
	return s.take(heard{ev: *ev, req: *req})
}

func (s *memorySink) HitThen(ev *event.Event, req *event.Request, done func(error)) {
	err := s.Hit(ev, req)
	if !s.later {
		done(err)
		return
	}
	go func() {
		if s.hold != nil {
			<-s.hold
		}
		done(err)
	}()
}

func (s *memorySink) Facts(evs ...*event.Event) error {
	for _, ev := range evs {
		if err := s.take(heard{ev: *ev, facts: true}); err != nil {
			return err
		}
	}
	return nil
}

// take copies all strings: they die with the request.
func (s *memorySink) take(h heard) error {
	if s.before != nil {
		s.before()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	for _, p := range []*string{
		&h.ev.Account, &h.ev.Sender, &h.ev.Sequence, &h.ev.Contact, &h.ev.Message, &h.ev.URL,
		&h.req.Method, &h.req.UserAgent, &h.req.Referer, &h.req.Accept, &h.req.Purpose,
	} {
		*p = strings.Clone(*p)
	}
	s.hits = append(s.hits, h)
	return nil
}

// all returns what was heard so far.
func (s *memorySink) all() []heard {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.hits)
}

// take1 returns the only event heard, and forgets it.
func (s *memorySink) take1(t *testing.T) heard {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.hits) != 1 {
		t.Fatalf("%d events, want 1: %+v", len(s.hits), s.hits)
	}
	h := s.hits[0]
	s.hits = nil
	return h
}

func (s *memorySink) wantNone(t *testing.T) {
	t.Helper()
	if all := s.all(); len(all) > 0 {
		t.Fatalf("%d events, want none: %+v", len(all), all)
	}
}

// reasonError is a Sink's error that tells its reason.
type reasonError string

func (e reasonError) Error() string  { return "not recorded: " + string(e) }
func (e reasonError) Reason() string { return string(e) }

func newKeys(tb testing.TB) *ref.Keyring {
	tb.Helper()
	file, err := ref.NewKeyFile()
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := ref.ParseKeyring(file)
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

func seal(tb testing.TB, keys *ref.Keyring, p ref.Purpose, r event.Ref) string {
	tb.Helper()
	token, err := keys.Seal(nil, p, &r)
	if err != nil {
		tb.Fatal(err)
	}
	return string(token)
}

// typical is a ref of common size.
var typical = event.Ref{
	Account: "acme", Sender: "alice@example.com", Sequence: "q4-launch", Contact: "c-9812",
	Message: "20261121174503.77123.alice@mail.example.com", SentAt: 1795283103120,
}

// linkTo is typical as a click seals it.
func linkTo(url string) event.Ref {
	r := typical
	r.Link, r.URL = 2, url
	return r
}

// testOptions are the defaults on a free port.
func testOptions() Options {
	o := Default()
	o.Listen, o.BaseURL = "127.0.0.1:0", "https://track.example.com"
	return o
}

// running is a server that runs until the test ends.
type running struct {
	*Server
	keys *ref.Keyring
	sink *memorySink
	reg  *prometheus.Registry
	addr string
	stop context.CancelFunc
	done chan error // gets what Run returned
}

func start(tb testing.TB, o Options) *running {
	tb.Helper()
	r := &running{keys: newKeys(tb), sink: &memorySink{later: true}, reg: prometheus.NewRegistry(), done: make(chan error, 1)}
	var err error
	if r.Server, err = New(o, r.keys, r.sink, zap.NewNop(), r.reg); err != nil {
		tb.Fatal(err)
	}
	if err := r.Listen(); err != nil {
		tb.Fatal(err)
	}
	r.addr = r.Addr().String()
	var ctx context.Context
	ctx, r.stop = context.WithCancel(context.Background())
	go func() { r.done <- r.Run(ctx) }()
	tb.Cleanup(func() {
		r.stop()
		_ = r.Close()
	})
	return r
}

// url returns where a token of a ref is answered.
func (r *running) url(tb testing.TB, p ref.Purpose, rf event.Ref) string {
	tb.Helper()
	return fmt.Sprintf("http://%s/%c/%s", r.addr, p, seal(tb, r.keys, p, rf))
}

// client is a real client that doesn't follow redirects.
var client = &http.Client{
	Timeout:       patience,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// answer is a response, read to its end.
type answer struct {
	*http.Response
	body string
}

func do(t *testing.T, method, url, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp, string(b)}
}

// dial opens a connection that ends with the test.
func (r *running) dial(tb testing.TB) net.Conn {
	tb.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		tb.Fatal(err)
	}
	return c
}

// exchange sends bytes over a connection of their own and returns all that comes back until the server closes it.
func (r *running) exchange(t *testing.T, request string) string {
	t.Helper()
	c := r.dial(t)
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	return readAll(t, c)
}

// readAll returns what comes until the server closes the connection. A reset is as good as an end: the server may close
// while something of ours is unread.
func readAll(t *testing.T, c net.Conn) string {
	t.Helper()
	b, err := io.ReadAll(c)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatalf("the server keeps the connection open after %q", b)
	}
	return string(b)
}

// parse reads all responses to requests with these methods.
func parse(t *testing.T, text string, methods ...string) []answer {
	t.Helper()
	var all []answer
	r := bufio.NewReader(strings.NewReader(text))
	for _, m := range methods {
		resp, err := http.ReadResponse(r, &http.Request{Method: m})
		if err != nil {
			t.Fatalf("response %d of %q: %v", len(all), text, err)
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("response %d of %q: %v", len(all), text, err)
		}
		_ = resp.Body.Close()
		all = append(all, answer{resp, string(b)})
	}
	if rest, _ := io.ReadAll(r); len(rest) > 0 {
		t.Fatalf("after %d responses comes %q", len(all), rest)
	}
	return all
}

// metric returns a metric's value, by its name and labels as /metrics shows them.
func (r *running) metric(t *testing.T, name string) float64 {
	t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			full := f.GetName()
			if len(labels) > 0 {
				full += "{" + strings.Join(labels, ",") + "}"
			}
			if full == name {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return 0
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("waited %s for: %s", patience, what)
		}
		<-time.After(time.Millisecond)
	}
}
