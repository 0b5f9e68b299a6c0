package bot

import (
	"fmt"
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

// match says how a pattern has to lie in an agent.
type match uint8

const (
	noMatch match = iota
	matchExact
	matchEmpty
	matchContains
	matchPrefix
	matchSuffix
	matchWordEnd
	matchAll
	matchExcept
)

// matchNames are the matches as agents.tsv has them.
var matchNames = [...]string{
	matchExact: "exact", matchEmpty: "empty", matchContains: "contains", matchPrefix: "prefix", matchSuffix: "suffix",
	matchWordEnd: "word_end", matchAll: "all", matchExcept: "except",
}

func (m match) String() string { return matchNames[m] }

func parseMatch(s string) (match, error) {
	for m, name := range matchNames {
		if name == s && name != "" {
			return match(m), nil
		}
	}
	return noMatch, fmt.Errorf("match %q: want exact, empty, contains, prefix, suffix, word_end, all or except", s)
}

// fits reports whether a pattern found at text[from:to] lies as it should.
func (m match) fits(text string, from, to int) bool {
	switch m {
	case matchPrefix:
		return from == 0
	case matchSuffix:
		return to == len(text)
	case matchWordEnd:
		return to == len(text) || !isLetter(text[to])
	}
	return true
}

func isLetter(c byte) bool {
	c |= 0x20
	return 'a' <= c && c <= 'z'
}

// agentsBuilder collects the lines of agents.tsv.
type agentsBuilder struct {
	agents
	texts []string // of the patterns
	bits  int      // parts given away
}

// add takes the next line in. pattern is as written, referer "" for any.
func (b *agentsBuilder) add(r rule, m match, text, refererHost string) error {
	i := len(b.rules)
	b.rules = append(b.rules, r)
	if m == matchEmpty {
		if text != "" || refererHost != "" {
			return fmt.Errorf("match empty: want - for pattern and referer")
		}
		b.empty = append(b.empty, i)
		return nil
	}
	if text == "" {
		return fmt.Errorf("match %s: want a pattern", m)
	}
	switch m {
	case matchExact:
		return b.addExact(i, text, refererHost)
	case matchContains, matchPrefix, matchSuffix, matchWordEnd, matchExcept:
		return b.addParts(i, m, []string{text}, refererHost)
	case matchAll:
		parts := strings.Split(text, partSeparator)
		if len(parts) < 2 {
			return fmt.Errorf("match all: pattern %q: want two parts or more, with %s between them", text, partSeparator)
		}
		return b.addParts(i, matchContains, parts, refererHost)
	}
	panic("BUG: unknown match")
}

// partSeparator stands between the parts of a pattern of match all.
const partSeparator = "&&"

func (b *agentsBuilder) addExact(i int, text, refererHost string) error {
	if refererHost != "" {
		return fmt.Errorf("match exact: want - for referer")
	}
	if _, ok := b.exact[text]; ok {
		return fmt.Errorf("pattern %q: an exact match of it stands further up", text)
	}
	if b.exact == nil {
		b.exact = map[string]int{}
	}
	b.exact[text] = i
	b.longest = max(b.longest, len(text))
	return nil
}

// addParts adds a rule that fits where all of parts are, and the referer if there is one.
func (b *agentsBuilder) addParts(i int, m match, parts []string, refererHost string) error {
	if len(parts) == 1 && refererHost == "" {
		b.addPattern(pattern{match: m, rule: i}, parts[0])
		return nil
	}
	if m == matchExcept {
		return fmt.Errorf("match except: want - for referer")
	}
	s := several{rule: i}
	for _, text := range parts {
		if text == "" {
			return fmt.Errorf("match all: want no empty part")
		}
		bit, err := b.nextBit()
		if err != nil {
			return err
		}
		s.parts |= bit
		b.addPattern(pattern{match: m, rule: i, part: bit}, text)
	}
	if refererHost != "" {
		bit, err := b.nextBit()
		if err != nil {
			return err
		}
		s.parts |= bit
		b.referers = append(b.referers, referer{host: refererHost, part: bit})
	}
	b.several = append(b.several, s)
	return nil
}

func (b *agentsBuilder) addPattern(p pattern, text string) {
	p.length = len(text)
	b.patterns = append(b.patterns, p)
	b.texts = append(b.texts, lower(text))
}

func (b *agentsBuilder) nextBit() (uint64, error) {
	if b.bits == maxParts {
		return 0, fmt.Errorf("want at most %d parts of match all and referers together", maxParts)
	}
	b.bits++
	return 1 << (b.bits - 1), nil
}

// build compiles what was added.
func (b *agentsBuilder) build() (agents, error) {
	var err error
	b.automaton, err = newAutomaton(b.texts, func(i int) bool { return b.patterns[i].match == matchExcept })
	return b.agents, err
}

// lower is strings.ToLower for ASCII, which is what the automaton folds.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}
