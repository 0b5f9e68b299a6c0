package verdicts

import (
	"slices"
	"time"
)

// finder finds the hits that events tell of.
//
// An event has no mark of the request that it was made from, so it is found by what both have: message, kind, link and
// agent, and the nearest time.
type finder struct {
	hits   map[place][]*hit
	events map[string]told // by id, in its last revision
	// unsubscribed messages.
	unsubscribed map[string]bool
}

// place is what a hit and its event have in common.
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
	f := &finder{hits: make(map[place][]*hit), events: make(map[string]told), unsubscribed: make(map[string]bool)}
	for _, m := range messages {
		f.unsubscribed[m.id] = false
		for _, h := range m.hits {
			if h.judged() {
				p := placeOf(h)
				f.hits[p] = append(f.hits[p], h)
			}
		}
	}
	for _, all := range f.hits {
		slices.SortFunc(all, func(a, b *hit) int { return int(a.due - b.due) })
	}
	return f
}

// judged reports whether a hit gets a verdict: unsubscribing has none.
func (h *hit) judged() bool { return h.do == doOpen || h.do == doClick || h.do == doHoneypot }

// known reports whether an event is one of the play's.
func (f *finder) known(e told) bool {
	_, ok := f.unsubscribed[e.Message]
	return ok
}

// early takes in a record of the journal.
func (f *finder) early(e told) {
	if !f.known(e) {
		return
	}
	for _, h := range f.around(e) {
		if near(h, e) && (h.early == "" || distance(h, e) < h.nearestEarly) {
			h.early, h.nearestEarly = e.Actor.Verdict, distance(h, e)
		}
	}
}

// final takes in a refined event, and reports whether it is one of the play's.
func (f *finder) final(e told) bool {
	if !f.known(e) {
		return false
	}
	switch {
	case e.Kind == "unsubscribe":
		f.unsubscribed[e.Message] = true
	case e.Inferred || e.Kind != "open" && e.Kind != "click":
	case f.events[e.ID].ID == "" || e.Revision > f.events[e.ID].Revision:
		f.events[e.ID] = e
	}
	return true
}

// judge gives every hit the verdict of its event. Events that were taken back are none.
func (f *finder) judge() {
	for _, e := range f.events {
		if takenBack(e) {
			continue
		}
		for _, h := range f.around(e) {
			if near(h, e) && (h.final == "" || distance(h, e) < h.nearest) {
				h.final, h.why, h.nearest = e.Actor.Verdict, e.Actor.Reasons, distance(h, e)
			}
		}
	}
}

// takenBack reports a hit that turned out to repeat another.
func takenBack(e told) bool {
	return e.Actor.Verdict == "unknown" && slices.Contains(e.Actor.Reasons, "repeat")
}

// around returns the hits that an event may tell of.
func (f *finder) around(e told) []*hit {
	agent := e.Client.UserAgent
	p := place{message: e.Message, kind: e.Kind, agent: agent}
	if e.Kind == "click" {
		p.link = e.Link.Index
	}
	return f.hits[p]
}

// repeatWithin is how far behind an event its repeats may come; the player's clock and the node's are one.
const repeatWithin = 11 * time.Second

func near(h *hit, e told) bool { return distance(h, e) < repeatWithin }

func distance(h *hit, e told) time.Duration { return h.at.Sub(e.Time).Abs() }
