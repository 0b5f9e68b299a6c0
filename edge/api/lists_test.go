package api

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"carom/pipeline/refine"
)

// register registers n messages, of two senders in turn and sent an hour after the other, and waits until they are known.
func (w *world) register(first, n int, at time.Time) {
	w.t.Helper()
	var lines strings.Builder
	for i := first; i < first+n; i++ {
		fmt.Fprintf(&lines, `{"account":"acme","sender":"s%d","sequence":"q%d","contact":"c%d","message":"m%d","recipient":"c%d@example.com","sent_at":%q}`+"\n",
			i%2, i%3, i%5, i, i%5, at.Add(time.Duration(i)*time.Hour).Format(time.RFC3339))
	}
	w.bulk("/v1/messages", lines.String()).lines(w.t)
	w.await(func() bool {
		page, err := w.server.messagesHere(refine.ListQuery{Account: "acme", Limit: maxListed})
		must(w.t, err)
		return len(page.Messages) == n
	})
}

// list reads all pages of a list.
func list[T any](w *world, path string, limit int, read func(a answer) ([]T, string)) (found []T) {
	w.t.Helper()
	for after := ""; ; {
		page, next := read(w.get(fmt.Sprintf("%s&limit=%d&after=%s", path, limit, url.QueryEscape(after))))
		if len(page) > limit {
			w.t.Fatalf("%d entries in a page of %d", len(page), limit)
		}
		if found = append(found, page...); next == "" {
			return found
		}
		after = next
	}
}

func (w *world) messagesOf(path string, limit int) []*listedMessage {
	return list(w, path, limit, func(a answer) ([]*listedMessage, string) {
		var page messagesPage
		a.ok(w.t, &page)
		return page.Messages, page.Next
	})
}

func (w *world) contactsOf(path string, limit int) []*listedContact {
	return list(w, path, limit, func(a answer) ([]*listedContact, string) {
		var page contactsPage
		a.ok(w.t, &page)
		return page.Contacts, page.Next
	})
}

// checkLists checks the lists of 20 messages that were registered from at on.
func (w *world) checkLists(at time.Time) {
	t := w.t
	t.Helper()
	for _, c := range []struct {
		query string
		want  int
	}{
		{"", 20},
		{"&sender=s1", 10},
		{"&sender=s1&sequence=q0", 3},
		{"&sender=nobody", 0},
		{"&contact=c3", 4},
		{"&status=sent", 20},
		{"&status=opened", 0},
		{"&from=" + at.Add(5*time.Hour).Format(time.RFC3339) + "&to=" + at.Add(7*time.Hour).Format(time.RFC3339), 2},
		{"&window=24h&as_of=" + at.Add(24*time.Hour).Format(time.RFC3339), 20},
		{"&window=24h&as_of=" + at.Add(30*time.Hour).Format(time.RFC3339), 14},
		{"&as_of=" + at.Add(3*time.Hour).Format(time.RFC3339), 3},
	} {
		for _, limit := range []int{3, 1000} {
			got := w.messagesOf("/v1/messages?account=acme"+c.query, limit)
			if len(got) != c.want {
				t.Errorf("%q in pages of %d: %d messages, want %d", c.query, limit, len(got), c.want)
			}
			people, counted := make(map[string]bool), 0
			for _, m := range got {
				people[m.Contact] = true
			}
			if strings.Contains(c.query, "contact=") {
				continue
			}
			contacts := w.contactsOf("/v1/contacts?account=acme"+c.query, limit)
			for _, p := range contacts {
				counted += p.Messages
				if p.Messages != p.Statuses["sent"] || p.Recipient != p.Contact+"@example.com" {
					t.Errorf("%q: contact %+v", c.query, p)
				}
			}
			if len(contacts) != len(people) || counted != c.want {
				t.Errorf("%q in pages of %d: %d contacts with %d messages, want %d with %d", c.query, limit, len(contacts), counted, len(people), c.want)
			}
		}
	}
}

// The lists of messages and of their contacts, by what is asked for, as pages, JSON lines and CSV.
func TestLists(t *testing.T) {
	w := newWorld(t, nil)
	at := testNow.Add(-48 * time.Hour)
	w.register(0, 20, at)
	w.checkLists(at)

	m := w.messagesOf("/v1/messages?account=acme&sender=s0", 100)
	if !slices.IsSortedFunc(m, func(a, b *listedMessage) int { return strings.Compare(a.SentAt, b.SentAt) }) || m[0].Message != "m0" ||
		m[0].SentAt != at.Format(timeLayout) || !m[0].Registered {
		t.Errorf("messages %+v", m[0])
	}
	rows, err := csv.NewReader(strings.NewReader(string(w.do("GET", "/v1/messages?account=acme", "", "Accept", "text/csv").body))).ReadAll()
	if err != nil || len(rows) != 21 || rows[0][0] != "message" || len(rows[1]) != len(messageColumns) {
		t.Errorf("%v: %d rows", err, len(rows))
	}
	rows, err = csv.NewReader(strings.NewReader(string(w.do("GET", "/v1/contacts?account=acme&limit=3", "", "Accept", "text/csv").body))).ReadAll()
	if err != nil || len(rows) != 4 || rows[0][0] != "contact" || rows[1][3] != "4" {
		t.Errorf("%v: rows %v", err, rows)
	}
	if lines := w.do("GET", "/v1/messages?account=acme&sender=s1", "", "Accept", linesType).lines(t); len(lines) != 10 || lines[0]["message"] != "m1" {
		t.Errorf("lines %v", lines)
	}
	w.post("/v1/events", `{"kind":"dropped","account":"acme","message":"m4"}`)
	w.await(func() bool { return len(w.messagesOf("/v1/messages?account=acme&status=dropped", 10)) == 1 })
	if got := w.contactsOf("/v1/contacts?account=acme&status=dropped", 10); len(got) != 1 || got[0].Contact != "c4" {
		t.Errorf("contacts %+v", got)
	}
	for query, field := range map[string]string{
		"status=unheard": "status", "after=x": "after", "limit=0": "limit", "limit=1001": "limit", "window=1h": "window", "colour=red": "colour",
		"window=7d&from=2026-11-21T00:00:00Z": "window", "from=2026-11-21T00:00:00Z&to=2026-11-20T00:00:00Z": "to", "from=now": "from",
	} {
		for _, path := range []string{"/v1/messages?", "/v1/contacts?"} {
			if p := w.get(path+query).problem(t, 400); p.Field != field {
				t.Errorf("%s%s: field %q, want %q", path, query, p.Field, field)
			}
		}
	}
	w.get("/v1/contacts?contact=c1").problem(t, 400)
	w.get("/v1/peer/messages").problem(t, 404)
}

// Every node of a cluster lists what all of them have.
func TestListsAreGathered(t *testing.T) {
	f := newFleet(t, 2, 2, func(_ int, _ *Options, d *Dependencies) { d.Cluster.Refiners = []int{0, 1} })
	at := testNow.Add(-48 * time.Hour)
	f.workers[0].register(0, 9, at)
	f.workers[1].register(9, 11, at)
	f.front.checkLists(at)
	f.workers[1].checkLists(at)
	if p := f.front.get("/v1/messages?after=00").problem(t, 400); p.Field != "after" {
		t.Errorf("problem %+v", p)
	}
	f.doors[0].do(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	f.front.get("/v1/messages?account=acme").problem(t, 503)
	f.front.get("/v1/contacts?account=acme").problem(t, 503)
}
