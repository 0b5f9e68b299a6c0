package verdicts

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"carom/bench/node"
)

// finder finds the hits that events tell of.
//
// An event has no mark of the request that it was made from, so it is found by what both have: message, kind, link,
// agent, as much of the address as the node keeps, and the time, which lies between the request and its answer. Every
// event tells of one hit. A hit of which none tells may repeat one of the same client that came before it, because the
// node drops those; else it is lost, and no other hit's event speaks for it.
type finder struct {
	hits    map[place][]*hit
	records []node.Event          // of the journal
	events  map[string]node.Event // by id, in its last revision
	// unsubscribed messages.
	unsubscribed map[string]bool
}

// place is what a hit and its event have in common, whatever the node keeps of addresses.
type place struct {
	message, kind, agent string
	link                 int
}

const maxAgent = 512 // the node keeps no more of an agent

func placeOf(h *hit) place {
	p := place{message: h.message.id, kind: "click", link: h.link, agent: h.agent[:min(len(h.agent), maxAgent)]}
	switch h.do {
	case doOpen:
		p.kind = "open"
	case doHoneypot:
		p.link = h.message.script.Links // it comes after the others
	}
	return p
}

func newFinder(messages []*message) *finder {
	f := &finder{hits: make(map[place][]*hit), events: make(map[string]node.Event), unsubscribed: make(map[string]bool)}
	for _, m := range messages {
		f.unsubscribed[m.id] = false
		for _, h := range m.hits {
			if h.judged() {
				p := placeOf(h)
				f.hits[p] = append(f.hits[p], h)
			}
		}
	}
	return f
}

// judged reports whether a hit gets a verdict: unsubscribing has none.
func (h *hit) judged() bool { return h.do == doOpen || h.do == doClick || h.do == doHoneypot }

// known reports whether an event is one of the play's.
func (f *finder) known(e *node.Event) bool {
	_, ok := f.unsubscribed[e.Message]
	return ok
}

// early takes in a record of the journal.
func (f *finder) early(e *node.Event) {
	if f.known(e) && isHit(e) {
		f.records = append(f.records, *e)
	}
}

func isHit(e *node.Event) bool { return e.Kind == "open" || e.Kind == "click" }

// final takes in a refined event, and reports whether it is one of the play's.
func (f *finder) final(e *node.Event) bool {
	if !f.known(e) {
		return false
	}
	switch {
	case e.Kind == "unsubscribe":
		f.unsubscribed[e.Message] = true
	case e.Inferred || !isHit(e):
	case f.events[e.ID].ID == "" || e.Revision > f.events[e.ID].Revision:
		f.events[e.ID] = *e
	}
	return true
}

// judge gives every hit the verdict at once and the one after settling.
func (f *finder) judge() {
	records := f.match(f.records)
	events := f.match(slices.Collect(maps.Values(f.events)))
	for h, e := range events {
		if e.TakenBack() {
			delete(events, h)
		}
	}
	for _, hits := range f.hits {
		for _, h := range hits {
			if e, _, ok := tellsOf(h, hits, records); ok {
				h.early = e.Actor.Verdict
			}
			if e, own, ok := tellsOf(h, hits, events); ok {
				h.final, h.why, h.repeats = e.Actor.Verdict, e.Actor.Reasons, !own
			}
		}
	}
}

// match finds of each event the hit that it was made from: of those that fit, the nearest.
func (f *finder) match(all []node.Event) map[*hit]node.Event {
	type pair struct {
		h *hit
		e int // of all
	}
	var pairs []pair
	for i, e := range all {
		for _, h := range f.hits[placeIn(e)] {
			if made(h, e) {
				pairs = append(pairs, pair{h, i})
			}
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int { return int(distance(a.h, all[a.e]) - distance(b.h, all[b.e])) })
	found, taken := make(map[*hit]node.Event), make([]bool, len(all))
	for _, p := range pairs {
		if _, ok := found[p.h]; !ok && !taken[p.e] {
			found[p.h], taken[p.e] = all[p.e], true
		}
	}
	return found
}

// placeIn returns where the hits are that an event may tell of.
func placeIn(e node.Event) place {
	p := place{message: e.Message, kind: e.Kind, agent: e.Client.UserAgent}
	if e.Kind == "click" {
		p.link = e.Link.Index
	}
	return p
}

// maxSkew is how far the player's clock and the node's may be apart.
const maxSkew = 500 * time.Millisecond

// made reports whether an event may be what the node made of a hit.
func made(h *hit, e node.Event) bool {
	return !e.Time.Before(h.at.Add(-maxSkew)) && !e.Time.After(h.answered.Add(maxSkew)) && fits(h.address, e.Client.IP)
}

func distance(h *hit, e node.Event) time.Duration { return h.at.Sub(e.Time).Abs() }

// fits reports whether kept is what a node keeps of an address: all of it, its prefix, or nothing.
func fits(address, kept netip.Addr) bool {
	if !kept.IsValid() || kept == address {
		return true
	}
	bits := []int{48, 40} // 40 where the address holds an IPv4 address behind its first 16 bits
	if address.Is4() {
		bits = []int{24}
	}
	return slices.ContainsFunc(bits, func(n int) bool {
		p, err := address.Prefix(n)
		return err == nil && p.Addr() == kept
	})
}

// tellsOf returns the event of a hit, which is its own or that of the hit which it repeats: the latest one, but rather one
// of an equal request, since a node that drops a hit has judged both alike.
func tellsOf(h *hit, hits []*hit, events map[*hit]node.Event) (e node.Event, own, ok bool) {
	if e, ok = events[h]; ok {
		return e, true, true
	}
	var of *hit
	for _, c := range hits {
		if _, ok := events[c]; !ok || !mayRepeat(h, c) {
			continue
		}
		if of == nil || equalRequests(h, c) != equalRequests(h, of) && equalRequests(h, c) ||
			equalRequests(h, c) == equalRequests(h, of) && c.at.After(of.at) {
			of = c
		}
	}
	if of == nil {
		return e, false, false
	}
	return events[of], false, true
}

// repeatWithin is how far behind a hit its repeats may come: 10 s, and what it takes to send them.
const repeatWithin = 10*time.Second + 250*time.Millisecond

// mayRepeat reports whether a hit may repeat c, which came before it, or while it was under way.
func mayRepeat(h, c *hit) bool {
	return h.address == c.address && !c.at.After(h.answered) && h.at.Sub(c.at) < repeatWithin
}

func equalRequests(a, b *hit) bool { return a.method == b.method && maps.Equal(a.headers, b.headers) }
