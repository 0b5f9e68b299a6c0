package judge

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"carom/pipeline/bot"
	"carom/pipeline/event"
)

const (
	browser = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	start   = event.Millis(1795455903000)
)

func click(message, link string, at event.Millis, address string) Hit {
	return Hit{
		Kind: event.Click, Time: start + at, Message: message, Link: link,
		Request: event.Request{Method: "GET", IP: netip.MustParseAddr(address), UserAgent: browser, Accept: "text/html"},
	}
}

// judged returns the verdicts on hits.
func judged(t *testing.T, o Options, hits []Hit) (all []Verdict) {
	t.Helper()
	j, err := New(bot.Default(), o, func(v Verdict) error { all = append(all, v); return nil })
	if err != nil {
		t.Fatal(err)
	}
	for i := range hits {
		if err := j.Add(&hits[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if len(all) != len(hits) {
		t.Fatalf("%d verdicts on %d hits", len(all), len(hits))
	}
	return all
}

func TestHitsOfAMessageAreJudgedTogether(t *testing.T) {
	crawler := click("", "", 5, "192.0.2.9")
	crawler.Request.UserAgent = "curl/8.5.0"
	trap := click("c", "x", 9, "192.0.2.7")
	trap.Honeypot = true
	hits := []Hit{
		click("a", "1", 0, "192.0.2.1"),
		click("b", "1", 100, "192.0.2.1"), // another message: no burst
		click("a", "2", 900, "192.0.2.1"),
		crawler,
		click("b", "1", 400, "192.0.2.1"), // twice
		trap,
		click("c", "1", 8000, "192.0.2.8"),
	}
	got := judged(t, Default(), hits)
	want := []struct {
		verdict event.Verdict
		reason  string
		repeat  bool
	}{
		{event.Scanner, "burst_address", false},
		{event.Human, "", false},
		{event.Scanner, "burst_address", false},
		{event.Scanner, "agent_library", false},
		{event.Human, "", true},
		{event.Scanner, "honeypot", false},
		{event.Scanner, "honeypot_near", false},
	}
	for i, w := range want {
		if g := got[i]; g.Verdict != w.verdict || g.Repeat != w.repeat || w.reason != "" && !slices.Contains(g.Reasons, w.reason) {
			t.Errorf("hit %d: %v %v repeat %v, want %+v", i, g.Verdict, g.Reasons, g.Repeat, w)
		}
	}
}

// TestOrderOfALog: lines that are somewhat out of order get the same verdicts, and each stands where its hit does.
func TestOrderOfALog(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var hits []Hit
	for m := range 40 {
		for range 1 + random.IntN(6) {
			hits = append(hits, click(fmt.Sprint(m), fmt.Sprint(random.IntN(4)), event.Millis(m*4000+random.IntN(20_000)), "192.0.2.1"))
		}
	}
	slices.SortStableFunc(hits, func(a, b Hit) int { return int(a.Time - b.Time) })
	want := judged(t, Default(), hits)
	order := make([]int, len(hits))
	for i := range order {
		order[i] = i
	}
	for i := range order[:len(order)-3] { // as far as requests last
		k := i + random.IntN(4)
		order[i], order[k] = order[k], order[i]
	}
	shuffled := make([]Hit, len(hits))
	for i, from := range order {
		shuffled[i] = hits[from]
	}
	got := judged(t, Default(), shuffled)
	for i, from := range order {
		if got[i].Verdict != want[from].Verdict {
			t.Errorf("hit %d: %v, and %v in order", from, got[i].Verdict, want[from].Verdict)
		}
	}
}

func TestWhatWaitsIsBounded(t *testing.T) {
	o := Default()
	o.MaxWaiting = 10
	told, most := 0, 0
	j, err := New(bot.Default(), o, func(Verdict) error { told++; return nil })
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		h := click(fmt.Sprint("m", i), "1", event.Millis(i), "192.0.2.1")
		if err := j.Add(&h); err != nil {
			t.Fatal(err)
		}
		most = max(most, i+1-told)
	}
	if most > o.MaxWaiting {
		t.Errorf("%d hits waited", most)
	}
	one, err := New(bot.Default(), Default(), func(Verdict) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 * maxTogether {
		h := click("m", fmt.Sprint(i), event.Millis(i), "192.0.2.1")
		if err := one.Add(&h); err != nil {
			t.Fatal(err)
		}
		if len(one.queue) > maxTogether {
			t.Fatalf("%d hits of one message wait", len(one.queue))
		}
	}
}

func TestTheFirstErrorEndsIt(t *testing.T) {
	stop := errors.New("the reader has gone")
	j, err := New(bot.Default(), Default(), func(Verdict) error { return stop })
	if err != nil {
		t.Fatal(err)
	}
	h := click("", "1", 0, "192.0.2.1")
	if err := j.Add(&h); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

// TestBurstsAreSeenWhateverComesBetween plays many bursts of two clicks, with something between that could make the judge
// end their messages too soon.
func TestBurstsAreSeenWhateverComesBetween(t *testing.T) {
	const begin, bursts = event.Millis(1_800_000_000_000), 50
	day := event.Millis(24 * 60 * 60 * 1000)
	rules := bot.Default()
	tests := []struct {
		name    string
		between func(i int, at event.Millis) []Hit
	}{
		{"nothing", func(int, event.Millis) []Hit { return nil }},
		{"a line of the far future, at the beginning", func(i int, at event.Millis) (hits []Hit) {
			if i == 0 {
				hits = append(hits, Hit{Message: "future", Time: begin + 1000*365*day})
			}
			return hits
		}},
		{"lines of the far future and the far past, again and again", func(i int, at event.Millis) []Hit {
			if i%2 == 0 {
				return []Hit{{Message: "past", Time: 0}}
			}
			return []Hit{{Message: fmt.Sprint("future", i), Time: begin + 1000*365*day}}
		}},
		{"a message that never falls silent", func(_ int, at event.Millis) []Hit { return []Hit{{Message: "chatty", Time: at}} }},
	}
	for _, tt := range tests {
		for _, earlier := range []bool{false, true} { // than another log before it
			var got []Verdict
			o := Default()
			o.MaxWaiting = 8
			j, err := New(rules, o, func(v Verdict) error { got = append(got, v); return nil })
			if err != nil {
				t.Fatal(err)
			}
			var burst []bool
			add := func(of bool, h Hit) {
				t.Helper()
				burst = append(burst, of)
				h.Kind, h.Request = event.Click, event.Request{Method: "GET", UserAgent: browser, IP: netip.MustParseAddr("192.0.2.1")}
				if err := j.Add(&h); err != nil {
					t.Fatal(err)
				}
				if len(j.queue) > o.MaxWaiting {
					t.Fatalf("%s: %d hits wait", tt.name, len(j.queue))
				}
			}
			if earlier {
				for i := range event.Millis(5) {
					add(false, Hit{Message: fmt.Sprint("before", i), Time: begin + day + i})
				}
			}
			for i := range bursts {
				at, message := begin+event.Millis(i)*5000, fmt.Sprint("m", i)
				add(true, Hit{Message: message, Link: "a", Time: at})
				for _, h := range tt.between(i, at) {
					add(false, h)
				}
				add(true, Hit{Message: message, Link: "b", Time: at + 1000})
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			if len(got) != len(burst) {
				t.Fatalf("%s: %d verdicts on %d hits", tt.name, len(got), len(burst))
			}
			for i, of := range burst {
				if of && got[i].Verdict != event.Scanner {
					t.Errorf("%s, behind another log %v: hit %d of a burst is %v", tt.name, earlier, i, got[i].Verdict)
					break
				}
			}
		}
	}
}
