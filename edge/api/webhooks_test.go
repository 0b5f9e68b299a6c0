package api

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carom/edge/ref"
	"carom/edge/webhook"
	"carom/kv"
	"carom/pipeline/control"
	"carom/pipeline/event"
	"carom/pipeline/log"

	"go.uber.org/zap"
)

// newHooks are the webhooks of a node that has those of the partitions that are not nil.
func newHooks(t testing.TB, state *kv.Store, controls *control.Controls, keys *ref.Keyring, events []log.Reader) *webhook.Hooks {
	t.Helper()
	o := webhook.Default()
	o.Development()
	o.BatchWait, o.RetryFirst, o.RetryMost = 0, time.Millisecond, 2*time.Millisecond
	d := webhook.Deps{Store: state, Controls: controls, Sealer: keys, Logger: zap.NewNop()}
	for _, r := range events {
		if r != nil {
			d.Events = append(d.Events, r)
		}
	}
	h, err := webhook.New(o, d)
	must(t, err)
	return h
}

// hookServer takes webhooks.
type hookServer struct {
	*httptest.Server
	mu       sync.Mutex
	messages []string
	status   int
}

func newHookServer(t *testing.T) *hookServer {
	h := &hookServer{status: 200}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var events []struct{ Message string }
		if err != nil || json.Unmarshal(body, &events) != nil || !strings.HasPrefix(r.Header.Get("webhook-signature"), "v1,") {
			t.Errorf("got %q with %v", body, r.Header)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.status == 200 {
			for _, e := range events {
				h.messages = append(h.messages, e.Message)
			}
		}
		w.WriteHeader(h.status)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hookServer) got() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.messages)
}

func (h *hookServer) answers(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = status
}

func (w *world) webhook(name string) (a webhookAnswer) {
	w.t.Helper()
	w.get("/v1/webhooks/"+name).ok(w.t, &a)
	return a
}

// A webhook's life: made, delivered to, disabled by its server, resumed from a cursor, changed, deleted.
func TestWebhooks(t *testing.T) {
	w := newWorld(t, nil)
	h := newHookServer(t)
	var made, shown webhookAnswer
	w.do("PUT", "/v1/webhooks/crm", `{"url":"`+h.URL+`","kinds":["sent","click","sent"],"max_wait":"0s"}`).ok(t, &made)
	if !strings.HasPrefix(made.Secret, "whsec_") || made.State != "active" || made.Source != "api" || len(made.Kinds) != 2 || made.MaxEvents != 500 {
		t.Fatalf("%+v", made)
	}
	w.post("/v1/messages", `{"sender":"live","message":"l-1"}`).ok(t, nil)
	w.await(func() bool { return len(h.got()) == 1 })
	w.await(func() bool { a := w.webhook("crm"); return a.Nodes[0].Delivered == 1 && a.Nodes[0].Behind == 0 })
	cursor := w.webhook("crm").Cursor

	h.answers(410)
	w.post("/v1/messages", `{"sender":"live","message":"l-2"}`).ok(t, nil)
	w.await(func() bool { return w.webhook("crm").State == "disabled" })
	h.answers(200)
	w.post("/v1/webhooks/crm/resume", "").ok(t, &shown)
	w.await(func() bool { return slices.Equal(h.got(), []string{"l-1", "l-2"}) })
	w.post("/v1/webhooks/crm/resume", `{"cursor":"`+cursor+`"}`).ok(t, &shown)
	w.await(func() bool { return slices.Equal(h.got(), []string{"l-1", "l-2", "l-2"}) })
	// Last: a change ends the delivery in hand, whose events may then come twice.
	w.do("PUT", "/v1/webhooks/crm", `{"url":"`+h.URL+`","kinds":["sent"],"max_wait":"0s"}`).ok(t, &shown)
	if shown.Secret != "" || shown.CreatedAt != made.CreatedAt || len(shown.Kinds) != 1 {
		t.Errorf("changed: %+v", shown)
	}

	var list struct {
		Webhooks []webhookAnswer
		Next     string
	}
	w.do("PUT", "/v1/webhooks/b", `{"url":"`+h.URL+`","secret":"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}`).ok(t, &shown)
	if shown.Secret != "" {
		t.Error("a secret is told again")
	}
	w.get("/v1/webhooks?limit=1").ok(t, &list)
	if len(list.Webhooks) != 1 || list.Webhooks[0].Name != "b" || list.Next != "b" {
		t.Errorf("%+v", list)
	}
	w.get("/v1/webhooks?after="+list.Next).ok(t, &list)
	if len(list.Webhooks) != 1 || list.Webhooks[0].Name != "crm" || list.Next != "" {
		t.Errorf("%+v", list)
	}
	w.get("/v1/webhooks?account=other").ok(t, &list)
	if len(list.Webhooks) != 0 {
		t.Errorf("of another account %+v", list)
	}
	w.do("DELETE", "/v1/webhooks/crm", "").ok(t, nil)
	w.get("/v1/webhooks/crm").problem(t, 404)
	if p := w.do("DELETE", "/v1/webhooks/crm", "").problem(t, 404); p.Field != "name" {
		t.Errorf("%+v", p)
	}
}

func TestWebhooksRefuse(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct{ body, field string }{
		{`{}`, "url"},
		{`{"url":"x"}`, "url"},
		{`{"url":"ftp://example.com"}`, "url"},
		{`{"url":"https://u:p@example.com"}`, "url"},
		{`{"url":"https://10.0.0.1/"}`, "url"},
		{`{"url":"https://example.com/` + strings.Repeat("x", 3000) + `"}`, "url"},
		{`{"url":7}`, "url"},
		{`{"url":"https://example.com","kinds":["sent","tick"]}`, "kinds"},
		{`{"url":"https://example.com","kinds":"sent"}`, "kinds"},
		{`{"url":"https://example.com","verdicts":["robot"]}`, "verdicts"},
		{`{"url":"https://example.com","format":"xml"}`, "format"},
		{`{"url":"https://example.com","max_events":10001}`, "max_events"},
		{`{"url":"https://example.com","max_events":-1}`, "max_events"},
		{`{"url":"https://example.com","max_bytes":1}`, "max_bytes"},
		{`{"url":"https://example.com","max_wait":"1h"}`, "max_wait"},
		{`{"url":"https://example.com","max_wait":"soon"}`, "max_wait"},
		{`{"url":"https://example.com","secret":"geheim"}`, "secret"},
		{`{"url":"https://example.com","account":"other"}`, "account"},
		{`{"url":"https://example.com","uri":""}`, "uri"},
	} {
		if p := w.do("PUT", "/v1/webhooks/crm", c.body).problem(t, 400); p.Field != c.field {
			t.Errorf("%.80s: field %q: %s", c.body, p.Field, p.Detail)
		}
	}
	for _, name := range []string{"a%2Fb", "%20", strings.Repeat("x", 65), "%00"} {
		if p := w.do("PUT", "/v1/webhooks/"+name, `{"url":"https://example.com"}`).problem(t, 400); p.Field != "name" {
			t.Errorf("%s: %+v", name, p)
		}
	}
	w.post("/v1/webhooks/crm/resume", `{"cursor":"x"}`).problem(t, 400)
	w.post("/v1/webhooks/crm/resume", `{"cursor":7}`).problem(t, 400)
	w.post("/v1/webhooks/crm/resume", ``).problem(t, 404)
	w.bulk("/v1/webhooks/crm/resume", ``).problem(t, 415)
	w.get("/v1/webhooks?limit=0").problem(t, 400)
	w.get("/v1/webhooks/crm?as_off=1").problem(t, 400)
	for i, name := range []string{"a", "b", "c", "d"} { // control.MaxWebhooks is 3
		a := w.do("PUT", "/v1/webhooks/"+name, `{"url":"https://example.com","kinds":["unsubscribe"]}`)
		if i < 3 {
			a.ok(t, nil)
		} else if p := a.problem(t, 409); p.Type != problemType+"full" {
			t.Errorf("%+v", p)
		}
	}
}

// Each worker delivers what it has, and any node tells how all of them stand, and where to go on.
func TestWebhooksAcrossNodes(t *testing.T) {
	shared := openStore(t, "controls")
	controlLog, err := log.NewLocal(shared, kv.LogControls, 0)
	must(t, err)
	controls, err := control.Open(control.Default(), shared, control.Log{In: controlLog, Out: controlLog}, zap.NewNop(), nil)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { cancel(); running.Wait() })
	run := func(f func(context.Context) error) {
		running.Go(func() {
			if err := f(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	run(controls.Run)
	f := newFleet(t, 2, 4, func(_ int, _ *Options, d *Dependencies) {
		h := newHooks(t, openStore(t, "places"), controls, testKeys(t), d.Events)
		d.Webhooks = h
		run(h.Run)
		d.Cluster.Counters = []int{0, 1}
	})
	h := newHookServer(t)
	f.front.do("PUT", "/v1/webhooks/crm", `{"url":"`+h.URL+`","max_wait":"0s"}`).ok(t, nil)
	want := []string{"m-0", "m-1", "m-2", "m-3"}
	for i, m := range want {
		f.parts[i].add(t, sentEvent("default", "s", m, event.Now()), event.Now())
	}
	var a webhookAnswer
	f.front.await(func() bool {
		a = f.front.webhook("crm")
		return len(a.Nodes) == 2 && a.Nodes[0].Delivered == 2 && a.Nodes[1].Delivered == 2
	})
	got := h.got()
	if slices.Sort(got); !slices.Equal(got, want) || a.Cursor == "" || a.Nodes[1].Worker != 1 || len(a.Nodes[1].Next) != 2 {
		t.Errorf("got %v; %+v", got, a)
	}
	// From the beginning again, whichever node is told.
	begin := cursor{log: logEvents, offsets: []int64{0, 0, 1, 1}}.String()
	f.workers[1].post("/v1/webhooks/crm/resume", `{"cursor":"`+url.QueryEscape(begin)+`"}`).ok(t, nil)
	f.front.await(func() bool { return len(h.got()) == 6 })
	if got = h.got()[4:]; !slices.Contains(got, "m-0") || !slices.Contains(got, "m-1") {
		t.Errorf("again: %v", got)
	}
	// A worker that is away says so, and spoils nothing else.
	f.doors[1].do(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) })
	if a = f.front.webhook("crm"); a.Nodes[1].Problem == "" || a.Nodes[0].Problem != "" || a.Cursor != "" {
		t.Errorf("%+v", a)
	}
}
