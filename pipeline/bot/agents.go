package bot

import (
	"hash/maphash"
	"strings"

	"carom/pipeline/event"
)

// agents is agents.tsv, compiled. A rule is named by its index, which is its precedence.
type agents struct {
	rules     []rule
	empty     finding // of a request without an agent
	exact     map[string]finding
	longest   int // key of exact
	automaton *automaton
	patterns  []pattern // by the automaton's numbers
	several   []several // by rule
	wanted    uint64    // the parts that rules of several want
	referers  []referer
	cache     cache
}

// pattern is a text that the automaton looks for.
type pattern struct {
	length int
	match  match
	rule   int
	part   uint64 // the bit of a part of several; 0 where the pattern is the whole rule
}

// several is a rule that needs more than one thing to be so.
type several struct {
	rule  int
	parts uint64
}

// referer is a host that rules ask for.
type referer struct {
	host string
	part uint64
}

// maxParts is how many bits there are for the parts of all rules of agents.tsv that need several.
const maxParts = 64

// none is worse than any rule's index.
const none = int(^uint(0) >> 1)

var nothing = finding{best: [hits]int{none, none}}

// find returns the first rule that fits the request and has a verdict on such a hit, or nil. parts are those that the
// networks gave.
func (a *agents) find(h hit, req *event.Request, parts uint64) *rule {
	f := a.findAgent(req.UserAgent)
	best := f.best[h]
	parts |= f.parts
	// Only now, because parsing a referer costs more than to see that nobody asks for it.
	if parts&a.wanted != 0 {
		parts |= a.refererParts(req.Referer)
		for _, s := range a.several {
			if parts&s.parts == s.parts && s.rule < best && a.rules[s.rule].verdicts[h] != event.NoVerdict {
				best = s.rule
			}
		}
	}
	if best == none {
		return nil
	}
	return &a.rules[best]
}

// findAgent returns what there is in an agent, whatever else the request says.
func (a *agents) findAgent(agent string) finding {
	if agent == "" {
		return a.empty
	}
	cut := agent[:min(len(agent), maxAgent)]
	if len(cut) < minCached {
		return a.scan(agent, cut)
	}
	hash := maphash.String(a.cache.seed, agent)
	if f, ok := a.cache.get(hash); ok {
		return f
	}
	f := a.scan(agent, cut)
	a.cache.put(hash, f)
	return f
}

// scan passes over the agent once; cut is as much of it as the automaton may see.
func (a *agents) scan(agent, cut string) finding {
	f := nothing
	if len(agent) <= a.longest {
		if e, ok := a.exact[agent]; ok {
			f = e
		}
	}
	var at state
	for end := 0; end < len(cut); {
		at, end = a.automaton.skip(cut, end, at)
		for _, n := range a.automaton.ending(at) {
			p := &a.patterns[n]
			if !p.match.fits(cut, end-p.length, end) {
				continue
			}
			if p.part != 0 {
				f.parts |= p.part
			} else {
				f.take(p.rule, &a.rules[p.rule])
			}
		}
	}
	return f
}

// take notes that a rule fits.
func (f *finding) take(i int, r *rule) {
	for h := range hits {
		if i < f.best[h] && r.verdicts[h] != event.NoVerdict {
			f.best[h] = i
		}
	}
}

// refererParts returns the bits of the host that the Referer names.
func (a *agents) refererParts(value string) (parts uint64) {
	if value == "" || len(a.referers) == 0 {
		return 0
	}
	host := hostOf(value)
	for _, r := range a.referers {
		if strings.EqualFold(r.host, host) {
			parts |= r.part
		}
	}
	return parts
}

// hostOf returns the host of a URL with an authority, without its port; "" if there is none.
func hostOf(url string) string {
	_, rest, ok := strings.Cut(url, "://")
	if !ok {
		return ""
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	host, _, _ := strings.Cut(rest, ":")
	return host
}
