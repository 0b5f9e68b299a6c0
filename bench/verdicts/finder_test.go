package verdicts

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"carom/bench/node"
)

// found plays hits by hand, hands the events to a finder in both orders, and returns the final verdicts.
func found(t *testing.T, hits []*hit, events []node.Event) (verdicts []string) {
	t.Helper()
	m := &message{script: &Script{Links: 3}, id: "m", hits: hits}
	for _, h := range hits {
		h.message, h.agent = m, "agent"
		if h.method == "" {
			h.method = "GET"
		}
		if h.do == "" {
			h.do = doClick
		}
		h.answered = h.at.Add(5 * time.Millisecond)
	}
	for round := range 2 {
		f := newFinder([]*message{m})
		for i := range events {
			e := events[i]
			if round == 1 {
				e = events[len(events)-1-i]
			}
			e.ID, e.Message = fmt.Sprint(e.Time.UnixMilli(), e.Client.IP), "m"
			e.Client.UserAgent = "agent"
			if e.Kind == "" {
				e.Kind = "click"
			}
			if !e.TakenBack() { // the journal knows nothing of that
				f.early(&e)
			}
			f.final(&e)
		}
		f.judge()
		for i, h := range hits {
			if h.early != h.final {
				t.Errorf("hit %d: %q at once, %q in the end", i, h.early, h.final)
			}
			if round == 0 {
				verdicts = append(verdicts, h.final)
			} else if verdicts[i] != h.final {
				t.Errorf("hit %d: %q or %q, by the order of the events", i, verdicts[i], h.final)
			}
			h.early, h.final = "", ""
		}
	}
	return verdicts
}

func TestFinderMatchesEventsToHits(t *testing.T) {
	begin := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	at := func(seconds float64) time.Time { return begin.Add(time.Duration(seconds * float64(time.Second))) }
	a, b, six := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("198.51.100.9"), netip.MustParseAddr("2001:db8:1:2::3")
	click := func(seconds float64, address netip.Addr) *hit { return &hit{at: at(seconds), address: address} }
	event := func(seconds float64, kept, verdict string, reasons ...string) node.Event {
		var e node.Event
		e.Time = at(seconds).Add(time.Millisecond).Truncate(time.Millisecond)
		if kept != "" {
			e.Client.IP = netip.MustParseAddr(kept)
		}
		e.Actor.Verdict, e.Actor.Reasons = verdict, reasons
		return e
	}
	tests := []struct {
		name   string
		hits   []*hit
		events []node.Event
		want   []string
	}{
		{"a hit each", []*hit{click(0, a), click(20, a)}, []node.Event{event(0, "192.0.2.0", "human"), event(20, "192.0.2.0", "scanner")}, []string{"human", "scanner"}},
		{"a repeat", []*hit{click(0, a), click(3, a)}, []node.Event{event(0, "192.0.2.0", "human")}, []string{"human", "human"}},
		{"a repeat that was taken back", []*hit{click(0, a), click(3, a)}, []node.Event{event(0, "192.0.2.0", "human"), event(3, "192.0.2.0", "unknown", "repeat")}, []string{"human", "human"}},
		{"no repeat, too late", []*hit{click(0, a), click(10.5, a)}, []node.Event{event(0, "192.0.2.0", "scanner")}, []string{"scanner", ""}},
		{"the earlier one is lost: the later one does not speak for it", []*hit{click(0, a), click(8, a)}, []node.Event{event(8, "192.0.2.0", "scanner")}, []string{"", "scanner"}},
		{"another address's is lost", []*hit{click(0, a), click(3, b)}, []node.Event{event(0, "192.0.2.0", "scanner")}, []string{"scanner", ""}},
		{"another address's is lost, no addresses kept", []*hit{click(0, a), click(3, b)}, []node.Event{event(0, "", "scanner")}, []string{"scanner", ""}},
		{"two addresses at once", []*hit{click(0, a), click(0.001, b)}, []node.Event{event(0.001, "192.0.2.0", "human"), event(0, "198.51.100.0", "scanner")}, []string{"human", "scanner"}},
		{"an event speaks for one", []*hit{click(0, a), click(0.1, b), click(0.2, a)}, []node.Event{event(0.1, "", "scanner")}, []string{"", "scanner", ""}},
		{"IPv6", []*hit{click(0, six)}, []node.Event{event(0, "2001:db8:1::", "human")}, []string{"human"}},
		{"whole addresses", []*hit{click(0, six)}, []node.Event{event(0, "2001:db8:1:2::3", "human")}, []string{"human"}},
		{"a foreign address", []*hit{click(0, six)}, []node.Event{event(0, "2001:db8:2::", "human")}, []string{""}},
		{
			"HEAD, GET, and the GET again",
			[]*hit{{at: at(0), address: a}, {at: at(1), address: a, method: "HEAD"}, {at: at(2), address: a}},
			[]node.Event{event(0, "192.0.2.0", "human"), event(1, "192.0.2.0", "scanner")},
			[]string{"human", "scanner", "human"},
		},
		{"an open is no click", []*hit{{at: at(0), address: a, do: doOpen}}, []node.Event{event(0, "192.0.2.0", "human")}, []string{""}},
	}
	for _, tt := range tests {
		got := found(t, tt.hits, tt.events)
		for i, want := range tt.want {
			if got[i] != want {
				t.Errorf("%s: hit %d: got %q, want %q", tt.name, i, got[i], want)
			}
		}
	}
}
