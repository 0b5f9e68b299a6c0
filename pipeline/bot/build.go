package bot

import (
	"fmt"
	"strings"
)

// agentsBuilder collects the lines of agents.tsv.
type agentsBuilder struct {
	agents
	texts    []string          // of the patterns
	networks map[string]uint64 // the part of a network's code
	bits     int               // parts given away
}

// conditions are what a rule asks for besides the agent; "" for any.
type conditions struct{ referer, network string }

// add takes the next line in. text is as written.
func (b *agentsBuilder) add(r rule, m match, text string, c conditions) error {
	i := len(b.rules)
	r.network = c.network
	b.rules = append(b.rules, r)
	if m == matchEmpty {
		if text != "" || c != (conditions{}) {
			return fmt.Errorf("match empty: want - for pattern, referer and network")
		}
		b.empty.take(i, &r)
		return nil
	}
	if text == "" {
		return fmt.Errorf("match %s: want a pattern", m)
	}
	if m == matchExcept && c != (conditions{}) {
		return fmt.Errorf("match except: want - for referer and network")
	}
	texts := []string{text}
	if m == matchAll {
		m = matchContains
		if texts = strings.Split(text, partSeparator); len(texts) < 2 {
			return fmt.Errorf("match all: pattern %q: want two parts or more, with %s between them", text, partSeparator)
		}
	}
	if len(texts) == 1 && c == (conditions{}) {
		return b.addText(m, text, i, 0)
	}
	return b.addSeveral(i, m, texts, c)
}

// partSeparator stands between the parts of a pattern of match all.
const partSeparator = "&&"

// addSeveral adds a rule that fits where all of texts are, and the conditions hold.
func (b *agentsBuilder) addSeveral(i int, m match, texts []string, c conditions) error {
	s := several{rule: i}
	for _, text := range texts {
		if text == "" {
			return fmt.Errorf("match all: want no empty part")
		}
		bit, err := b.nextBit()
		if err != nil {
			return err
		}
		s.parts |= bit
		if err := b.addText(m, text, i, bit); err != nil {
			return err
		}
	}
	b.wanted |= s.parts
	if c.referer != "" {
		bit, err := b.nextBit()
		if err != nil {
			return err
		}
		s.parts |= bit
		b.referers = append(b.referers, referer{host: c.referer, part: bit})
	}
	if c.network != "" {
		bit, known := b.networks[c.network]
		if !known {
			var err error
			if bit, err = b.nextBit(); err != nil {
				return err
			}
			b.networks[c.network] = bit
		}
		s.parts |= bit
	}
	b.several = append(b.several, s)
	return nil
}

// addText adds a text to be found: of rule i, or of the part of it that has a bit.
func (b *agentsBuilder) addText(m match, text string, i int, part uint64) error {
	if m == matchExact {
		return b.addExact(text, i, part)
	}
	b.patterns = append(b.patterns, pattern{length: len(text), match: m, rule: i, part: part})
	b.texts = append(b.texts, lower(text))
	return nil
}

func (b *agentsBuilder) addExact(text string, i int, part uint64) error {
	f, known := b.exact[text]
	if !known {
		f = nothing
	}
	if part != 0 {
		f.parts |= part
	} else {
		before := f
		if f.take(i, &b.rules[i]); f == before {
			return fmt.Errorf("pattern %q: an exact match of it stands further up", text)
		}
	}
	b.exact[text] = f
	b.longest = max(b.longest, len(text))
	return nil
}

func (b *agentsBuilder) nextBit() (uint64, error) {
	if b.bits == maxParts {
		return 0, fmt.Errorf("want at most %d parts of match all, referers and networks together", maxParts)
	}
	b.bits++
	return 1 << (b.bits - 1), nil
}

// build compiles what was added.
func (b *agentsBuilder) build() (agents, error) {
	var err error
	b.automaton, err = newAutomaton(b.texts, func(i int) bool { return b.patterns[i].match == matchExcept })
	b.cache = newCache()
	return b.agents, err
}

func newAgentsBuilder() *agentsBuilder {
	b := &agentsBuilder{networks: map[string]uint64{}}
	b.empty, b.exact = nothing, map[string]finding{}
	return b
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
