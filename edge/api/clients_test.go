package api

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"carom/pipeline/event"
	"carom/pipeline/journal"
	"carom/pipeline/refine"
)

// hitOf makes an open or click at a minute. Of who, "via agent address", "-" stands for what is not known.
func hitOf(kind event.Kind, minute int, v event.Verdict, who string) event.Refined {
	e := event.Refined{Kind: kind, Time: event.FromTime(testNow) + event.Millis(minute)*60_000, Actor: event.Actor{Verdict: v}}
	words := strings.Fields(who)
	for i, set := range []func(string){
		func(s string) { e.Actor.Via = s },
		func(s string) { e.Client.UserAgent = s },
		func(s string) { e.Client.IP = netip.MustParseAddr(s) },
	} {
		if words[i] != "-" {
			set(words[i])
		}
	}
	return e
}

func TestSummarise(t *testing.T) {
	const phone, desk, nobody, gmail = "- Phone 203.0.113.0", "- Desk 2001:db8::", "- - -", "gmail Proxy "
	open := func(minute int, v event.Verdict, who string) event.Refined { return hitOf(event.Open, minute, v, who) }
	click := func(minute int, v event.Verdict, who string) event.Refined { return hitOf(event.Click, minute, v, who) }
	for _, c := range []struct {
		name          string
		events        []event.Refined
		opens, clicks hitCounts
		clients       []string // "via agent ip first-last opens clicks", in minutes
	}{
		{name: "nothing"},
		{
			"other kinds",
			[]event.Refined{{Kind: event.Sent}, {Kind: event.Reply, Actor: event.Actor{Verdict: event.Human}}},
			hitCounts{},
			hitCounts{},
			nil,
		},
		{
			"opened again, and from elsewhere",
			[]event.Refined{open(1, event.Human, phone), open(2, event.Human, desk), open(3, event.Human, phone), click(4, event.Human, phone)},
			hitCounts{3, 0, 2},
			hitCounts{1, 0, 1},
			[]string{"- Phone 203.0.113.0 1-4 2 1", "- Desk 2001:db8:: 2-2 1 0"},
		},
		{
			"machines are no clients",
			[]event.Refined{open(1, event.Proxy, phone), click(1, event.Scanner, phone), click(2, event.Scanner, desk), open(3, event.Human, desk)},
			hitCounts{1, 1, 1},
			hitCounts{0, 2, 0},
			[]string{"- Desk 2001:db8:: 3-3 1 0"},
		},
		{
			"the sender's own, and what nobody knows",
			[]event.Refined{open(1, event.Self, phone), open(1, event.Unknown, phone), click(1, event.Unknown, phone)},
			hitCounts{},
			hitCounts{},
			nil,
		},
		{
			"a provider's proxy has many addresses",
			[]event.Refined{open(1, event.Human, gmail+"192.0.2.1"), open(2, event.Human, gmail+"192.0.2.9"), click(2, event.Human, phone)},
			hitCounts{2, 0, 1},
			hitCounts{1, 0, 1},
			[]string{"gmail Proxy - 1-2 2 0", "- Phone 203.0.113.0 2-2 0 1"},
		},
		{
			"an inferred open has no client, and is none beside others",
			[]event.Refined{open(1, event.Human, nobody), click(1, event.Human, phone), open(2, event.Human, phone)},
			hitCounts{2, 0, 1},
			hitCounts{1, 0, 1},
			[]string{"- Phone 203.0.113.0 1-2 1 1"},
		},
		{
			"nothing is kept",
			[]event.Refined{open(1, event.Human, nobody), open(2, event.Human, nobody), click(2, event.Human, nobody)},
			hitCounts{2, 0, 1},
			hitCounts{1, 0, 1},
			nil,
		},
		{
			"agents are kept, and no addresses",
			[]event.Refined{open(1, event.Human, "- Phone -"), open(2, event.Human, "- Desk -"), open(3, event.Human, "- Phone -")},
			hitCounts{3, 0, 2},
			hitCounts{},
			[]string{"- Phone - 1-3 2 0", "- Desk - 2-2 1 0"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := summarise(c.events)
			if got.opens != c.opens || got.clicks != c.clicks {
				t.Errorf("opens %+v, clicks %+v", got.opens, got.clicks)
			}
			clients := []string(nil)
			for _, one := range got.clients {
				or := func(s string) string {
					if s == "" {
						return "-"
					}
					return s
				}
				clients = append(clients, fmt.Sprintf("%s %s %s %s-%s %d %d", or(one.Via), or(one.UserAgent), or(one.IP),
					minuteOf(t, one.FirstSeen), minuteOf(t, one.LastSeen), one.Opens, one.Clicks))
			}
			if !reflect.DeepEqual(clients, c.clients) {
				t.Errorf("clients %q, want %q", clients, c.clients)
			}
		})
	}
}

// minuteOf returns the minute of the hour that a time is in.
func minuteOf(t *testing.T, text string) string {
	t.Helper()
	var hour, minute int
	if _, err := fmt.Sscanf(text, "2026-11-21T%d:%d:00.000Z", &hour, &minute); err != nil {
		t.Fatal(text, err)
	}
	return fmt.Sprint(minute)
}

// Many clients: the first are listed, all are counted.
func TestManyClients(t *testing.T) {
	var m refine.Message
	for i := range 50 {
		m.Events = append(m.Events, hitOf(event.Open, i, event.Human, fmt.Sprint("- Agent 192.0.2.", i)))
	}
	a := newMessageAnswer(&m)
	if len(a.Clients) != maxClients || !a.ClientsTruncated || a.Clients[31].IP != "192.0.2.31" || a.Opens != (hitCounts{50, 0, 50}) {
		t.Errorf("%d clients, %v; opens %+v", len(a.Clients), a.ClientsTruncated, a.Opens)
	}
	m.Events = m.Events[:maxClients]
	if a := newMessageAnswer(&m); len(a.Clients) != maxClients || a.ClientsTruncated {
		t.Errorf("%d clients, %v", len(a.Clients), a.ClientsTruncated)
	}
}

// What is heard of a message is shown with it.
func TestMessageShowsHits(t *testing.T) {
	w := newWorld(t, nil)
	w.post("/v1/messages", `{"sender":"alice","contact":"bob@example.com","message":"m-hits"}`).ok(t, nil)
	for i, who := range []string{"203.0.113.7", "203.0.113.7", "198.51.100.9"} {
		at := event.FromTime(testNow) + event.Millis(i)*3_600_000
		r := event.Ref{Account: "default", Sender: "alice", Contact: "bob@example.com", Message: "m-hits"}
		must(t, w.journal.Append(journal.HumanOpen, &event.Event{
			Kind: event.Open, Time: at, Key: event.KeyOf(r.Account, r.Message), KnownBy: event.ByRef, Ref: r,
			Actor:  event.Actor{Verdict: event.Human},
			Client: event.Client{IP: netip.MustParseAddr(who), UserAgent: "Agent", Hash: uint64(i) + 1},
		}))
	}
	var m struct {
		Opens, Clicks json.RawMessage
		Clients       json.RawMessage
	}
	w.await(func() bool {
		a := w.get("/v1/messages/m-hits")
		if a.StatusCode == 404 {
			return false // refine is yet to read of it
		}
		a.ok(t, &m)
		return strings.HasPrefix(string(m.Opens), `{"human":3`)
	})
	if got := string(m.Opens) + string(m.Clicks); got != `{"human":3,"machine":0,"unique":2}{"human":0,"machine":0,"unique":0}` {
		t.Error(got)
	}
	if got, want := string(m.Clients), `[{"user_agent":"Agent","ip":"203.0.113.7","first_seen":"2026-11-21T12:00:00.000Z","last_seen":"2026-11-21T13:00:00.000Z","opens":2,"clicks":0},`+
		`{"user_agent":"Agent","ip":"198.51.100.9","first_seen":"2026-11-21T14:00:00.000Z","last_seen":"2026-11-21T14:00:00.000Z","opens":1,"clicks":0}]`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// Nothing happened yet: zeros, and a list of nothing.
	w.post("/v1/messages", `{"sender":"alice","message":"m-quiet"}`).ok(t, nil)
	w.await(func() bool { return w.get("/v1/messages/m-quiet").StatusCode == 200 })
	if a := w.get("/v1/messages/m-quiet"); !strings.Contains(string(a.body), `"opens":{"human":0,"machine":0,"unique":0},"clicks":{"human":0,"machine":0,"unique":0},"clients":[],"events":[`) {
		t.Errorf("%s", a.body)
	}
}
