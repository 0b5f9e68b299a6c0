package report

import (
	"fmt"
	"strings"
)

// matcher finds all patterns of the rule tables in one pass over a text, whatever their number: an
// Aho-Corasick automaton, unrolled into one table row per state.
//
//	text byte ─▶ class ─▶ next[state][class] ─▶ fragments that end here ─▶ patterns whose last fragment was found
//
// A pattern is one fragment, or several with "*" between them that must follow each other in order, at most
// maxGap bytes apart, so that words of different sentences do not meet.
type matcher struct {
	class   [256]uint8 // 0: in no pattern
	classes int
	next    []uint16 // state*classes + class
	first   []uint16 // by state: 1 + index into ends, 0 if nothing ends here
	ends    []fragmentEnd
	// needed holds how many fragments each pattern has.
	needed []uint8
}

// fragmentEnd is one fragment of a pattern that ends in some state; last closes the list of the state.
type fragmentEnd struct {
	pattern uint16
	index   uint8
	last    bool
	length  uint16
}

const (
	maxPatterns  = 1024
	maxFragments = 4
	maxStates    = 1<<16 - 1
	maxGap       = 100
)

// hits holds which patterns a text has; it is reused for the next text.
type hits struct {
	found [maxPatterns / 64]uint64
	// progress of each pattern of several fragments: how many were found, and where the last one ended.
	progress [maxPatterns]struct {
		fragments uint8
		end       uint16
	}
}

func (h *hits) has(pattern uint16) bool { return h.found[pattern/64]&(1<<(pattern%64)) != 0 }

// newMatcher compiles patterns; the index of a pattern is its number. They are lower case, because the
// text is.
func newMatcher(patterns []string) (*matcher, error) {
	if len(patterns) > maxPatterns {
		return nil, fmt.Errorf("%d patterns, at most %d", len(patterns), maxPatterns)
	}
	m := &matcher{classes: 1, needed: make([]uint8, len(patterns))}
	for _, p := range patterns {
		for i := 0; i < len(p); i++ {
			if c := p[i]; c != '*' && m.class[c] == 0 {
				m.class[c] = uint8(m.classes)
				m.classes++
			}
		}
	}
	b := trieBuilder{m: m, ends: [][]fragmentEnd{nil}, next: make([]uint16, m.classes)}
	for i, p := range patterns {
		fragments := strings.Split(p, "*")
		if len(fragments) > maxFragments {
			return nil, fmt.Errorf("pattern %q has more than %d fragments", p, maxFragments)
		}
		m.needed[i] = uint8(len(fragments))
		for j, fragment := range fragments {
			if len(fragment) < 2 {
				return nil, fmt.Errorf("pattern %q: a fragment has two characters at least", p)
			}
			if strings.ToLower(fragment) != fragment {
				return nil, fmt.Errorf("pattern %q is not in lower case", p)
			}
			if err := b.add(fragment, fragmentEnd{pattern: uint16(i), index: uint8(j), length: uint16(len(fragment))}); err != nil {
				return nil, err
			}
		}
	}
	b.link()
	return m, nil
}

// trieBuilder grows the automaton. In next, 0 means "no child yet" until link fills it.
type trieBuilder struct {
	m    *matcher
	next []uint16
	ends [][]fragmentEnd
}

func (b *trieBuilder) add(fragment string, end fragmentEnd) error {
	state := 0
	for i := 0; i < len(fragment); i++ {
		slot := state*b.m.classes + int(b.m.class[fragment[i]])
		if b.next[slot] == 0 {
			if len(b.ends) == maxStates {
				return fmt.Errorf("the patterns need more than %d states", maxStates)
			}
			b.next[slot] = uint16(len(b.ends))
			b.ends = append(b.ends, nil)
			b.next = append(b.next, make([]uint16, b.m.classes)...)
		}
		state = int(b.next[slot])
	}
	b.ends[state] = append(b.ends[state], end)
	return nil
}

// link turns the trie into an automaton, breadth first: the fallback of a state is known before its children.
func (b *trieBuilder) link() {
	m := b.m
	fallback := make([]uint16, len(b.ends))
	queue := make([]int, 0, len(b.ends))
	for c := 1; c < m.classes; c++ {
		if child := int(b.next[c]); child != 0 {
			queue = append(queue, child)
		}
	}
	for len(queue) > 0 {
		state := queue[0]
		queue = queue[1:]
		back := int(fallback[state])
		b.ends[state] = append(b.ends[state], b.ends[back]...)
		for c := 1; c < m.classes; c++ {
			slot := state*m.classes + c
			if child := int(b.next[slot]); child != 0 {
				fallback[child] = b.next[back*m.classes+c]
				queue = append(queue, child)
			} else {
				b.next[slot] = b.next[back*m.classes+c]
			}
		}
	}
	m.next = b.next
	m.first = make([]uint16, len(b.ends))
	for state, ends := range b.ends {
		if len(ends) == 0 {
			continue
		}
		m.first[state] = uint16(len(m.ends) + 1)
		m.ends = append(m.ends, ends...)
		m.ends[len(m.ends)-1].last = true
	}
}

// scan sets in h which patterns text has. text is at most maxMatch long.
func (m *matcher) scan(text []byte, h *hits) {
	*h = hits{}
	state := 0
	for i, c := range text {
		state = int(m.next[state*m.classes+int(m.class[c])])
		if f := m.first[state]; f != 0 {
			m.record(f-1, uint16(i+1), h)
		}
	}
}

// record notes the fragments that end at offset end.
func (m *matcher) record(at, end uint16, h *hits) {
	for ; ; at++ {
		e := m.ends[at]
		p := &h.progress[e.pattern]
		switch {
		case e.index+1 == p.fragments:
			p.end = end // the same fragment again: what follows is nearer to this one
		case e.index == p.fragments && (e.index == 0 || end >= p.end+e.length && end <= p.end+e.length+maxGap):
			p.fragments++
			p.end = end
			if p.fragments == m.needed[e.pattern] {
				h.found[e.pattern/64] |= 1 << (e.pattern % 64)
			}
		}
		if e.last {
			return
		}
	}
}
