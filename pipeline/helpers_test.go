package pipeline

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/pipeline/bot"
	"carom/pipeline/event"
	"carom/pipeline/journal"
)

// record is what a memoryJournal got.
type record struct {
	class journal.Class
	ev    event.Event
}

// memoryJournal keeps copies of what it gets, or fails.
type memoryJournal struct {
	mu      sync.Mutex
	records []record
	err     error
	calls   int
}

func (j *memoryJournal) AppendThen(class journal.Class, done func(error), evs ...*event.Event) {
	done(j.Append(class, evs...))
}

func (j *memoryJournal) Append(class journal.Class, evs ...*event.Event) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.calls++
	if j.err != nil {
		return j.err
	}
	for _, ev := range evs {
		c := *ev
		c.Client.UserAgent = strings.Clone(c.Client.UserAgent)
		c.Actor.Reasons = slices.Clone(c.Actor.Reasons)
		j.records = append(j.records, record{class, c})
	}
	return nil
}

// discard is a journal that takes everything.
type discard struct{}

func (discard) Append(journal.Class, ...*event.Event) error { return nil }

func (discard) AppendThen(_ journal.Class, done func(error), _ ...*event.Event) { done(nil) }

func newAcceptor(tb testing.TB, o Options, j Journal) (*Acceptor, *prometheus.Registry) {
	tb.Helper()
	reg := prometheus.NewRegistry()
	a, err := New(o, j, bot.Default(), [32]byte{1}, zap.NewNop(), reg)
	if err != nil {
		tb.Fatal(err)
	}
	return a, reg
}

const (
	browser = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	library = "curl/8.5.0"
	start   = event.Millis(1795283103120)
)

func open(at event.Millis) event.Event {
	return event.Event{
		Kind: event.Open, Time: at, KnownBy: event.ByRef, Key: event.KeyOf("acme", "m-1"),
		Ref: event.Ref{Account: "acme", Sender: "alice", Contact: "c-1", Message: "m-1"},
	}
}

func click(at event.Millis, link uint32) event.Event {
	ev := open(at)
	ev.Kind, ev.Link, ev.URL = event.Click, link, "https://example.com/"
	return ev
}

func from(ip, agent string) event.Request {
	return event.Request{Method: "GET", IP: netip.MustParseAddr(ip), UserAgent: agent}
}

// wantMetric checks a counter, written as /metrics shows it.
func wantMetric(t *testing.T, reg *prometheus.Registry, line string) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			name := f.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			all = append(all, fmt.Sprintf("%s %v", name, m.GetCounter().GetValue()))
		}
	}
	if !slices.Contains(all, line) {
		t.Errorf("no %q in\n%s", line, strings.Join(all, "\n"))
	}
}
