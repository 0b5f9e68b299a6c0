package rollup

import (
	"cmp"
	"slices"

	"carom/pipeline/event"
)

// maxFacts bounds what an enrollment remembers one by one; shrink then goes down to keptFacts, so that not every
// further fact pays for it. Refine revises no more than the 64 latest hits of a message: an enrollment of one message
// remembers those, and the facts that are no hits.
const (
	maxFacts  = 96
	keptFacts = 80
)

// enrollment is all that is known of one contact's passage through one sequence: its facts, each by the id of its
// event and in its last revision. What it counts as is a function of that set, so neither order nor repetition nor
// revision can make a number drift.
type enrollment struct {
	facts []fact
	gone  forgotten

	// provider is the one of its recipient, as its first send told; cohorts count under this name (providers.go).
	provider string
	// contact is whose it is, where the key names a message.
	contact []byte

	texts map[string]string // those that were read of late, so that not each costs memory; may be nil
}

// forgotten is what is left of facts that are not remembered one by one.
type forgotten struct {
	tally // what those of forgotten messages add up to
	// hits is how many opens and clicks were forgotten, with their message or alone; all at or before until.
	hits  hits
	until event.Millis
}

// addHit notes that f is forgotten, if it is a hit.
func (g *forgotten) addHit(f *fact) {
	if n := g.hits.of(f.what); n != nil {
		*n++
		g.until = max(g.until, f.at)
	}
}

// takeBack undoes addHit for a fact that may be the revision of one that was forgotten, and so must not count twice.
// Those that have become another kind, or nothing, go on to count as what they were.
func (g *forgotten) takeBack(f *fact) {
	if n := g.hits.of(f.what); n != nil && *n > 0 && f.at <= g.until {
		*n--
	}
}

// add takes f in, or leaves it if it is known in this revision or a later one.
func (e *enrollment) add(f fact) (changed bool) {
	for i := range e.facts {
		if e.facts[i].id == f.id {
			if f.revision <= e.facts[i].revision {
				return false
			}
			e.facts[i] = f
			return true
		}
	}
	if f.revision > 0 {
		e.gone.takeBack(&f)
	}
	e.facts = append(e.facts, f)
	return true
}

// full reports that shrink must be called before the enrollment is stored or grows on.
func (e *enrollment) full() bool { return len(e.facts) > maxFacts }

// shrink forgets facts: first those that another one outdoes, which changes nothing but that they can't be revised any
// more; if that is not enough, whole messages, from the oldest, into gone. Messages are forgotten whole because half of
// one could say that it bounced and not that it was delivered later. Hits that are forgotten stay in gone as numbers.
//
// A message that is gone counts no longer in sends: who calls must have accounted for it.
func (e *enrollment) shrink() {
	e.drop(e.outdone(len(e.facts) - keptFacts))
	for len(e.facts) > keptFacts {
		e.drop(e.fold(e.oldestMessage()))
	}
}

// marks are facts by index.
type marks [maxFacts + 1]bool

// outdone marks at most limit facts that another of the same kind and message makes superfluous: those of the earliest
// times, for they are revised the least.
func (e *enrollment) outdone(limit int) (m marks) {
	var memory [maxFacts + 1]int
	found := memory[:0]
	for i, f := range e.facts {
		if e.outdoes(i, f) {
			found = append(found, i)
		}
	}
	slices.SortFunc(found, func(i, j int) int {
		return cmp.Or(cmp.Compare(e.facts[i].at, e.facts[j].at), cmp.Compare(e.facts[i].id, e.facts[j].id))
	})
	for _, i := range found[:min(limit, len(found))] {
		m[i] = true
	}
	return m
}

// outdoes reports whether another fact makes fact i superfluous. Of two equal ones the later stays.
func (e *enrollment) outdoes(i int, f fact) bool {
	if f.what == nothing {
		return true
	}
	for j, g := range e.facts {
		if j == i || g.what != f.what || g.message != f.message {
			continue
		}
		if f.what.supersedes(g.at, f.at) || g.at == f.at && j > i {
			return true
		}
	}
	return false
}

// fold adds the facts of a message to gone, and marks them. Of its complaints only the outcome goes there, since one that
// is taken back takes no other message's with it.
func (e *enrollment) fold(message uint64) (m marks) {
	var own tally
	for i, f := range e.facts {
		if f.message == message {
			own.add(f.what, f.at, f.category)
			m[i] = true
		}
	}
	if !own.complained() {
		own.forget(complained)
	}
	own.forget(forgiven)
	e.gone.merge(&own)
	return m
}

// drop forgets the marked facts.
func (e *enrollment) drop(m marks) {
	kept := e.facts[:0]
	for i, f := range e.facts {
		if m[i] {
			e.gone.addHit(&f)
			continue
		}
		kept = append(kept, f)
	}
	e.facts = kept
}

// oldestMessage returns the message whose first fact came first. Facts about no message go last: no more than one of
// each kind is left of them.
func (e *enrollment) oldestMessage() uint64 {
	for _, f := range e.facts {
		if f.message != 0 {
			return f.message
		}
	}
	return 0
}

// messageTally is what the facts of one message add up to, or of none if message is 0.
type messageTally struct {
	message uint64
	tally
}

// tallies adds up the facts of the enrollment and, in the memory of each, those of every message.
func (e *enrollment) tallies(each []messageTally) (all tally, n hits, _ []messageTally) {
	all, n = e.gone.tally, e.gone.hits
	each = each[:0]
	for _, f := range e.facts {
		all.add(f.what, f.at, f.category)
		n.add(f.what)
		i := 0
		for i < len(each) && each[i].message != f.message {
			i++
		}
		if i == len(each) {
			each = append(each, messageTally{message: f.message})
		}
		each[i].add(f.what, f.at, f.category)
	}
	return all, n, each
}

// completion returns when the enrollment completes: at its completed event, or completeAfter its first send, whichever
// is earlier. Without either it is in no cohort.
func (t *tally) completion(completeAfter event.Millis) (at event.Millis, ok bool) {
	switch {
	case t.has(sent) && t.has(completed):
		return min(t.at[sent]+completeAfter, t.at[completed]), true
	case t.has(sent):
		return t.at[sent] + completeAfter, true
	}
	return t.at[completed], t.has(completed)
}

// sentTo takes in what the send at a time says of the recipient's provider: that of the first send counts, whichever is
// heard of first. It comes before the send's fact is added.
func (e *enrollment) sentTo(provider string, at event.Millis) (changed bool) {
	first, known := e.firstSend()
	if known && (at > first || at == first && e.provider <= provider) || e.provider == provider {
		return false
	}
	e.provider = provider
	return true
}

func (e *enrollment) firstSend() (at event.Millis, ok bool) {
	at, ok = e.gone.at[sent], e.gone.has(sent)
	for i := range e.facts {
		if f := &e.facts[i]; f.what == sent && (!ok || f.at < at) {
			at, ok = f.at, true
		}
	}
	return at, ok
}

// text returns b as a string, without a copy where it was read before.
func (e *enrollment) text(b []byte) string {
	if s, ok := e.texts[string(b)]; ok {
		return s
	}
	s := string(b)
	if e.texts != nil && len(e.texts) < maxTexts {
		e.texts[s] = s
	}
	return s
}

// maxTexts bounds the texts that are remembered.
const maxTexts = 4096
