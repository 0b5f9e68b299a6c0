package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap/zaptest"

	"carom/edge/ref"
	"carom/kv"
	"carom/pipeline/control"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

const (
	testKeys   = "version: 1\nkeys:\n  - {id: 1, state: seal, secret: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}\n"
	testSecret = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
)

// world is a node's webhooks with two partitions of events, in memory.
type world struct {
	t        testing.TB
	o        Options
	store    *kv.Store
	logs     []*log.Local
	controls *control.Controls
	keys     *ref.Keyring
	reg      *prometheus.Registry
	copied   func(partition int32) (int64, bool)
	alerts   alerts
	*Hooks
	stop func()
	n    int // events written
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// testOptions try again at once, and may send to this host.
func testOptions() Options {
	o := Default()
	o.Development()
	o.BatchWait, o.RetryFirst, o.RetryMost = 0, time.Millisecond, 2*time.Millisecond
	return o
}

func newWorld(t testing.TB, o Options) *world {
	t.Helper()
	w := &world{t: t, o: o}
	var err error
	w.store, err = kv.Open("state", kv.Options{FS: vfs.NewMem(), CacheBytes: 8 << 20, MemTableBytes: 4 << 20})
	must(t, err)
	t.Cleanup(func() { must(t, w.store.Close()) })
	for p := range int32(2) {
		l, err := log.NewLocal(w.store, kv.LogEvents, p)
		must(t, err)
		w.logs = append(w.logs, l)
	}
	controls, err := log.NewLocal(w.store, kv.LogControls, 0)
	must(t, err)
	w.controls, err = control.Open(control.Default(), w.store, control.Log{In: controls, Out: controls}, zaptest.NewLogger(t), nil)
	must(t, err)
	w.keys, err = ref.ParseKeyring([]byte(testKeys))
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := w.controls.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	w.start()
	return w
}

// start starts webhooks, as a node does that was started anew.
func (w *world) start() {
	w.t.Helper()
	var err error
	w.reg = prometheus.NewRegistry()
	d := Deps{
		Store: w.store, Controls: w.controls, Sealer: w.keys, Copied: w.copied, Teller: &w.alerts,
		Logger: zaptest.NewLogger(w.t), Registerer: w.reg,
	}
	for _, l := range w.logs {
		d.Events = append(d.Events, l)
	}
	w.Hooks, err = New(w.o, d)
	must(w.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	hooks := w.Hooks
	running.Go(func() {
		if err := hooks.Run(ctx); err != nil {
			w.t.Error(err)
		}
	})
	w.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	w.t.Cleanup(w.stop)
}

// alerts collects what is told, as a journal would.
type alerts struct {
	mu   sync.Mutex
	told []event.Event
	fail bool
}

func (a *alerts) Facts(evs ...*event.Event) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fail {
		return errors.New("journal: full")
	}
	for _, e := range evs {
		a.told = append(a.told, *e)
	}
	return nil
}

func (a *alerts) will(fail bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fail = fail
}

// ids returns the alerts as events, by their id.
func (a *alerts) ids(t testing.TB) map[event.Key]Alert {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make(map[event.Key]Alert)
	for _, e := range a.told {
		var body Alert
		must(t, json.Unmarshal(e.Body, &body))
		if e.Kind != event.Alert || e.Account != "acme" || e.KnownBy != event.ByKey || body.Webhook != "crm" || body.Reason == "" || body.Since > body.AsOf {
			t.Errorf("%+v, %s", e, e.Body)
		}
		list[e.Key] = body
	}
	return list
}

// write appends events to a partition, and returns their ids.
func (w *world) write(partition int, events ...event.Refined) (ids []string) {
	w.t.Helper()
	return w.writeAt(event.Now(), partition, events...)
}

// writeAt is write at a log time.
func (w *world) writeAt(at event.Millis, partition int, events ...event.Refined) (ids []string) {
	w.t.Helper()
	var recs []log.Record
	for _, e := range events {
		w.n++
		e.ID = event.ID{byte(w.n >> 8), byte(w.n), 1}
		if e.Kind == 0 {
			e.Kind = event.Sent
		}
		if e.Account == "" {
			e.Account = "acme"
		}
		e.Sender, e.Time = "alice", at
		ids = append(ids, e.ID.String())
		recs = append(recs, log.Record{Time: at, Key: event.AppendSenderKey(nil, e.Account, e.Sender), Value: e.AppendJSON(nil)})
	}
	b := w.store.NewBatch()
	defer func() { _ = b.Close() }()
	must(w.t, w.logs[partition].Write(context.Background(), b, recs))
	must(w.t, w.store.Commit(b))
	w.logs[partition].Committed()
	return ids
}

// put makes a webhook of the account acme.
func (w *world) put(name string, d Draft) Info {
	w.t.Helper()
	if d.Secret == "" {
		d.Secret = testSecret
	}
	info, _, err := w.Put(context.Background(), "acme", name, d)
	must(w.t, err)
	return info
}

// await tries until it is true. There is no limit but go test's own.
func await(isTrue func() bool) {
	for !isTrue() {
		timer := time.NewTimer(2 * time.Millisecond)
		<-timer.C
	}
}

// delivery returns how a webhook stands.
func (w *world) delivery(info Info) Delivery {
	w.t.Helper()
	d, _, err := w.Delivery(info.ID)
	must(w.t, err)
	return d
}

// awaitState waits until a webhook is in a state, for all who ask.
func (w *world) awaitState(name, state string) (info Info) {
	w.t.Helper()
	await(func() bool {
		var err error
		info, err = w.Get("acme", name)
		must(w.t, err)
		return info.State == state && w.count(state) > 0
	})
	return info
}

// request is what a server was sent.
type request struct {
	id, signature string
	missed        string
	stamp         int64
	body          []byte
	lines         bool
	ids           []string // of its events
}

// receiver is a server of webhooks.
type receiver struct {
	t      testing.TB
	server *httptest.Server

	mu     sync.Mutex
	got    []request
	answer func(w http.ResponseWriter, n int) // n: how many requests there were before; nil: 200
}

func newReceiver(t testing.TB, answer func(w http.ResponseWriter, n int)) *receiver {
	t.Helper()
	r := &receiver{t: t, answer: answer}
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return // the sender has stopped
	}
	got := request{id: q.Header.Get("webhook-id"), signature: q.Header.Get("webhook-signature"), missed: q.Header.Get("carom-missed"), body: body}
	got.stamp, _ = strconv.ParseInt(q.Header.Get("webhook-timestamp"), 10, 64)
	var objects []json.RawMessage
	if got.lines = q.Header.Get("Content-Type") == "application/x-ndjson"; got.lines {
		for line := range bytes.Lines(body) {
			objects = append(objects, line)
		}
	} else if err := json.Unmarshal(body, &objects); err != nil {
		r.t.Errorf("body %q: %v", body, err)
	}
	for _, object := range objects {
		var e event.Refined
		if err := e.DecodeJSON(object); err != nil {
			r.t.Errorf("event %q: %v", object, err)
		}
		got.ids = append(got.ids, e.ID.String())
	}
	r.mu.Lock()
	n, answer := len(r.got), r.answer
	r.got = append(r.got, got)
	r.mu.Unlock()
	if answer != nil {
		answer(w, n)
	}
}

func (r *receiver) requests() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *receiver) will(answer func(w http.ResponseWriter, n int)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// events waits until n events have come, and returns their ids.
func (r *receiver) events(n int) (ids []string) {
	await(func() bool {
		ids = nil
		for _, q := range r.requests() {
			ids = append(ids, q.ids...)
		}
		return len(ids) >= n
	})
	return ids
}

func (r *receiver) want(ids []string) {
	r.t.Helper()
	if got := r.events(len(ids)); !slices.Equal(got, ids) {
		r.t.Errorf("got %v, want %v", got, ids)
	}
}

func always(status int) func(http.ResponseWriter, int) {
	return func(w http.ResponseWriter, _ int) { w.WriteHeader(status) }
}

// metric returns the value of a counter or gauge with a label's value; empty: without one.
func (w *world) metric(name, label string) float64 {
	w.t.Helper()
	families, err := w.reg.Gather()
	must(w.t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	w.t.Fatalf("no metric %s %s", name, label)
	return 0
}

func numbered(n int) (events []event.Refined) {
	for i := range n {
		events = append(events, event.Refined{Ref: event.Ref{Message: fmt.Sprintf("m-%d", i)}})
	}
	return events
}
