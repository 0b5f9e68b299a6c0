package burst

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"carom/pipeline/event"
)

const sent event.Millis = 1_795_262_400_000

// parseHit reads "click 10s link=1 client=2 address=3 verdict=scanner soon=60s:unknown honeypot".
func parseHit(t testing.TB, n int, text string) Hit {
	t.Helper()
	words := strings.Fields(text)
	kind, ok := event.ParseKind(words[0])
	at, err := time.ParseDuration(words[1])
	if !ok || err != nil {
		t.Fatalf("hit %q", text)
	}
	h := Hit{ID: event.ID{byte(n)}, Kind: kind, Time: sent.Add(at), Verdict: event.Human}
	for _, word := range words[2:] {
		name, value, _ := strings.Cut(word, "=")
		number, _ := strconv.ParseUint(value, 10, 64)
		switch name {
		case "link":
			h.Link = uint32(number)
		case "client":
			h.Client = number
		case "address":
			h.Address = number
		case "verdict":
			h.Verdict, _ = event.ParseVerdict(value)
		case "hint":
			h.Hints = HintsOf([]string{value})
		case "soon":
			within, verdict, _ := strings.Cut(value, ":")
			d, err := time.ParseDuration(within)
			if err != nil {
				t.Fatal(err)
			}
			h.Soon.Within = event.Millis(d.Milliseconds())
			h.Soon.Verdict, _ = event.ParseVerdict(verdict)
		case "honeypot":
			h.Honeypot = true
		default:
			t.Fatalf("hit %q: no %s", text, name)
		}
	}
	return h
}

func (v Verdict) text() string {
	out := v.Verdict.String()
	for _, reason := range v.Reasons.Append(nil) {
		out += " " + reason
	}
	if v.Repeat {
		out += " REPEAT"
	}
	if v.First {
		out += " FIRST"
	}
	return out
}

func TestRules(t *testing.T) {
	type message struct {
		Message
		options func(*Options)
	}
	late := message{Message: Message{Sent: sent - 86_400_000, Opened: sent}}
	weighed := func(threshold float64) message {
		m := late
		m.options = func(o *Options) {
			o.Weights = WeightOptions{Threshold: threshold, TwoLinks: 1, AcceptNoHTML: 2}
		}
		return m
	}
	shared := late
	shared.Shared = true
	for _, c := range []struct {
		name string
		m    message
		hits []string // and what is found, after a bar
	}{
		{"alone", late, []string{"open 1m|human FIRST", "click 2m link=1|human FIRST"}},
		{"one address, two links within 2 s", late, []string{
			"click 10s link=1 address=7|scanner burst_address", "click 12s link=2 address=7|scanner burst_address",
		}},
		{"one address, two links, a little later", late, []string{
			"click 10s link=1 address=7|human two_links FIRST", "click 12001ms link=2 address=7|human two_links",
		}},
		{"one client has one address", late, []string{
			"click 10s link=1 client=7|scanner burst_address", "click 12s link=2 client=7|scanner burst_address",
		}},
		{"two addresses", late, []string{
			"click 10s link=1 address=7|human two_links FIRST", "click 11s link=2 address=8|human two_links",
		}},
		{"no address", late, []string{
			"click 10s link=1|human two_links FIRST", "click 11s link=2|human two_links",
		}},
		{"a double click", late, []string{
			"click 10s link=1 client=7|human FIRST", "click 10100ms link=1 client=7|human REPEAT",
		}},
		{"three links within 10 s", late, []string{
			"click 10s link=1 address=1|scanner burst_links", "click 15s link=2 address=2|scanner burst_links",
			"click 20s link=3 address=3|scanner burst_links",
		}},
		{"three links within more", late, []string{
			"click 10s link=1 address=1|human two_links FIRST", "click 15s link=2 address=2|human two_links",
			"click 20001ms link=3 address=3|human",
		}},
		{"three links, one of them twice before", late, []string{
			"click 1s link=1 address=1|human FIRST", "click 9s link=1 address=1|scanner burst_links",
			"click 14s link=2 address=2|scanner burst_links", "click 19s link=3 address=3|scanner burst_links",
			"click 19500ms link=3 address=9|human", "click 30s link=4 address=4|human",
		}},
		{"machines are evidence, the sender is not", late, []string{
			"click 10s link=1 address=1 verdict=scanner|scanner", "click 12s link=2 address=2 verdict=proxy|proxy",
			"click 14s link=3 address=3|scanner burst_links", "click 40s link=1 address=4 verdict=self|self",
			"click 41s link=2 address=4 verdict=self|self", "click 42s link=3 address=4|human FIRST",
		}},
		{"opens are none", late, []string{
			"open 10s address=7|human FIRST", "open 10s address=7 client=1|human", "click 10s link=1 address=7|human FIRST",
		}},
		{"honeypot", late, []string{
			"click 1s link=1|human FIRST", "click 5s link=1 verdict=unknown|scanner honeypot_near", "open 10s|human FIRST",
			"click 14s link=9 honeypot|scanner honeypot", "click 24s link=1|scanner honeypot_near", "click 24001ms link=9|human two_links",
		}},
		{"a sender tries the honeypot", late, []string{
			"click 10s link=9 honeypot verdict=self|self", "click 13s link=1|human FIRST",
		}},
		{"a proxy in the honeypot", late, []string{"click 10s link=9 honeypot verdict=proxy|scanner honeypot"}},
		{
			"early",
			message{Message: Message{Sent: sent}},
			[]string{
				"open 29s soon=60s:unknown|unknown early early_open", "click 29s link=1 soon=60s:scanner|scanner early",
				"click 59999ms link=1 soon=60s:scanner|scanner early", "open 59999ms soon=60s:proxy client=1|proxy early",
				"open 60s soon=60s:unknown client=2|human FIRST", "click 60s link=1 verdict=unknown soon=60s:scanner|unknown",
			},
		},
		{
			"early by delivery",
			message{Message: Message{Sent: sent, Delivered: sent + 3_600_000, Opened: sent}},
			[]string{
				"click 5s link=1|human early_click FIRST", // sent, and the delivery was told late
				"click 1800s link=2|human",
				"click 3599s link=3|human early_click", // a gateway looks before it takes the mail
				"click 3629s link=4|human early_click two_links",
				"click 3630s link=3|human two_links",
			},
		},
		{"nothing is known", message{}, []string{"open 1s soon=60s:unknown|human FIRST"}},
		{
			"a machine is one at any time",
			message{Message: Message{Sent: sent}},
			[]string{"open 1s verdict=proxy soon=60s:unknown|proxy", "open 2s verdict=self soon=60s:unknown|self"},
		},
		{
			"soon is unknown, and a burst",
			message{Message: Message{Sent: sent}},
			[]string{
				"open 30s verdict=scanner|scanner",
				"click 40s link=1 address=1 soon=60s:unknown|scanner burst_address early", "click 41s link=2 address=1|scanner burst_address",
			},
		},
		{"a click before the open", message{}, []string{
			"click 9s link=1|human two_links click_without_open FIRST", "open 10s verdict=proxy|proxy", "click 10s link=2|human two_links",
		}},
		{"an open of the same time and a later id", message{}, []string{"click 9s link=1|human FIRST", "open 9s|human FIRST"}},
		{"shared", shared, []string{
			"click 10s link=1 address=1|human FIRST", "click 11s link=2 address=2|human", "click 12s link=3 address=3|human",
			"click 13s link=9 address=4 honeypot|scanner honeypot", "click 14s link=1 address=4|scanner burst_address honeypot_near",
		}},
		{"repeats by class", late, []string{
			"open 1s client=1|human FIRST", "open 2s client=1 verdict=proxy|proxy", "open 3s client=1 verdict=scanner|scanner REPEAT",
			"open 4s client=1 verdict=unknown|unknown", "open 5s client=1 verdict=self|self REPEAT", "open 6s client=1|human REPEAT",
			"open 11s client=1|human REPEAT", "open 11001ms client=1|human", "open 11002ms client=2|human",
		}},
		{"a repeat is evidence", late, []string{
			"click 1s link=1 client=1|human FIRST", "click 9s link=1 client=1|scanner burst_address",
			"click 10s link=2 client=1|scanner burst_address",
		}},
		{"weights below", weighed(3), []string{
			"click 1s link=1 hint=shared_address|human two_links FIRST", "click 6s link=2|human two_links",
		}},
		{"weights", weighed(3), []string{
			"click 1s link=1 hint=accept_no_html|scanner two_links weights", "click 6s link=2|human two_links FIRST",
			"open 7s hint=accept_no_html|human FIRST", "click 8s link=2 verdict=self hint=accept_no_html|self",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Default()
			if c.m.options != nil {
				c.m.options(&o)
			}
			var hits []Hit
			var want []string
			for i, text := range c.hits {
				hit, verdict, _ := strings.Cut(text, "|")
				hits, want = append(hits, parseHit(t, i, hit)), append(want, verdict)
			}
			for i, v := range o.Judge(c.m.Message, hits, nil) {
				if v.text() != want[i] {
					t.Errorf("%s: %s, want %s", c.hits[i], v.text(), want[i])
				}
			}
		})
	}
}

// What is fixed stays, and bears on the others.
func TestFixed(t *testing.T) {
	o := Default()
	hits := []Hit{
		parseHit(t, 0, "click 1s link=1 client=1"), parseHit(t, 1, "click 6s link=1 client=1"),
		parseHit(t, 2, "click 12s link=1 client=1"), parseHit(t, 3, "click 13s link=2 client=1"),
	}
	hits[0].Fixed, hits[0].Final = true, Verdict{Verdict: event.Scanner, Reasons: BurstLinks, First: true}
	hits[1].Fixed, hits[1].Final = true, Verdict{Verdict: event.Human, Repeat: true}
	hits[3].Fixed, hits[3].Final = true, Verdict{Verdict: event.Human}
	got := o.Judge(Message{Opened: 1}, hits, nil)
	want := []Verdict{
		{Verdict: event.Scanner, Reasons: BurstLinks},
		{Verdict: event.Human, Repeat: true},
		{Verdict: event.Scanner, Reasons: BurstAddress},
		{Verdict: event.Human, First: true},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func randomHits(rng *rand.Rand, n int) []Hit {
	hits := make([]Hit, n)
	for i := range hits {
		hits[i] = Hit{
			ID: event.ID{byte(i)}, Kind: event.Open, Time: sent + event.Millis(rng.IntN(40_000)/100*100),
			Client: rng.Uint64N(4), Address: rng.Uint64N(3), Verdict: event.Verdict(1 + rng.IntN(5)),
		}
		if rng.IntN(3) > 0 {
			hits[i].Kind, hits[i].Link, hits[i].Honeypot = event.Click, rng.Uint32N(5), rng.IntN(20) == 0
		}
		if rng.IntN(5) == 0 {
			hits[i].Soon = event.Soon{Within: 20_000, Verdict: event.Verdict(1 + rng.IntN(5))}
		}
	}
	slices.SortFunc(hits, func(a, b Hit) int { return Compare(&a, &b) })
	return hits
}

// The windows against a plain reading of the rules, which looks at every pair and every window.
func TestAgainstPlainReading(t *testing.T) {
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 1))
		o := Default()
		o.Links = 2 + rng.IntN(4)
		m := Message{Sent: sent, Shared: rng.IntN(5) == 0}
		hits := randomHits(rng, rng.IntN(30))
		for i, v := range o.Judge(m, hits, nil) {
			want := plainReading(&o, m, hits, i)
			if got := v.Reasons & (BurstAddress | BurstLinks | HoneypotNear | Honeypot); got != want {
				t.Fatalf("seed %d: hit %d of %s: %v, want %v", seed, i, describe(hits), got.Append(nil), want.Append(nil))
			}
		}
	}
}

func plainReading(o *Options, m Message, hits []Hit, i int) (want Reasons) {
	h := hits[i]
	switch {
	case h.Kind != event.Click || h.Verdict == event.Self:
		return 0
	case h.Honeypot:
		return Honeypot
	case h.Verdict.Machine(), h.Soon.Verdict.Machine() && h.Time-m.Sent < h.Soon.Within:
		return 0
	}
	distance := func(a, b event.Millis) time.Duration { return time.Duration(max(a-b, b-a)) * time.Millisecond }
	for _, other := range hits {
		if other.Kind != event.Click || other.Verdict == event.Self {
			continue
		}
		same := h.Address != 0 && h.Address == other.Address || h.Client != 0 && h.Client == other.Client
		if other.Link != h.Link && same && distance(h.Time, other.Time) <= o.AddressWindow {
			want |= BurstAddress
		}
		if other.Honeypot && distance(h.Time, other.Time) <= o.HoneypotWindow && (same || !m.Shared) {
			want |= HoneypotNear
		}
	}
	for _, begin := range hits {
		links := make(map[uint32]bool)
		end := begin.Time.Add(o.LinksWindow)
		for _, other := range hits {
			if other.Kind == event.Click && other.Verdict != event.Self && other.Time >= begin.Time && other.Time <= end {
				links[other.Link] = true
			}
		}
		if len(links) >= o.Links && h.Time >= begin.Time && h.Time <= end && !m.Shared {
			want |= BurstLinks
		}
	}
	return want
}

func describe(hits []Hit) string {
	var b strings.Builder
	for _, h := range hits {
		fmt.Fprintf(&b, "%v %d link=%d client=%d address=%d %v; ", h.Kind, h.Time-sent, h.Link, h.Client, h.Address, h.Verdict)
	}
	return b.String()
}

func TestJudgeAllocatesNothing(t *testing.T) {
	o := Default()
	hits := randomHits(rand.New(rand.NewPCG(1, 2)), 64)
	out := make([]Verdict, 0, 64)
	if n := testing.AllocsPerRun(100, func() { out = o.Judge(Message{Sent: sent}, hits, out) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestReasons(t *testing.T) {
	all := Reasons(1<<len(codes) - 1)
	list := all.Append(nil)
	if len(list) != len(codes)-2 {
		t.Errorf("%v", list)
	}
	if got := Strip(append(list, "agent", "accept_no_html")); !reflect.DeepEqual(got, []string{"agent", "accept_no_html"}) {
		t.Errorf("the request's reasons are %v", got)
	}
	if got := HintsOf(append(codes[:], "agent")); got != hints {
		t.Errorf("hints are %b", got)
	}
}

func TestValidate(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	for key, set := range map[string]func(*Options){
		"address_window":    func(o *Options) { o.AddressWindow = -1 },
		"links":             func(o *Options) { o.Links = 1 },
		"links_window":      func(o *Options) { o.LinksWindow = time.Hour },
		"honeypot_window":   func(o *Options) { o.HoneypotWindow = time.Microsecond },
		"early_open":        func(o *Options) { o.EarlyOpen = 25 * time.Hour },
		"early_click":       func(o *Options) { o.EarlyClick = -time.Second },
		"two_links_window":  func(o *Options) { o.TwoLinksWindow = time.Hour },
		"weights.threshold": func(o *Options) { o.Weights.Threshold = -1 },
		"weights.two_links": func(o *Options) { o.Weights.TwoLinks = 1001 },
	} {
		o := Default()
		set(&o)
		if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), key+": ") {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	o := Default()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 3, 64} {
		hits := randomHits(rng, n)
		out := make([]Verdict, 0, n)
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				out = o.Judge(Message{Sent: sent}, hits, out)
			}
		})
	}
}
