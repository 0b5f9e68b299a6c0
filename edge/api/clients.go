package api

import (
	"net/netip"

	"carom/pipeline/event"
)

// maxClients bounds the clients that an answer lists: those seen first.
const maxClients = 32

// hitCounts are the opens of a message, or its clicks. Those by the sender itself, or by nobody knows whom, are none of
// these.
type hitCounts struct {
	Human   int `json:"human"`
	Machine int `json:"machine"`
	// Unique is by how many clients the human ones are, as far as they can be told apart: at least 1 if there is any.
	Unique int `json:"unique"`
}

// clientAnswer is a client by which a human opened or clicked.
type clientAnswer struct {
	Via       string `json:"via,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
	IP        string `json:"ip,omitempty"`
	FirstSeen string `json:"first_seen"`
	LastSeen  string `json:"last_seen"`
	Opens     int    `json:"opens"`
	Clicks    int    `json:"clicks"`
}

// clientKey is what tells clients apart: what an event shows. The hash that refine compares clients by is no help, because
// it is another one every day, and so are the addresses of a provider's proxy, which says nothing of who is behind it.
type clientKey struct {
	via, agent string
	ip         netip.Addr
}

func clientOf(e *event.Refined) clientKey {
	k := clientKey{e.Actor.Via, e.Client.UserAgent, e.Client.IP}
	if k.via != "" {
		k.ip = netip.Addr{}
	}
	return k
}

// hitSummary is what a message's opens and clicks add up to.
type hitSummary struct {
	opens, clicks hitCounts
	clients       []clientAnswer // by first_seen
}

// summarise adds up the opens and clicks among events, which are oldest first.
func summarise(events []event.Refined) hitSummary {
	s := hitSummary{clients: []clientAnswer{}}
	places := make(map[clientKey]int)
	for i := range events {
		e := &events[i]
		switch e.Kind {
		case event.Open:
			s.opens.add(e.Actor.Verdict)
		case event.Click:
			s.clicks.add(e.Actor.Verdict)
		default:
			continue
		}
		k := clientOf(e)
		if e.Actor.Verdict != event.Human || k == (clientKey{}) { // of an inferred open, or where nothing is kept
			continue
		}
		place, known := places[k]
		if !known {
			place = len(s.clients)
			places[k] = place
			s.clients = append(s.clients, newClientAnswer(k, e.Time))
		}
		s.clients[place].add(e)
	}
	for i := range s.clients {
		s.opens.addClient(s.clients[i].Opens)
		s.clicks.addClient(s.clients[i].Clicks)
	}
	s.opens.Unique = max(s.opens.Unique, min(s.opens.Human, 1))
	s.clicks.Unique = max(s.clicks.Unique, min(s.clicks.Human, 1))
	return s
}

func (n *hitCounts) add(v event.Verdict) {
	switch {
	case v == event.Human:
		n.Human++
	case v.Machine():
		n.Machine++
	}
}

// addClient counts a client with so many hits.
func (n *hitCounts) addClient(hits int) { n.Unique += min(hits, 1) }

func newClientAnswer(k clientKey, first event.Millis) clientAnswer {
	c := clientAnswer{Via: k.via, UserAgent: k.agent, FirstSeen: first.Time().Format(timeLayout)}
	if k.ip.IsValid() {
		c.IP = k.ip.String()
	}
	return c
}

func (c *clientAnswer) add(e *event.Refined) {
	c.LastSeen = e.Time.Time().Format(timeLayout)
	if e.Kind == event.Open {
		c.Opens++
	} else {
		c.Clicks++
	}
}
