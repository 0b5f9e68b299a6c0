package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// Events are paged, filtered and followed; no way of reading them loses or repeats one.
func TestContractEvents(t *testing.T) {
	t.Parallel()
	testEvents(t, newWorld(t))
}

func testEvents(t *testing.T, w *world) {
	t.Helper()
	alice, bob := w.set("alice", 6), w.set("bob", 6)
	for i := range alice {
		w.open(alice[i], person)
		w.click(bob[i], 0, curl)
		w.bounce(bob[i], fullMailbox(bob[i].recipient))
	}
	w.checkEvents(t)
	all := w.told(nil, 10_000)
	w.checkPages(t, all)
	w.checkFilters(t, all, alice[0])
	w.checkTail(t, all)
	w.checkSecrets(t)
}

func (w *world) checkPages(t *testing.T, all []toldEvent) {
	t.Helper()
	for _, limit := range []int{1, 7, len(all)} {
		if got := w.told(nil, limit); !w.same(got, all) {
			t.Errorf("in pages of %d: %d events, want the same %d in the same order", limit, len(got), len(all))
		}
	}
	for i, e := range all {
		if rest := w.told(url.Values{"after": {e.Cursor}}, 1000); !w.same(rest, all[i+1:]) {
			t.Fatalf("after event %d: %d events, want the %d that follow", i, len(rest), len(all)-i-1)
		}
	}
	for _, query := range []string{"after=nonsense", "limit=0", "limit=-1", "limit=many", "kind=sneeze"} {
		answer, problem, err := call(http.MethodGet, "http://"+w.api+"/v1/events?"+query, nil, "", nil)
		if err != nil || answer.StatusCode/100 != 4 || answer.Header.Get("Content-Type") != "application/problem+json" || !json.Valid(problem) {
			t.Errorf("events?%s: %v, %v, %s", query, answer, err, problem)
		}
	}
}

func (w *world) checkFilters(t *testing.T, all []toldEvent, l *letter) {
	t.Helper()
	for _, f := range []struct {
		query url.Values
		is    func(e toldEvent) bool
	}{
		{url.Values{"kind": {"bounce"}}, func(e toldEvent) bool { return e.Kind == "bounce" }},
		{url.Values{"kind": {"reply"}}, func(toldEvent) bool { return false }},
		{url.Values{"sender": {"bob"}}, func(e toldEvent) bool { return e.Sender == "bob" }},
		{url.Values{"sender": {"bob"}, "kind": {"click"}}, func(e toldEvent) bool { return e.Sender == "bob" && e.Kind == "click" }},
		{url.Values{"message": {l.name}}, func(e toldEvent) bool { return e.Message == l.name }},
		{url.Values{"message": {"<" + l.name + ">"}, "kind": {"sent"}}, func(e toldEvent) bool { return e.Message == l.name && e.Kind == "sent" }},
	} {
		var want []toldEvent
		for _, e := range all {
			if f.is(e) {
				want = append(want, e)
			}
		}
		if got := w.told(f.query, 2); !w.same(got, want) {
			t.Errorf("%v selects %d events, want %d", f.query, len(got), len(want))
		}
	}
}

// follower is a client of the live tail.
type follower struct {
	t      *testing.T
	lines  *bufio.Scanner
	cancel context.CancelFunc
}

func (w *world) follow(t *testing.T, query, last string) *follower {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitBound)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.api+"/v1/events"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "text/event-stream")
	if last != "" {
		request.Header.Set("Last-Event-ID", last)
	}
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); answer.Body.Close() })
	if answer.StatusCode != http.StatusOK || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("live tail: %v", answer)
	}
	return &follower{t, bufio.NewScanner(answer.Body), cancel}
}

// take reads the next n events.
func (f *follower) take(n int) (events []toldEvent) {
	f.t.Helper()
	for range n {
		e, id := f.next()
		if id != e.Cursor {
			f.t.Errorf("an event has the cursor %s, and the id %s in the stream", e.Cursor, id)
		}
		events = append(events, e)
	}
	return events
}

// next is the next event and its id in the stream.
func (f *follower) next() (e toldEvent, id string) {
	f.t.Helper()
	for f.lines.Scan() {
		switch field, value, _ := strings.Cut(f.lines.Text(), ":"); field {
		case "id":
			id = strings.TrimPrefix(value, " ")
		case "data":
			if err := json.Unmarshal([]byte(value), &e); err != nil {
				f.t.Fatalf("%v: %s", err, value)
			}
			e.line = strings.TrimPrefix(value, " ") + "\n"
		case "":
			if e.ID != "" {
				return e, id
			}
		}
	}
	f.t.Fatalf("the live tail ended: %v", f.lines.Err())
	return e, id
}

func (w *world) checkTail(t *testing.T, all []toldEvent) {
	t.Helper()
	// From the start on: all there is, and then what comes.
	tail := w.follow(t, "?after="+url.QueryEscape(all[0].Cursor), "")
	if !w.same(tail.take(len(all)-1), all[1:]) {
		t.Fatal("the live tail tells other events than the pages")
	}
	live, filtered := w.follow(t, "", ""), w.follow(t, "?kind=open", "")
	late := w.set("late", 2)
	w.open(late[0], person)
	var last string
	for _, f := range []*follower{tail, live} {
		var kinds []string
		for _, e := range f.take(3) {
			last, kinds = e.Cursor, append(kinds, e.Kind+" of "+e.Sender)
		}
		if w.fleet != nil {
			slices.SortFunc(kinds, func(a, b string) int { return strings.Compare(b, a) }) // the letters are in different partitions
		}
		if want := []string{"sent of late", "sent of late", "open of late"}; !slices.Equal(kinds, want) {
			t.Errorf("the live tail tells %q, want %q", kinds, want)
		}
	}
	if e, _ := filtered.next(); e.Kind != "open" || e.Sender != "late" {
		t.Errorf("the filtered tail tells %+v", e)
	}
	live.cancel()
	w.open(late[1], person)
	resumed := w.follow(t, "", last)
	if e, _ := resumed.next(); e.Kind != "open" || e.Message != late[1].name {
		t.Errorf("the resumed tail tells %+v", e)
	}
}

// checkSecrets looks for what must not be told of letters that name nobody.
func (w *world) checkSecrets(t *testing.T) {
	t.Helper()
	w.nameless()
	w.checkEvents(t)
	for _, e := range w.told(url.Values{"sender": {"discreet"}}, 100) {
		if e.Kind != "open" && e.Kind != "click" {
			continue
		}
		if strings.Contains(e.line, "secret-") || strings.Contains(e.line, "discreet-") || e.Contact != "someone" {
			t.Errorf("tells who it was: %s", e.line)
		}
	}
	var m struct{ Status string }
	w.get("/v1/messages/discreet-0@example.org?account=acme", &m)
	if m.Status != "sent" {
		t.Errorf("an anonymous letter shows the status %s", m.Status)
	}
	w.checkScores(t, time.Now())
}
