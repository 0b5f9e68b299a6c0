package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carom/edge/ref"
	"carom/kv"
	"carom/pipeline"
	"carom/pipeline/bot"
	"carom/pipeline/control"
	"carom/pipeline/event"
	"carom/pipeline/journal"
	"carom/pipeline/log"
	"carom/pipeline/refine"
	"carom/pipeline/rollup"
	"carom/pipeline/score"
	"carom/pipeline/suppress"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// contactsOf are those of one partition.
type contactsOf struct{ *refine.Partition }

func (c contactsOf) Scrubbing(_ context.Context, account, contact string) (bool, error) {
	return c.Partition.Scrubbing(event.ContactKeyOf(account, contact))
}

// testNow is what the API's clock shows.
var testNow = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// world is an API with everything behind it, in memory.
type world struct {
	t       testing.TB
	server  *Server
	sink    *sink
	events  *log.Local
	journal *journal.Journal
	table   *control.Table
	book    *suppress.Book
	reg     *prometheus.Registry
	base    string
	stop    func() // ends Run and waits for it
	freeze  func() // ends refine and rollup: what is posted stays in the journal
}

// sink is the real one, until a test makes it fail.
type sink struct {
	Sink
	mu    sync.Mutex
	err   error
	calls int
	facts int
	hold  chan struct{} // nil, or closed to let calls go on
}

func (s *sink) Facts(evs ...*event.Event) error {
	s.mu.Lock()
	s.calls++
	s.facts += len(evs)
	err, hold := s.err, s.hold
	s.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if err != nil {
		return err
	}
	return s.Sink.Facts(evs...)
}

func (s *sink) set(err error, hold chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.hold = err, hold
}

func (s *sink) count() (calls, facts int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls, s.facts
}

func testKeys(t testing.TB) *ref.Keyring {
	t.Helper()
	keys, err := ref.ParseKeyring([]byte("version: 1\nkeys:\n  - {id: 1, state: seal, secret: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}\n"))
	must(t, err)
	return keys
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newWorld starts everything. change may be nil.
func newWorld(t testing.TB, change func(*Options, *Dependencies)) *world {
	t.Helper()
	w := &world{t: t, reg: prometheus.NewRegistry()}
	heard, state := openStore(t, "journal"), openStore(t, "state")
	var err error
	w.journal, err = journal.Open(heard, journal.Default(), journal.Deps{Node: "edge-1", Readers: []string{"refine"}})
	must(t, err)
	t.Cleanup(func() { must(t, w.journal.Close()) })
	w.events, err = log.NewLocal(state, kv.LogEvents, 0)
	must(t, err)
	rejects, err := log.NewLocal(state, kv.LogRejects, 0)
	must(t, err)
	ro := refine.Default()
	ro.Settle = 0
	addresses, err := log.NewLocal(state, kv.LogAddresses, 0)
	must(t, err)
	out := refine.Outputs{Events: w.events, Addresses: addresses, Rejects: rejects}
	refiner, err := refine.Open(ro, state, w.journal, out, w.journal, zap.NewNop(), prometheus.NewRegistry())
	must(t, err)
	scores, err := rollup.Open(rollup.Default(), score.Default(), state, w.events, nil, zap.NewNop(), nil)
	must(t, err)
	controlLog, err := log.NewLocal(state, kv.LogControls, 0)
	must(t, err)
	controls, err := control.Open(control.Options{MaxDenied: 1000, MaxSelf: 3, MaxWebhooks: 3}, state, control.Log{In: controlLog, Out: controlLog}, zap.NewNop(), nil)
	must(t, err)
	w.table = controls.Table()
	keys := testKeys(t)
	accept, err := pipeline.New(pipeline.Default(), w.journal, bot.Default(), keys.ClientKey(), zap.NewNop(), prometheus.NewRegistry())
	must(t, err)
	suppressions, err := log.NewLocal(state, kv.LogSuppressions, 0)
	must(t, err)
	decider, err := suppress.Open(suppress.Default(), suppress.Deps{Store: state, In: addresses, Out: suppressions, Teller: accept, Logger: zap.NewNop()})
	must(t, err)
	w.book, err = suppress.OpenBook(suppress.Default(), suppress.Secret{}, state, suppress.Log{In: suppressions}, zap.NewNop(), nil)
	must(t, err)
	minter, err := ref.NewMinter(keys, ref.MinterOptions{
		TrackBaseURL: "https://track.example.com", BounceDomain: "bounce.example.com", ReplyDomain: "reply.example.com",
	})
	must(t, err)
	accept.Deny(w.table)
	w.sink = &sink{Sink: accept}

	o := Default()
	o.Listen = "127.0.0.1:0"
	d := Dependencies{
		Sink: w.sink, Minter: minter, Events: []log.Reader{w.events}, Rejects: []log.Reader{rejects}, Journal: w.journal, Messages: refiner, Scores: scores, Controls: controls, Contacts: contactsOf{refiner}, Suppressions: w.book,
		Rules: rulesOf{accept}, SelfOpens: true, Backup: emptyBackup,
		Gatherer: w.reg, Registerer: w.reg, Clock: func() time.Time { return testNow },
	}
	if change != nil {
		change(&o, &d)
	}
	stagesRun := []func(context.Context) error{refiner.Run, scores.Run, controls.Run, decider.Run, w.book.Run}
	if d.Webhooks == nil {
		hooks := newHooks(t, state, controls, keys, d.Events)
		d.Webhooks, stagesRun = hooks, append(stagesRun, hooks.Run)
	}
	w.server, err = New(o, d)
	must(t, err)
	must(t, w.server.Listen())
	w.base = "http://" + w.server.Addr().String()

	var running sync.WaitGroup
	stages, stopStages := context.WithCancel(context.Background())
	for _, run := range stagesRun {
		running.Go(func() {
			if err := run(stages); err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("stage: %v", err)
			}
		})
	}
	w.freeze = func() { stopStages(); running.Wait() }
	t.Cleanup(w.freeze)
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := w.server.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	w.stop = sync.OnceFunc(func() { cancel(); serving.Wait() })
	t.Cleanup(w.stop)
	return w
}

func openStore(t testing.TB, role string) *kv.Store {
	t.Helper()
	o := kv.Options{FS: vfs.NewMem(), Role: role, CacheBytes: 8 << 20, MemTableBytes: 4 << 20}
	if _, ok := t.(*testing.B); ok { // measures a server, which has the usual
		o.CacheBytes, o.MemTableBytes = 0, 0
	}
	s, err := kv.Open(role, o)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// answer is a response that was read to its end.
type answer struct {
	*http.Response
	body []byte
}

// do sends a request; header holds pairs of name and value.
func (w *world) do(method, path, body string, header ...string) answer {
	w.t.Helper()
	r, err := http.NewRequest(method, w.base+path, strings.NewReader(body))
	must(w.t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if r.Header.Get("Host") != "" {
		r.Host = r.Header.Get("Host")
	}
	resp, err := http.DefaultClient.Do(r)
	must(w.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(w.t, err)
	contractCheck(w.t, method, path, resp.StatusCode, resp.Header, b)
	return answer{resp, b}
}

func (w *world) get(path string) answer { w.t.Helper(); return w.do("GET", path, "") }

func (w *world) post(path, body string) answer {
	w.t.Helper()
	return w.do("POST", path, body, "Content-Type", "application/json")
}

func (w *world) bulk(path, body string) answer {
	w.t.Helper()
	return w.do("POST", path, body, "Content-Type", "application/x-ndjson")
}

// ok checks that the answer is 200 and JSON, and reads it.
func (a answer) ok(t testing.TB, into any) {
	t.Helper()
	if a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%s %s: %d %s: %s", a.Request.Method, a.Request.URL, a.StatusCode, a.Header.Get("Content-Type"), a.body)
	}
	if into != nil {
		must(t, json.Unmarshal(a.body, into))
	}
}

// problem checks that the answer is a problem of a status, and reads it.
func (a answer) problem(t testing.TB, status int) problem {
	t.Helper()
	var p problem
	if a.StatusCode != status || a.Header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%s %s: %d %s, want %d and a problem: %s", a.Request.Method, a.Request.URL, a.StatusCode, a.Header.Get("Content-Type"), status, a.body)
	}
	must(t, json.Unmarshal(a.body, &p))
	if p.Status != status || !strings.HasPrefix(p.Type, problemType) || p.Title == "" {
		t.Fatalf("problem %s", a.body)
	}
	return p
}

// lines reads the JSON lines of an answer.
func (a answer) lines(t testing.TB) (lines []map[string]any) {
	t.Helper()
	if a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/x-ndjson" {
		t.Fatalf("%d %s: %s", a.StatusCode, a.Header.Get("Content-Type"), a.body)
	}
	for line := range bytes.Lines(a.body) {
		var m map[string]any
		must(t, json.Unmarshal(line, &m))
		lines = append(lines, m)
	}
	return lines
}

// await tries until it is true, each time there are new events and now and then. There is no limit but go test's own.
func (w *world) await(isTrue func() bool) {
	w.t.Helper()
	for next := int64(0); !isTrue(); {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		if recs, err := w.events.Read(ctx, next, 1000, nil); err == nil {
			next = recs[len(recs)-1].Offset + 1
		}
		cancel()
	}
}

// allEvents reads refined events page by page until n have come.
func (w *world) allEvents(n int) (events []map[string]any) {
	w.t.Helper()
	after := ""
	w.await(func() bool {
		a := w.get("/v1/events?limit=7&after=" + url.QueryEscape(after))
		events = append(events, a.lines(w.t)...)
		after = a.Header.Get("Carom-Next-Cursor")
		return len(events) >= n
	})
	return events
}

// metric returns the value of a counter or gauge with these label values, in the order of the labels' names.
func (w *world) metric(name string, labels ...string) float64 {
	w.t.Helper()
	families, err := w.reg.Gather()
	must(w.t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			if f.GetName() == name && slices.Equal(values, labels) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	w.t.Fatalf("no metric %s %v", name, labels)
	return 0
}

// errTest is what a sink of tests fails with.
var errTest = errors.New("test: no disk")

// scanner reads the lines of a stream as they come.
func scanner(r io.Reader) *bufio.Scanner {
	s := bufio.NewScanner(r)
	s.Buffer(nil, 4<<20)
	return s
}
