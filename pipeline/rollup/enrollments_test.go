package rollup

import (
	"encoding/json"
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
		if !asQueryError(err, &told) || told.Field != strings.TrimSpace(field) {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

func asQueryError(err error, into **QueryError) bool {
	e, ok := err.(*QueryError)
	*into = e
	return ok
}
