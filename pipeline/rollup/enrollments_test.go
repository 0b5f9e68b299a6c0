package rollup

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"carom/pipeline/event"
	"carom/pipeline/score"
)

// countOf returns a count by its name.
func countOf(t testing.TB, c *score.Counts, name string) int64 {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var counts map[string]int64
	if err := json.Unmarshal(text, &counts); err != nil {
		t.Fatal(err)
	}
	n, ok := counts[name]
	if !ok {
		t.Fatalf("no count %q in %s", name, text)
	}
	return n
}

// list reads all pages.
func (f *fixture) list(q EnrollmentsQuery, scan int) (all []Enrollment) {
	f.t.Helper()
	for pages := 0; ; pages++ {
		page, next, err := f.p.enrollmentsPage(q, scan)
		if err != nil {
			f.t.Fatal(err)
		}
		all = append(all, page...)
		if next == "" {
			return all
		}
		if pages > 10_000 {
			f.t.Fatal("the pages don't end")
		}
		q.After = next
	}
}

// compareOpened opens every count of a score that the model has just computed: the list is as long as the count says, and
// names those that the model counts.
func compareOpened(t *testing.T, rng *rand.Rand, f *fixture, m *model, q Query, s *Score) {
	t.Helper()
	for _, name := range CountNames() {
		eq := EnrollmentsQuery{Query: q, Count: name, Limit: 1 + rng.IntN(10)}
		all := f.list(eq, 1+rng.IntN(20))
		if want := countOf(t, &s.Counts, name); int64(len(all)) != want {
			t.Fatalf("%+v: %s: a list of %d, the score says %d", q, name, len(all), want)
		}
		seen := make(map[modelEnrollment]bool)
		categories := make(map[string]int)
		for _, e := range all {
			who := modelEnrollment{e.Sender, e.Sequence, e.Contact, e.Message}
			if e.Sequence == "" && e.Message != "" {
				who.contact = ""
			}
			want, counted := m.counted[who]
			if !counted || seen[who] || countOf(t, &want.counts, name) != 1 || !slices.Contains(e.Counts, name) {
				t.Fatalf("%+v: %s: lists %+v, of which the model says %+v", q, name, e, want)
			}
			seen[who] = true
			if want.counts.Bounced == 0 {
				want.category = ""
			}
			if e.Category != want.category {
				t.Fatalf("%+v: category %q, want %q", e, e.Category, want.category)
			}
			categories[e.Category]++
		}
		if name == "bounced" {
			for category, want := range categories {
				eq.Category = &category
				if n := len(f.list(eq, 7)); n != want {
					t.Fatalf("%+v: %s: a list of %d, want %d", q, category, n, want)
				}
			}
		}
	}
}

// TestEnrollmentsOfErased: who is erased is counted on, and named no more.
func TestEnrollmentsOfErased(t *testing.T) {
	f := newFixture(t, Default())
	bob := []func(*event.Refined){contact("bob"), message("m-bob")}
	f.tell(
		ev(event.Sent, hour0, bob...), ev(event.Bounce, hour0+1, append(bob, hard)...),
		ev(event.Sent, hour0, append(bob, sequence("q"), message("m2"))...),
		ev(event.Sent, hour0, contact("ann"), message("m-ann")),
	)
	q := EnrollmentsQuery{Query: Query{Account: "a", Sender: "s", Window: 24 * time.Hour, AsOf: hour0 + 3*day}}
	text := func() string { return fmt.Sprintf("%+v", f.list(q, 10)) }
	if got := text(); !strings.Contains(got, "Contact:bob Message:m-bob") || !strings.Contains(got, "Sequence:q Contact:bob") {
		t.Errorf("got %s", got)
	}
	f.tell(ev(event.Erase, hour0+day, contact("bob"), func(r *event.Refined) { r.Message, r.Messages = "", []string{"m-bob"} }))
	f.tell(ev(event.Erase, hour0+day, contact("bob"), sequence("q"), func(r *event.Refined) { r.Message, r.Messages = "", []string{"m2"} }))
	if got := f.list(q, 10); len(got) != 3 || strings.Contains(text(), "bob") || !strings.Contains(text(), "Contact:ann") {
		t.Errorf("got %+v", got)
	}
	f.lacks("bob")
}

// TestEnrollmentsRefuses names what is wrong with a query.
func TestEnrollmentsRefuses(t *testing.T) {
	f := newFixture(t, Default())
	f.tell(ev(event.Sent, hour0), ev(event.Sent, hour0, message("m2")))
	good := EnrollmentsQuery{Query: Query{Account: "a", Sender: "s", Window: 24 * time.Hour, AsOf: hour0 + 3*day}, Limit: 1}
	_, next, err := f.p.Enrollments(good)
	if err != nil || next == "" {
		t.Fatalf("%q, %v", next, err)
	}
	for field, change := range map[string]func(*EnrollmentsQuery){
		"count":    func(q *EnrollmentsQuery) { q.Count = "sent" },
		"limit":    func(q *EnrollmentsQuery) { q.Limit = MaxLimit + 1 },
		"category": func(q *EnrollmentsQuery) { q.Category = ptr("nonsense") },
		"window":   func(q *EnrollmentsQuery) { q.Window = time.Minute },
		"as_of":    func(q *EnrollmentsQuery) { q.AsOf = 0 },
		"after":    func(q *EnrollmentsQuery) { q.After = "x" },
		"after ":   func(q *EnrollmentsQuery) { q.After, q.Count = next, "bounced" },
		"after  ":  func(q *EnrollmentsQuery) { q.After = cursor{sort: "sender", asOf: 1, sender: "s"}.String() },
	} {
		q := good
		change(&q)
		_, _, err := f.p.Enrollments(q)
		var told *QueryError
		if !errors.As(err, &told) || told.Field != strings.TrimSpace(field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

// TestCauses: parts add up to the sender, and each costs what the score would be without it, less what it is.
func TestCauses(t *testing.T) {
	f := newFixture(t, Default())
	var events []event.Refined
	for i := range 400 {
		of := func(r *event.Refined) {
			r.Message, r.Contact = fmt.Sprint("m", i), fmt.Sprint("c", i)
			r.Sequence = []string{"good", "bad"}[i%2]
		}
		sent := ev(event.Sent, hour0, of)
		sent.Provider = []string{"google", "yahoo", "", "example.com"}[i%4]
		events = append(events, sent)
		if i%40 == 1 {
			b := ev(event.Bounce, hour0+1, of)
			b.Bounce.Category = []string{"blocked", "mailbox_full"}[i/40%2]
			events = append(events, b)
		}
		if i%20 == 0 {
			events = append(events, ev(event.Reply, hour0+1, of))
		}
	}
	f.tell(events...)
	q := Query{Account: "a", Sender: "s", Window: 24 * time.Hour, AsOf: hour0 + 3*day}
	trend, err := f.p.Trend(q)
	if err != nil {
		t.Fatal(err)
	}
	now := trend.Now
	providers, err := f.p.Providers(q)
	if err != nil {
		t.Fatal(err)
	}
	var completed, bounced int64
	for _, p := range providers {
		completed += p.Completed
		bounced += p.Score.Bounced
	}
	if len(providers) != 4 || completed != 400 || bounced != now.Bounced || bounced != 10 {
		t.Errorf("%d providers with %d completed and %d bounced; the sender has %d, %d", len(providers), completed, bounced, now.Completed, now.Bounced)
	}
	scorer, err := score.New(score.Default())
	if err != nil {
		t.Fatal(err)
	}
	// All bounces are at yahoo, of the sequence bad, half of them blocked; all replies at google, of the sequence good.
	for _, want := range []struct {
		kind, name string
		without    score.Counts
	}{
		{"provider", "yahoo", score.Counts{Completed: 300, Replied: 20}},
		{"provider", "", score.Counts{Completed: 300, Replied: 20, Bounced: 10}},
		{"sequence", "bad", score.Counts{Completed: 200, Replied: 20}},
		{"category", "blocked", score.Counts{Completed: 395, Replied: 20, Bounced: 5}},
		{"category", "mailbox_full", score.Counts{Completed: 395, Replied: 20, Bounced: 5}},
	} {
		points := scorer.For("a").Score(want.without).Score.Value - now.Score.Value
		i := slices.IndexFunc(trend.Causes, func(c Cause) bool { return c.Kind == want.kind && c.Name == want.name })
		if (i >= 0) != (points > 0) || i >= 0 && trend.Causes[i].Points != points {
			t.Errorf("%s %q: want %v points, got %+v", want.kind, want.name, points, trend.Causes)
		}
	}
	if !slices.IsSortedFunc(trend.Causes, func(a, b Cause) int { return cmp.Compare(b.Points, a.Points) }) || trend.Causes[0].Name != "bad" {
		t.Errorf("got %+v", trend.Causes)
	}
	for _, c := range trend.Causes {
		if c.Kind == "provider" && c.Name == "google" {
			t.Errorf("what brings the replies costs points: %+v", c)
		}
	}
	if trend.Before.Completed != 0 || trend.Change.Completed != 400 {
		t.Errorf("got %+v", trend.Change)
	}
}

// TestSeries: days add up to the window, are closed on the right, and leave none out.
func TestSeries(t *testing.T) {
	f := newFixture(t, Default())
	f.tell(mails("a", hour0, 3, 1)...)            // completes with the end of its third day
	f.tell(mails("b", hour0+1, 5, 0)...)          // the next day
	f.tell(mails("c", hour0+2*day+hour, 7, 2)...) // two days later
	series, err := f.p.Series(Query{Account: "a", Sender: "s", Window: 168 * time.Hour, AsOf: hour0 + 6*day - hour})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range series.Days {
		got = append(got, fmt.Sprintf("%s %d/%d %d/%d", d.Day, d.SentBounced, d.Sent, d.Counts.Bounced, d.Completed))
	}
	want := []string{"2026-11-20", "2026-11-21", "2026-11-22", "2026-11-23", "2026-11-24", "2026-11-25", "2026-11-26"}
	for i, d := range series.Days {
		if d.Day != want[i] {
			t.Errorf("got %q", got)
			break
		}
	}
	for day, counts := range map[int][4]int64{0: {3, 1, 0, 0}, 1: {5, 0, 0, 0}, 3: {7, 2, 3, 1}, 4: {0, 0, 5, 0}, 6: {0, 0, 7, 2}} {
		d := series.Days[day]
		if [4]int64{d.Sent, d.SentBounced, d.Completed, d.Counts.Bounced} != counts {
			t.Errorf("%s: got %+v, want %v", d.Day, d.Counts, counts)
		}
	}
}

// TestDomainsBeyondTheBound are counted together; those of known providers are not bounded.
func TestDomainsBeyondTheBound(t *testing.T) {
	o := Default()
	o.Domains, o.StepRecords = 2, 3
	f := newFixture(t, o)
	for i, provider := range []string{"a.example", "b.example", "c.example", "google", "d.example", "b.example", "microsoft", "a.example"} {
		e := ev(event.Sent, hour0, message(fmt.Sprint("m", i)))
		e.Provider = provider
		f.tell(e)
		if i == 4 {
			f.open(o)
		}
	}
	list, err := f.p.Providers(Query{Account: "a", Sender: "s", Window: 24 * time.Hour, AsOf: hour0 + 3*day})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range list {
		got = append(got, fmt.Sprintf("%s %d", p.Provider, p.Completed))
	}
	if want := []string{"a.example 2", "b.example 2", "google 1", "microsoft 1", "other 2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
