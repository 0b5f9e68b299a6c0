package bot

import (
	"strings"

	"carom/pipeline/event"
)

// agents is agents.tsv, compiled. A rule is named by its index, which is its precedence.
type agents struct {
	rules     []rule
	empty     []int // rules of a request without an agent
	exact     map[string]int
	longest   int // key of exact
	automaton *automaton
	patterns  []pattern // by the automaton's numbers
	several   []several // by rule
	referers  []referer
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

// find returns the first rule that fits the request and has a verdict on such a hit, or nil.
func (a *agents) find(h hit, req *event.Request) *rule {
	best, parts := none, uint64(0)
	agent := req.UserAgent
	if agent == "" {
		for _, i := range a.empty {
			best = a.better(h, i, best)
		}
	} else {
		if len(agent) <= a.longest {
			if i, ok := a.exact[agent]; ok {
				best = a.better(h, i, best)
			}
		}
		best, parts = a.scan(h, agent[:min(len(agent), maxAgent)], best)
	}
	if len(a.several) > 0 {
		parts |= a.refererParts(req.Referer)
		for _, s := range a.several {
			if parts&s.parts == s.parts {
				best = a.better(h, s.rule, best)
			}
		}
	}
	if best == none {
		return nil
	}
	return &a.rules[best]
}

// better returns the rule of higher precedence that has a verdict.
func (a *agents) better(h hit, i, best int) int {
	if i < best && a.rules[i].verdicts[h] != event.NoVerdict {
		return i
	}
	return best
}

// scan passes over the agent once. It returns the best of the rules that fit, or best, and the parts that are there.
func (a *agents) scan(h hit, agent string, best int) (int, uint64) {
	var parts uint64
	var at state
	for end := 0; end < len(agent); {
		at, end = a.automaton.skip(agent, end, at)
		for _, n := range a.automaton.ending(at) {
			p := &a.patterns[n]
			if !p.match.fits(agent, end-p.length, end) {
				continue
			}
			if p.part != 0 {
				parts |= p.part
			} else {
				best = a.better(h, p.rule, best)
			}
		}
	}
	return best, parts
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
