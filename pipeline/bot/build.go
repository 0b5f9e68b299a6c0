package bot

import (
	"fmt"
	"strings"
)

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
