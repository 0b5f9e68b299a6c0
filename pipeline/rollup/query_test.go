package rollup

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"carom/pipeline/event"
)

func TestScoreObject(t *testing.T) {
	f := newFixture(t, Default())
	for i := range 100 {
		m := message(fmt.Sprint("m", i))
		f.tell(ev(event.Sent, hour0, sequence("q4"), contact(fmt.Sprint("c", i)), m))
		if i < 3 {
			f.tell(ev(event.Bounce, hour0+1, hard, sequence("q4"), contact(fmt.Sprint("c", i)), m))
		}
	}
	got, err := json.MarshalIndent(f.ask(Query{
		Account: "a", Sender: "s", Sequence: ptr("q4"), Window: 7 * 24 * time.Hour, AsOf: hour0 + 3*day + 120,
	}), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
 "account": "a",
 "sender": "s",
 "sequence": "q4",
 "window": "7d",
 "completed": 100,
 "replied": 0,
 "bounced": 3,
 "bounced_hard": 3,
 "complained": 0,
 "unsubscribed": 0,
 "opened": 0,
 "clicked": 0,
 "clicked_delivered": 0,
 "machine_opened": 0,
 "machine_clicked": 0,
 "opens": 0,
 "clicks": 0,
 "machine_opens": 0,
 "machine_clicks": 0,
 "anonymous_opened": 0,
 "recent": {
  "hour": {
   "sent": 0,
   "bounced": 0
  },
  "day": {
   "sent": 0,
   "bounced": 0
  }
 },
 "reply_rate": {
  "value": 0,
  "low": 0,
  "high": 0.03809404252594769
 },
 "bounce_rate": {
  "value": 0.03,
  "low": 0.010254524024038923,
  "high": 0.0845193642905276
 },`
	if !strings.HasPrefix(string(got), want) {
		t.Errorf("got %s\nwant %s", got, want)
	}
	for _, part := range []string{
		`"complaint_rate": {`, `"unsubscribe_rate": {`, `"open_rate": {`, `"click_rate": {`, `"band": "poor"`,
		"\n \"sufficient\": true,\n \"profile\": \"default\",\n \"as_of\": \"2026-11-24T00:00:00.120Z\"\n}",
	} {
		if !strings.Contains(string(got), part) {
			t.Errorf("%s\nlacks %s", got, part)
		}
	}
	var back Score
	if err := json.Unmarshal(got, &back); err != nil || back.AsOf != Stamp(hour0+3*day+120) || back.Bounced != 3 {
		t.Errorf("read back: %+v, %v", back, err)
	}
}

func TestUnknownSender(t *testing.T) {
	f := newFixture(t, Default())
	f.tell(ev(event.Sent, hour0), ev(event.Delay, hour0, sender("delayed")))
	for _, tt := range []struct {
		q    Query
		want bool
	}{
		{Query{Account: "a", Sender: "s"}, true},
		{Query{Account: "a", Sender: "s", Sequence: ptr("")}, true},
		{Query{Account: "a", Sender: "s", Sequence: ptr("q")}, false},
		{Query{Account: "a", Sender: "delayed"}, true},
		{Query{Account: "a", Sender: ""}, false},
		{Query{Account: "a", Sender: "s2"}, false},
		{Query{Account: "b", Sender: "s"}, false},
		{Query{Account: "as", Sender: ""}, false},
	} {
		tt.q.Window, tt.q.AsOf = 24*time.Hour, hour0
		got := f.ask(tt.q)
		if got.Known != tt.want || got.Sufficient {
			t.Errorf("%+v: known %v, want %v", tt.q, got.Known, tt.want)
		}
	}
}

func TestWindowNames(t *testing.T) {
	f := newFixture(t, Default())
	for window, want := range map[time.Duration]string{
		24 * time.Hour: "24h", 7 * 24 * time.Hour: "7d", 30 * 24 * time.Hour: "30d", time.Hour: "1h", 25 * time.Hour: "25h", 48 * time.Hour: "2d",
	} {
		if got := f.ask(Query{Window: window, AsOf: hour0}).Window; got != want {
			t.Errorf("%v: got %s, want %s", window, got, want)
		}
	}
}

func TestBadQueries(t *testing.T) {
	f := newFixture(t, Default())
	score := func(window time.Duration, asOf event.Millis) func() error {
		return func() error { _, err := f.p.Score(Query{Window: window, AsOf: asOf}); return err }
	}
	senders := func(change func(*SendersQuery)) func() error {
		return func() error {
			q := SendersQuery{Window: time.Hour, AsOf: hour0}
			change(&q)
			_, _, err := f.p.Senders(q)
			return err
		}
	}
	good := cursor{sort: "score", asOf: hour0, sender: "s"}.String()
	for _, tt := range []struct {
		field string
		ask   func() error
	}{
		{"window", score(0, hour0)},
		{"window", score(-time.Hour, hour0)},
		{"window", score(90*time.Minute, hour0)},
		{"window", score(31*24*time.Hour, hour0)},
		{"as_of", score(time.Hour, 0)},
		{"as_of", score(time.Hour, -1)},
		{"window", func() error { _, _, err := f.p.Sequences(SequencesQuery{Query: Query{AsOf: hour0}}); return err }},
		{"window", senders(func(q *SendersQuery) { q.Window = 1 })},
		{"as_of", senders(func(q *SendersQuery) { q.AsOf = 0 })},
		{"limit", senders(func(q *SendersQuery) { q.Limit = -1 })},
		{"limit", senders(func(q *SendersQuery) { q.Limit = MaxLimit + 1 })},
		{"sort", senders(func(q *SendersQuery) { q.Sort = "size" })},
		{"sort", senders(func(q *SendersQuery) { q.Sort = "--score" })},
		{"after", senders(func(q *SendersQuery) { q.After = "?" })},
		{"after", senders(func(q *SendersQuery) { q.After = "AAAA" })},
		{"after", senders(func(q *SendersQuery) { q.After = good })},
		{"after", senders(func(q *SendersQuery) { q.After, q.Sort = good, "-score" })},
		{"after", senders(func(q *SendersQuery) { q.After, q.Sort = good[:8], "score" })},
		{"after", senders(func(q *SendersQuery) { q.After, q.Sort = strings.Repeat("A", maxCursor+1), "score" })},
	} {
		var q *QueryError
		if err := tt.ask(); !errors.As(err, &q) || q.Field != tt.field {
			t.Errorf("%s: got %v", tt.field, err)
		}
	}
	if err := senders(func(q *SendersQuery) { q.After, q.Sort = good, "score" })(); err != nil {
		t.Errorf("the good cursor: %v", err)
	}
}

// TestTimesAtTheEnds of what there is: nothing fails, nothing wraps around.
func TestTimesAtTheEnds(t *testing.T) {
	f := newFixture(t, Default())
	f.tell(ev(event.Sent, -1<<40), ev(event.Sent, 0, message("m2")), ev(event.Completed, 253402300799999, message("m3")))
	for _, asOf := range []event.Millis{1, minute, 72 * hour, 253402300799999, math.MaxInt64} {
		f.ask(Query{Account: "a", Sender: "s", Window: maxWindow, AsOf: asOf})
	}
	if got := f.score(72 * hour).Completed; got != 1 {
		t.Errorf("of 1970: got %d completed, want 1", got)
	}
	if got := f.score(253402300799999).Completed; got != 1 {
		t.Errorf("of 9999: got %d completed, want 1", got)
	}
}

// TestSpans: every minute of a span lies in one of the hours that it touches, and no other does.
func TestSpans(t *testing.T) {
	for from := int64(0); from < 200; from++ {
		for to := from + 1; to < 260; to++ {
			s := span{from, to}
			var got []int64
			first, last := s.hours()
			for hour := first; hour <= last; hour++ {
				begin, end := s.within(hour)
				if begin >= end {
					t.Fatalf("(%d, %d] does not touch hour %d", from, to, hour)
				}
				for in := begin; in < end; in++ {
					m := (int64(hour)-1)*60 + int64(in) + 1
					if h, i := hourOf(uint32(m)); h != hour || i != in {
						t.Fatalf("minute %d is %d of hour %d, want %d of %d", m, i, h, in, hour)
					}
					got = append(got, m)
				}
			}
			if len(got) != int(to-from) || got[0] != from+1 || got[len(got)-1] != to || !slices.IsSorted(got) {
				t.Fatalf("(%d, %d] has the minutes %d", from, to, got)
			}
		}
	}
}

// sendersFixture has senders s00 to s29, of which every one completed its number modulo 7 enrollments, and bounced one.
func sendersFixture(t *testing.T) *fixture {
	f := newFixture(t, Default())
	var events []event.Refined
	for i := range 30 {
		from := sender(fmt.Sprintf("s%02d", i))
		events = append(events, ev(event.Delay, hour0, from))
		for j := range i % 7 {
			m := message(fmt.Sprintf("m%d-%d", i, j))
			events = append(events, ev(event.Completed, hour0, from, m))
			if j == 0 {
				events = append(events, ev(event.Bounce, hour0, from, m))
			}
		}
	}
	f.tell(append(events, ev(event.Completed, hour0, func(r *event.Refined) { r.Account = "a2" }), ev(event.Completed, hour0, func(r *event.Refined) { r.Account = "" }))...)
	return f
}

func TestSenders(t *testing.T) {
	f := sendersFixture(t)
	value := func(key string, s *Score) float64 {
		if key == bySender {
			return 0
		}
		return sortValues[key](s)
	}
	for _, key := range SortKeys() {
		for _, order := range []string{"", "-"} {
			for _, limit := range []int{0, 1, 4, 29, 30, 31} {
				var all []Score
				q := SendersQuery{Account: "a", Window: time.Hour, AsOf: hour0, Sort: order + key, Limit: limit}
				for pages := 0; ; pages++ {
					page, next, err := f.p.Senders(q)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, page...)
					if next == "" {
						break
					}
					if limit > 0 && len(page) != limit || pages > 30 {
						t.Fatalf("%+v: page %d has %d senders", q, pages, len(page))
					}
					q.After = next
					q.AsOf = hour0 + day // the cursor knows better
				}
				if len(all) != 30 {
					t.Fatalf("%+v: got %d senders, want 30", q, len(all))
				}
				sorted := slices.IsSortedFunc(all, func(a, b Score) int {
					c := int(math.Copysign(1, value(key, &a)-value(key, &b)))
					if value(key, &a) == value(key, &b) {
						c = 0
					}
					if c == 0 && key == bySender {
						c = strings.Compare(a.Sender, b.Sender)
					}
					if order == "-" {
						c = -c
					}
					if c == 0 {
						c = strings.Compare(a.Sender, b.Sender)
					}
					return c
				})
				if !sorted {
					t.Errorf("%+v: out of order", q)
				}
				for _, s := range all {
					want := f.ask(Query{Account: "a", Sender: s.Sender, Window: time.Hour, AsOf: hour0})
					if fmt.Sprint(s) != fmt.Sprint(want) {
						t.Fatalf("%+v: got %+v\nwant %+v", q, s, want)
					}
				}
			}
		}
	}
	page, next, err := f.p.Senders(SendersQuery{Account: "nobody", Window: time.Hour, AsOf: hour0})
	if len(page) != 0 || next != "" || err != nil || page == nil {
		t.Errorf("an account without senders: got %v, %q, %v", page, next, err)
	}
}

func TestSequencesOfNobody(t *testing.T) {
	f := sendersFixture(t)
	got, next, err := f.p.Sequences(SequencesQuery{Query: Query{Account: "a", Sender: "nobody", Window: time.Hour, AsOf: hour0}})
	if len(got) != 0 || got == nil || next != "" || err != nil {
		t.Errorf("got %v, %q, %v", got, next, err)
	}
}

// TestTooManySenders and sequences: nothing reads without end, and by name every one is still found.
func TestTooManySenders(t *testing.T) {
	f := newFixture(t, Default())
	names := make([]scope, maxSorted+1)
	for i := range names {
		names[i] = scope{"a", fmt.Sprintf("s%05d", i), "q"}
	}
	sequences := make([]scope, maxSequences+1)
	for i := range sequences {
		sequences[i] = scope{"a2", "s", fmt.Sprintf("q%05d", i)}
	}
	b := f.store.NewBatch()
	for _, some := range [][]scope{names, sequences} {
		if err := f.p.writeNames(some, b); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.store.Commit(b); err != nil {
		t.Fatal(err)
	}
	var q *QueryError
	if _, _, err := f.p.Senders(SendersQuery{Account: "a", Window: time.Hour, AsOf: hour0, Sort: "score"}); !errors.As(err, &q) || q.Field != "sort" {
		t.Errorf("sorted by score: %v", err)
	}
	of := SequencesQuery{Query: Query{Account: "a2", Sender: "s", Window: time.Hour, AsOf: hour0}}
	for n := 0; ; {
		page, next, err := f.p.Sequences(of)
		if n += len(page); err != nil || len(page) > MaxLimit {
			t.Fatalf("%d sequences: %v", len(page), err)
		}
		if of.After = next; next == "" {
			if n != len(sequences) {
				t.Errorf("%d sequences on all pages, want %d", n, len(sequences))
			}
			break
		}
	}
	page, next, err := f.p.Senders(SendersQuery{Account: "a", Window: time.Hour, AsOf: hour0, Sort: "-sender", Limit: 1})
	if err != nil || len(page) != 1 || page[0].Sender != names[maxSorted].sender || next == "" {
		t.Errorf("by name: got %+v, %q, %v", page, next, err)
	}
}
