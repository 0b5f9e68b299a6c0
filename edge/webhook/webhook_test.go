package webhook

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"carom/pipeline/control"
	"carom/pipeline/event"
)

// A webhook gets what it asks for of its account, from when it was made on, and nothing else.
func TestDelivers(t *testing.T) {
	w := newWorld(t, testOptions())
	w.write(0, numbered(3)...) // before it was made
	r := newReceiver(t, nil)
	click := func(v event.Verdict) event.Refined {
		return event.Refined{Kind: event.Click, Actor: event.Actor{Verdict: v}}
	}
	now := event.Now()
	await(func() bool { return event.Now() > now }) // another log time
	info := w.put("crm", Draft{URL: r.server.URL, Kinds: []string{"click", "bounce"}, Verdicts: []string{"human", "none"}})
	ids := w.write(0, event.Refined{Kind: event.Sent}, click(event.Human), click(event.Scanner), event.Refined{Kind: event.Bounce})
	r.want([]string{ids[1], ids[3]})
	other := click(event.Human)
	other.Account = "acme2"
	w.write(1, other)
	more := w.write(1, click(event.Human))
	r.want([]string{ids[1], ids[3], more[0]})
	await(func() bool { return w.delivery(info).Behind == 0 })
	if d := w.delivery(info); d.Delivered != 3 || d.Failing != 0 || d.Status != 200 || d.Last == 0 || d.Next[0] != 7 || d.Next[1] != 2 {
		t.Errorf("%+v", d)
	}
}

// Batches end where they should, and are signed; one event that is larger than a batch goes alone.
func TestBatches(t *testing.T) {
	w := newWorld(t, testOptions())
	hold := make(chan struct{})
	r := newReceiver(t, func(_ http.ResponseWriter, n int) {
		if n == 0 {
			<-hold
		}
	})
	w.put("crm", Draft{URL: r.server.URL, MaxEvents: 10, MaxBytes: 2048, Format: FormatLines})
	want := w.write(0, numbered(1)...)
	r.events(1)
	// What comes while a request is under way goes together.
	want = append(want, w.write(0, numbered(40)...)...)
	want = append(want, w.write(0, event.Refined{Ref: event.Ref{Contact: strings.Repeat("x", 5000)}})...)
	close(hold)
	r.want(want)
	largest := 0
	for _, q := range r.requests() {
		largest = max(largest, len(q.ids))
		if len(q.ids) > 10 || len(q.body) > 2048 && len(q.ids) > 1 || !q.lines {
			t.Errorf("%d events in %d bytes, lines: %v", len(q.ids), len(q.body), q.lines)
		}
		signature, err := (secrets{Secret: testSecret}).sign(q.id, time.Unix(q.stamp, 0), q.body)
		if err != nil || signature != q.signature {
			t.Errorf("signature %q, want %q", q.signature, signature)
		}
	}
	if largest < 5 {
		t.Errorf("no batch of more than %d events", largest)
	}
}

// What is not taken comes again, the same under the same id, until it is.
func TestTriesAgain(t *testing.T) {
	w := newWorld(t, testOptions())
	r := newReceiver(t, func(w http.ResponseWriter, n int) {
		if n < 4 {
			w.WriteHeader([]int{500, 302, 404, 429}[n])
		}
	})
	info := w.put("crm", Draft{URL: r.server.URL})
	ids := w.write(0, numbered(5)...)
	await(func() bool { return w.delivery(info).Delivered == 5 })
	requests := r.requests()
	if len(requests) != 5 {
		t.Fatalf("%d requests", len(requests))
	}
	for _, q := range requests {
		if q.id != requests[0].id || string(q.body) != string(requests[0].body) || !slices.Equal(q.ids, ids) {
			t.Errorf("%s with %v, first %s", q.id, q.ids, requests[0].id)
		}
	}
	if got := w.metric("carom_webhook_requests_total", resultRefused); got != 4 {
		t.Errorf("refused %v", got)
	}
	if d := w.delivery(info); d.Failing != 0 || d.Attempts != 0 {
		t.Errorf("%+v", d)
	}
}

// A node that is stopped in the middle of a delivery sends the same batch again, although more has come meanwhile.
func TestRestartInTheMiddle(t *testing.T) {
	w := newWorld(t, testOptions())
	hold := make(chan struct{})
	r := newReceiver(t, func(w http.ResponseWriter, n int) {
		if n == 1 {
			<-hold
		}
	})
	info := w.put("crm", Draft{URL: r.server.URL})
	first := w.write(0, numbered(2)...)
	r.events(2)
	await(func() bool { return w.delivery(info).Delivered == 2 })
	second := append(w.write(1, numbered(1)...), w.write(0, numbered(3)...)...)
	await(func() bool { return len(r.requests()) == 2 })
	w.stop()
	close(hold)
	third := w.write(0, numbered(4)...)
	w.start()
	await(func() bool { return w.delivery(info).Delivered == 10 })
	var all []string
	requests := r.requests()
	again := requests[2]
	if again.id != requests[1].id || string(again.body) != string(requests[1].body) {
		t.Errorf("after the restart %s %v, before it %s %v", again.id, again.ids, requests[1].id, requests[1].ids)
	}
	for i, q := range requests {
		if i != 1 {
			all = append(all, q.ids...)
		}
	}
	want := slices.Concat(first, second, third)
	slices.Sort(all)
	slices.Sort(want)
	if !slices.Equal(all, want) {
		t.Errorf("got %v, want %v", all, want)
	}
}

// Who asks for time gets it, and holds up neither others nor the end.
func TestRetryAfterIsHeard(t *testing.T) {
	w := newWorld(t, testOptions())
	r := newReceiver(t, func(w http.ResponseWriter, _ int) {
		w.Header().Set("Retry-After", "600")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	info := w.put("crm", Draft{URL: r.server.URL})
	w.write(0, numbered(1)...)
	await(func() bool { return w.delivery(info).Again != 0 })
	if d := w.delivery(info); d.Again < event.Now().Add(5*time.Minute) || d.Status != http.StatusTooManyRequests {
		t.Errorf("%+v", d)
	}
	w.stop()
	if n := len(r.requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// What is under way is not delivered: whoever resumes from the place that is told loses nothing.
func TestUnderWay(t *testing.T) {
	w := newWorld(t, testOptions())
	hold := make(chan struct{})
	r := newReceiver(t, func(http.ResponseWriter, int) { <-hold })
	info := w.put("crm", Draft{URL: r.server.URL, Kinds: []string{"click"}})
	w.write(0, numbered(3)...)
	await(func() bool { return w.delivery(info).Next[0] == 3 })
	w.write(0, event.Refined{Kind: event.Click}, event.Refined{Kind: event.Sent})
	r.events(1)
	if d := w.delivery(info); d.Behind == 0 || d.Next[0] > 3 || d.Delivered != 0 {
		t.Errorf("%+v", d)
	}
	close(hold)
	await(func() bool { d := w.delivery(info); return d.Behind == 0 && d.Delivered == 1 })
}

// Who takes nothing for too long is paused, and goes on where he was when he is resumed; or from a cursor.
func TestPausesAndResumes(t *testing.T) {
	o := testOptions()
	o.RetryFor = 100 * time.Millisecond
	w := newWorld(t, o)
	r := newReceiver(t, always(500))
	w.put("crm", Draft{URL: r.server.URL})
	ids := w.write(0, numbered(3)...)
	info := w.awaitState("crm", Paused)
	if !strings.Contains(info.Reason, "500") || info.Since == 0 {
		t.Errorf("%+v", info)
	}
	for _, a := range w.alerts.ids(t) {
		if a.Rule != "webhook_paused" || a.Reason != info.Reason {
			t.Errorf("%+v", a)
		}
	}
	if n := len(w.alerts.ids(t)); n != 1 {
		t.Errorf("%d alerts", n)
	}
	if d := w.delivery(info); d.Failing == 0 || d.Behind != 3 || d.Attempts == 0 {
		t.Errorf("%+v", d)
	}
	tried := len(r.requests())
	r.will(nil)
	w.stop()
	w.start() // a pause outlives a restart
	w.awaitState("crm", Paused)
	if n := len(r.requests()); n != tried {
		t.Errorf("%d requests although it is paused", n-tried)
	}
	ctx := context.Background()
	_, err := w.Resume(ctx, "acme", "crm", nil)
	must(t, err)
	await(func() bool { return w.delivery(info).Delivered == 3 })
	w.awaitState("crm", Active)
	before := len(r.requests())
	_, err = w.Resume(ctx, "acme", "crm", []int64{1, 0})
	must(t, err)
	await(func() bool { return w.delivery(info).Delivered == 5 })
	if got := r.requests()[before:]; len(got) != 1 || !slices.Equal(got[0].ids, ids[1:]) {
		t.Errorf("from the cursor: %+v", got)
	}
	// That is done once only.
	w.stop()
	w.start()
	last := w.write(1, numbered(1)...)
	await(func() bool { return w.delivery(info).Delivered == 6 })
	if got := r.requests()[before+1:]; len(got) != 1 || !slices.Equal(got[0].ids, last) {
		t.Errorf("after a restart: %+v", got)
	}
	// Another pause is another alert.
	r.will(always(500))
	w.write(1, numbered(1)...)
	w.awaitState("crm", Paused)
	if n := len(w.alerts.ids(t)); n != 2 {
		t.Errorf("%d alerts of two pauses", n)
	}
	if _, err := w.Resume(ctx, "acme", "no", nil); !errors.Is(err, ErrUnknown) {
		t.Errorf("resumed what there is not: %v", err)
	}
}

// A server that answers 410 gets no more, until somebody says so: a change of the webhook is enough.
func TestGoneDisables(t *testing.T) {
	w := newWorld(t, testOptions())
	r := newReceiver(t, always(http.StatusGone))
	w.put("crm", Draft{URL: r.server.URL})
	w.write(0, numbered(1)...)
	w.awaitState("crm", Disabled)
	w.write(0, numbered(1)...)
	if n := len(r.requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
	for _, a := range w.alerts.ids(t) {
		if a.Rule != "webhook_disabled" {
			t.Errorf("%+v", a)
		}
	}
	r.will(nil)
	info := w.put("crm", Draft{URL: r.server.URL + "/new"})
	if info.State != Active {
		t.Errorf("%+v", info)
	}
	await(func() bool { return w.delivery(info).Delivered == 2 })
}

// One that does not answer holds up no other.
func TestSlowHoldsUpNobody(t *testing.T) {
	w := newWorld(t, testOptions())
	hold := make(chan struct{})
	slow := newReceiver(t, func(http.ResponseWriter, int) { <-hold })
	fast := newReceiver(t, nil)
	defer close(hold)
	w.put("slow", Draft{URL: slow.server.URL})
	w.put("fast", Draft{URL: fast.server.URL})
	var want []string
	for range 20 {
		want = append(want, w.write(0, numbered(1)...)...)
		fast.want(want)
	}
	if n := len(slow.requests()); n != 1 {
		t.Errorf("%d requests to the slow one", n)
	}
	w.stop() // and does not hold up the end
}

// Nobody is made to send to what is not public, by an address, a name, or a redirection.
func TestPrivateAddresses(t *testing.T) {
	o := testOptions()
	o.Allow = []string{"127.0.0.2/32"}
	w := newWorld(t, o)
	r := newReceiver(t, nil)
	url := strings.Replace(r.server.URL, "127.0.0.1", "localhost", 1)
	info := w.put("crm", Draft{URL: url})
	w.write(0, numbered(1)...)
	await(func() bool { return w.delivery(info).Attempts > 1 })
	if d := w.delivery(info); !strings.Contains(d.Error, "no public address") || len(r.requests()) != 0 {
		t.Errorf("%+v, %d requests", d, len(r.requests()))
	}
	if w.metric("carom_webhook_requests_total", resultForbidden) < 2 || w.metric("carom_webhook_failing_seconds", "") == 0 {
		t.Error("no metric tells of it")
	}
	_, _, err := w.Put(context.Background(), "acme", "direct", Draft{URL: r.server.URL})
	if field := new(FieldError); !errors.As(err, &field) || field.Field != "url" {
		t.Errorf("an address that is not public: %v", err)
	}
}

func TestNotRedirected(t *testing.T) {
	w := newWorld(t, testOptions())
	elsewhere := newReceiver(t, nil)
	r := newReceiver(t, func(w http.ResponseWriter, _ int) {
		w.Header().Set("Location", elsewhere.server.URL)
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	info := w.put("crm", Draft{URL: r.server.URL})
	w.write(0, numbered(1)...)
	await(func() bool { return w.delivery(info).Attempts > 1 })
	if n := len(elsewhere.requests()); n != 0 {
		t.Errorf("%d requests were redirected", n)
	}
}

// What is trimmed before it was delivered is counted.
func TestMissed(t *testing.T) {
	o := testOptions()
	w := newWorld(t, o)
	r := newReceiver(t, always(410))
	w.put("crm", Draft{URL: r.server.URL})
	ids := w.write(0, numbered(9)...)
	info := w.awaitState("crm", Disabled)
	must(t, w.logs[0].Trim(5))
	r.will(func(w http.ResponseWriter, n int) {
		if n == 1 {
			w.WriteHeader(500)
		}
	})
	_, err := w.Resume(context.Background(), "acme", "crm", []int64{0, 0})
	must(t, err)
	await(func() bool { return w.delivery(info).Delivered == 4 })
	w.write(0, numbered(1)...)
	r.events(9 + 4 + 4 + 1)
	got := r.requests()[1:]
	if len(got) != 3 || !slices.Equal(got[0].ids, ids[5:]) || got[0].missed != "5" || got[1].missed != "5" || got[2].missed != "" {
		t.Errorf("%+v", got)
	}
	if d := w.delivery(info); d.Missed != 5 {
		t.Errorf("%+v", d)
	}
}

// A day of trying is one: not the time for which the node was down, nor what a clock that was set says.
func TestDownIsNotTrying(t *testing.T) {
	o := testOptions()
	o.RetryFor = time.Hour
	w := newWorld(t, o)
	r := newReceiver(t, always(500))
	info := w.put("crm", Draft{URL: r.server.URL})
	w.write(0, numbered(1)...)
	await(func() bool { return w.delivery(info).Attempts > 1 })
	w.stop()
	at, _, err := readRow(w.store, info.ID)
	must(t, err)
	at.failing = at.failing.Add(-48 * time.Hour)
	must(t, writeRow(w.store, info.ID, &at, w.store.Commit))
	w.start()
	await(func() bool { return w.delivery(info).Attempts > at.attempts+3 })
	if info, err := w.Get("acme", "crm"); err != nil || info.State != Active {
		t.Errorf("%+v, %v", info, err)
	}
}

// Who can't be told that a webhook rests does not learn it by silence: it is tried on.
func TestUntoldIsTriedOn(t *testing.T) {
	w := newWorld(t, testOptions())
	w.alerts.will(true)
	r := newReceiver(t, always(http.StatusGone))
	w.put("crm", Draft{URL: r.server.URL})
	w.write(0, numbered(1)...)
	await(func() bool { return len(r.requests()) > 2 })
	w.alerts.will(false)
	w.awaitState("crm", Disabled)
	if n := len(w.alerts.ids(t)); n != 1 {
		t.Errorf("%d alerts", n)
	}
}

// On an empty disk a webhook begins with what nobody had copied before, however long ago that was, but not before it was
// made; of what had been copied, where trying would have ended by now.
func TestBeginsOnAnEmptyDisk(t *testing.T) {
	w := newWorld(t, testOptions())
	r := newReceiver(t, nil)
	info := w.put("crm", Draft{URL: r.server.URL})
	w.stop()
	now := event.Now()
	info.Created = now.Add(-5 * 24 * time.Hour)
	must(t, w.controls.Set(context.Background(), info.Hook.control()))
	must(t, dropRows(w.store, func(string) bool { return false }))
	w.copied = func(p int32) (int64, bool) { return []int64{3, 0}[p], true }
	w.start()
	await(func() bool { _, ok, err := w.Delivery(info.ID); must(t, err); return ok })
	var want []string
	w.writeAt(now.Add(-6*24*time.Hour), 0, numbered(1)...)
	w.writeAt(now.Add(-3*24*time.Hour), 0, numbered(2)...) // delivered by the disk before
	want = append(want, w.writeAt(now.Add(-3*24*time.Hour), 0, numbered(2)...)...)
	want = append(want, w.writeAt(now, 0, numbered(1)...)...)
	w.writeAt(now.Add(-6*24*time.Hour), 1, numbered(1)...)
	want = append(want, w.writeAt(now.Add(-2*24*time.Hour), 1, numbered(1)...)...)
	got := r.events(len(want))
	await(func() bool { return w.delivery(info).Behind == 0 })
	slices.Sort(want)
	if slices.Sort(got); !slices.Equal(got, want) || w.delivery(info).Delivered != int64(len(want)) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// What a server says and how it fails is told so that somebody can mend it, and none of it costs more than its bound.
func TestFailuresAreTold(t *testing.T) {
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	plain := newReceiver(t, nil)
	redirects := newReceiver(t, func(w http.ResponseWriter, _ int) { w.Header().Set("Location", "/"); w.WriteHeader(301) })
	headers := newReceiver(t, func(w http.ResponseWriter, _ int) { w.Header().Set("X", strings.Repeat("x", 2*maxAnswerHeader)) })
	closed := newReceiver(t, nil)
	closed.server.Close()
	w := newWorld(t, testOptions())
	w.stop()
	for _, c := range []struct{ url, result, detail string }{
		{secure.URL, resultUnreachable, "certificate signed by unknown authority"},
		{strings.Replace(plain.server.URL, "http:", "https:", 1), resultUnreachable, "HTTP response to HTTPS client"},
		{redirects.server.URL, resultRefused, "answered 301: it redirects"},
		{headers.server.URL, resultUnreachable, "response headers exceeded"},
		{closed.server.URL, resultUnreachable, "connection refused"},
		{endless.URL, resultDelivered, ""},
	} {
		b := batch{body: []byte("[]"), events: 1}
		o := w.post(t.Context(), &Hook{URL: c.url}, secrets{Secret: testSecret}, "wh_1", &b, 0)
		if o.result != c.result || !strings.Contains(o.detail, c.detail) || strings.Contains(o.detail, "Post ") {
			t.Errorf("%s: %+v", c.url, o)
		}
	}
}

// One account leaves room for others.
func TestRoomOfAnAccount(t *testing.T) {
	o := testOptions()
	o.PerAccount = 2
	w := newWorld(t, o)
	draft := Draft{URL: "https://hooks.example.com/", Secret: testSecret}
	for _, name := range []string{"a", "b", "a"} {
		w.put(name, draft)
	}
	if _, _, err := w.Put(t.Context(), "acme", "c", draft); !errors.Is(err, control.ErrFull) || !strings.Contains(err.Error(), "webhooks.per_account") {
		t.Errorf("a third: %v", err)
	}
	if _, _, err := w.Put(t.Context(), "other", "c", draft); err != nil {
		t.Error(err)
	}
}

// One that was deleted is forgotten: of the same name another begins when it is made.
func TestDeleted(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, testOptions())
	r := newReceiver(t, nil)
	old := w.put("crm", Draft{URL: r.server.URL})
	w.write(0, numbered(2)...)
	r.events(2)
	must(t, w.Delete(ctx, "acme", "crm"))
	await(func() bool { _, ok, err := w.Delivery(old.ID); must(t, err); return !ok })
	w.write(0, numbered(2)...)
	now := event.Now()
	await(func() bool { return event.Now() > now })
	info := w.put("crm", Draft{URL: r.server.URL})
	if info.ID == old.ID {
		t.Error("it has the id of the one before")
	}
	last := w.write(0, numbered(1)...)
	await(func() bool { return w.delivery(info).Delivered == 1 })
	if got := r.events(3); len(got) != 3 || got[2] != last[0] {
		t.Errorf("got %v", got)
	}
	if err := w.Delete(ctx, "acme", "no"); !errors.Is(err, ErrUnknown) {
		t.Errorf("deleted what there is not: %v", err)
	}
}

// A secret that is changed signs on for a while, and no secret can be read out of the log of controls.
func TestSecrets(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t, testOptions())
	r := newReceiver(t, nil)
	info, made, err := w.Put(ctx, "acme", "crm", Draft{URL: r.server.URL})
	must(t, err)
	if _, err := parseSecret(made); err != nil {
		t.Fatalf("made %q: %v", made, err)
	}
	info, again, err := w.Put(ctx, "acme", "crm", Draft{URL: r.server.URL, Secret: testSecret})
	must(t, err)
	if again != "" || strings.Contains(info.text(), strings.TrimPrefix(testSecret, secretPrefix)) {
		t.Errorf("a secret is told: %q, %s", again, info.text())
	}
	await(func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		c := w.couriers[info.ID]
		return c != nil && c.hook.tag() == info.tag()
	})
	w.write(0, numbered(1)...)
	r.events(1)
	q := r.requests()[0]
	both := secrets{Secret: testSecret, Previous: made, Until: event.Now().Add(time.Hour)}
	want, err := both.sign(q.id, time.Unix(q.stamp, 0), q.body)
	must(t, err)
	if q.signature != want || strings.Count(want, "v1,") != 2 {
		t.Errorf("signature %q, want %q", q.signature, want)
	}
	if _, _, err := w.Put(ctx, "acme", "crm", Draft{URL: r.server.URL, Secret: "whsec_c2hvcnQ="}); err == nil {
		t.Error("a short secret is taken")
	}
}

// Webhooks of the settings are sent to as others are, from when they were seen first, and the API leaves them alone.
func TestConfigured(t *testing.T) {
	r := newReceiver(t, nil)
	o := testOptions()
	o.Hooks = []string{"acme/crm/url=" + r.server.URL, "acme/crm/secret=" + testSecret, "acme/crm/kinds=sent", "acme/crm/kinds=click"}
	w := newWorld(t, o)
	info, err := w.Get("acme", "crm")
	must(t, err)
	await(func() bool { _, ok, err := w.Delivery(info.ID); must(t, err); return ok })
	first := w.write(0, event.Refined{Kind: event.Bounce}, event.Refined{Kind: event.Click})
	r.want(first[1:])
	await(func() bool { return w.delivery(info).Delivered == 1 })
	w.stop()
	second := w.write(0, numbered(1)...)
	w.start()
	r.want([]string{first[1], second[0]})
	if _, _, err := w.Put(context.Background(), "acme", "crm", Draft{URL: r.server.URL}); !errors.Is(err, ErrConfigured) {
		t.Errorf("changed: %v", err)
	}
	w.put("zap", Draft{URL: r.server.URL})
	w.put("api", Draft{URL: r.server.URL})
	var names []string
	for after := ""; ; {
		page, next, err := w.List("acme", after, 2)
		must(t, err)
		for _, info := range page {
			names = append(names, info.Name)
		}
		if after = next; next == "" {
			break
		}
	}
	if !slices.Equal(names, []string{"api", "crm", "zap"}) {
		t.Errorf("listed %v", names)
	}
}
