package api

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	"carom/pipeline/event"
	"carom/pipeline/rollup"
)

func sequenceOf(s string) func(*event.Refined) { return func(r *event.Refined) { r.Sequence = s } }

// viewed is a world that has counted a few hundred mails of two senders, and a fleet that has the same.
func viewed(t *testing.T) (whole *world, f *fleet) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	f = newFleet(t, 3, 5, nil)
	one := newPartition(t, openStore(t, "state"), 0)
	whole = newWorld(t, func(_ *Options, d *Dependencies) { d.Scores = one.rollup })
	base := event.FromTime(testNow.Add(-5 * 24 * time.Hour))
	for i := range 400 {
		sender := []string{"alice", "bob"}[random.IntN(2)]
		e := sentEvent("default", sender, fmt.Sprint("m-", i), base+event.Millis(i)*60_000)
		e.Contact = fmt.Sprint("c-", i)
		sequenceOf([]string{"", "q4"}[random.IntN(2)])(&e)
		e.Provider = []string{"", "google", "yahoo", "example.com"}[random.IntN(4)]
		p := f.parts[hashOf("default/"+sender, 5)]
		p.add(t, e, base)
		one.add(t, e, base)
		if random.IntN(3) == 0 {
			e.Kind, e.ID = event.Bounce, event.ID{2, byte(i), byte(i >> 8)}
			e.Bounce.Category, e.Bounce.Hard = []string{"blocked", "invalid_recipient"}[random.IntN(2)], true
			p.add(t, e, base)
			one.add(t, e, base)
		}
	}
	one.await()
	for _, p := range f.parts {
		p.await()
	}
	return whole, f
}

// TestViewsAreAnsweredByAnyNode: what the owner of a sender answers, all nodes answer.
func TestViewsAreAnsweredByAnyNode(t *testing.T) {
	whole, f := viewed(t)
	for _, path := range []string{
		"/providers", "/providers?window=30d", "/series", "/series?window=7d&provider=google", "/series?without=sequence", "/trend",
		"/enrollments", "/enrollments?count=bounced&limit=5", "/enrollments?count=bounced&category=blocked&provider=yahoo&sequence=q4",
		"/score?provider=google", "/score?without=provider", "/enrollments?count=nonsense", "/enrollments?after=x",
	} {
		for _, sender := range []string{"alice", "bob", "nobody"} {
			want := whole.get("/v1/senders/" + sender + path)
			for _, node := range f.all() {
				same(t, node.get("/v1/senders/"+sender+path), want)
			}
			for _, accept := range []string{"text/csv", "application/x-ndjson"} {
				if !strings.HasPrefix(path, "/enrollments") && !strings.HasPrefix(path, "/series") {
					continue
				}
				want := whole.do("GET", "/v1/senders/"+sender+path, "", "Accept", accept)
				for _, node := range f.all() {
					same(t, node.do("GET", "/v1/senders/"+sender+path, "", "Accept", accept), want)
				}
			}
		}
	}
}

// TestEveryCountOpens: lists are as long as counts say, in pages, as lines and as CSV.
func TestEveryCountOpens(t *testing.T) {
	w, _ := viewed(t)
	for _, of := range []string{"", "&sequence=q4", "&provider=google", "&without=provider"} {
		var counts map[string]any
		w.get("/v1/senders/alice/score?window=7d"+of).ok(t, &counts)
		for _, name := range rollup.CountNames() {
			query := "/v1/senders/alice/enrollments?window=7d&count=" + name + of
			n := 0
			for after := ""; ; {
				var page enrollmentsPage
				w.get(query+"&limit=37&after="+url.QueryEscape(after)).ok(t, &page)
				n += len(page.Enrollments)
				if after = page.Next; after == "" {
					break
				}
			}
			if float64(n) != counts[name] {
				t.Errorf("%s: a list of %d, the score says %v", query, n, counts[name])
			}
			table, err := csv.NewReader(strings.NewReader(string(w.do("GET", query, "", "Accept", "text/csv").body))).ReadAll()
			must(t, err)
			if len(table) != n+1 || table[0][3] != "contact" || n > 0 && !strings.HasPrefix(table[1][3], "c-") {
				t.Errorf("%s: CSV of %d rows, want a header and %d", query, len(table), n)
			}
			lines := w.do("GET", query, "", "Accept", "application/x-ndjson")
			if got := strings.Count(string(lines.body), "\n"); got != n {
				t.Errorf("%s: %d lines, want %d", query, got, n)
			}
		}
	}
}

// TestProviders: complaints are a rate where they are reported only, and providers add up to the sender.
func TestProviders(t *testing.T) {
	w, _ := viewed(t)
	var list struct {
		Providers []map[string]json.RawMessage
	}
	w.get("/v1/senders/alice/providers").ok(t, &list)
	for _, p := range list.Providers {
		rate, feedback := string(p["complaint_rate"]), string(p["feedback"])
		if reports := string(p["provider"]) == `"yahoo"`; reports != (rate != "null") || reports != (feedback == "true") {
			t.Errorf("%s: %s, %s", p["provider"], rate, feedback)
		}
	}
	if len(list.Providers) != 4 || string(list.Providers[0]["provider"]) != `""` {
		t.Errorf("got %v", list.Providers)
	}
	if a := w.get("/v1/senders/nobody/providers"); !strings.Contains(string(a.body), `"providers":[]`) {
		t.Errorf("%s", a.body)
	}
	for path, field := range map[string]string{
		"/v1/senders/alice/providers?sequence=q":               "sequence",
		"/v1/senders/alice/score?sequence=q&provider=google":   "provider",
		"/v1/senders/alice/series?window=90d":                  "window",
		"/v1/senders/alice/series?without=all":                 "without",
		"/v1/senders/alice/series?without=provider&provider=x": "without",
		"/v1/senders/alice/trend?as_of=x":                      "as_of",
		"/v1/senders/alice/enrollments?count=sent":             "count",
		"/v1/senders/alice/enrollments?limit=1001":             "limit",
		"/v1/senders/alice/enrollments?category=none":          "category",
		"/v1/senders/alice/enrollments?after=x":                "after",
	} {
		if p := w.get(path).problem(t, 400); p.Field != field {
			t.Errorf("%s: %+v", path, p)
		}
	}
	if p := w.do("GET", "/v1/senders/alice/enrollments?count=sent", "", "Accept", "text/csv").problem(t, 400); p.Field != "count" {
		t.Errorf("as CSV: %+v", p)
	}
}
