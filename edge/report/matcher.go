package report

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
)

// matcher finds all patterns of the rule tables in one pass over a text, whatever their number. Four bytes of each
// pattern, the least likely ones, are its anchor; the pass asks of each four bytes of the text only
// whether they may be an anchor, which a bitmap that fits the nearest cache tells.
//
//	four bytes ─▶ filter, 8 KiB ─▶ slots ─▶ fragments of that anchor ─▶ is the fragment here? ─▶ patterns
//	              most end here
//
// A pattern is one fragment, or several with "*" between them that must follow each other in order, at most
// maxGap bytes apart, so that words of different sentences do not meet.
type matcher struct {
	filter    [1 << (filterBits - 6)]uint64
	slots     []anchorSlot // a hash table without gaps in its chains; its length is a power of two
	anchored  []anchored   // sorted by anchor
	short     []uint16     // patterns without four bytes in a row, each looked for by itself
	fragments [][][]byte   // by pattern
}

// anchorSlot is where the fragments of one anchor lie in anchored.
type anchorSlot struct {
	anchor   uint32
	from, to uint16 // to is 0 in a free slot
}

// anchored is a fragment with the patterns that have their anchor in it.
type anchored struct {
	text     []byte
	offset   int // of the anchor in text
	patterns []uint16
}

const (
	maxPatterns  = 2048
	maxFragments = 4
	maxGap       = 100
	filterBits   = 16
	anchorLength = 4
)

// hits holds which patterns a text has; it is reused for the next text.
type hits struct {
	found [maxPatterns / 64]uint64
	// tried holds which patterns of several fragments were looked for.
	tried [maxPatterns / 64]uint64
}

func (h *hits) has(pattern uint16) bool { return h.found[pattern/64]&(1<<(pattern%64)) != 0 }

// anchorHash spreads four bytes over 32 bits, of which the highest are the best.
func anchorHash(anchor uint32) uint32 { return anchor * 0x9e3779b1 }

// newMatcher compiles patterns; the index of a pattern is its number. They are lower case, because the
// text is.
func newMatcher(patterns []string) (*matcher, error) {
	if len(patterns) > maxPatterns {
		return nil, fmt.Errorf("%d patterns, at most %d", len(patterns), maxPatterns)
	}
	m := &matcher{fragments: make([][][]byte, len(patterns))}
	for i, p := range patterns {
		for fragment := range strings.SplitSeq(p, "*") {
			if err := checkFragment(fragment); err != nil {
				return nil, fmt.Errorf("pattern %q: %w", p, err)
			}
			m.fragments[i] = append(m.fragments[i], []byte(fragment))
		}
		if len(m.fragments[i]) > maxFragments {
			return nil, fmt.Errorf("pattern %q has more than %d fragments", p, maxFragments)
		}
	}
	m.anchor(patterns)
	return m, nil
}

func checkFragment(fragment string) error {
	switch {
	case len(fragment) < 2:
		return errors.New("a fragment has two characters at least")
	case strings.ToLower(fragment) != fragment:
		return errors.New("not in lower case")
	}
	return nil
}

// anchor chooses an anchor for each pattern and fills the tables.
func (m *matcher) anchor(patterns []string) {
	likely := newLikelihood(patterns)
	byAnchor := map[uint32][]anchored{}
	var order []uint32
	for i, fragments := range m.fragments {
		var best []byte
		at, least := 0, math.Inf(1)
		for _, f := range fragments {
			for j := 0; j+anchorLength <= len(f); j++ {
				if l := likely.of(f[j : j+anchorLength]); l < least {
					best, at, least = f, j, l
				}
			}
		}
		if best == nil {
			m.short = append(m.short, uint16(i))
			continue
		}
		key := binary.LittleEndian.Uint32(best[at:])
		if byAnchor[key] == nil {
			order = append(order, key)
		}
		same := slices.IndexFunc(byAnchor[key], func(a anchored) bool { return bytes.Equal(a.text, best) && a.offset == at })
		if same < 0 {
			same = len(byAnchor[key])
			byAnchor[key] = append(byAnchor[key], anchored{text: best, offset: at})
		}
		byAnchor[key][same].patterns = append(byAnchor[key][same].patterns, uint16(i))
	}
	m.slots = make([]anchorSlot, 1<<bits.Len(uint(2*len(order)+1)))
	for _, key := range order {
		h := anchorHash(key) >> (32 - filterBits)
		m.filter[h>>6] |= 1 << (h & 63)
		from := len(m.anchored)
		m.anchored = append(m.anchored, byAnchor[key]...)
		*m.slot(key) = anchorSlot{anchor: key, from: uint16(from), to: uint16(len(m.anchored))}
	}
}

// likelihood estimates how often letters stand in a row in the texts that patterns are for, from how often pairs of
// them stand in the patterns themselves.
type likelihood struct {
	pairs  map[[2]byte]float64
	single [256]float64
}

func newLikelihood(patterns []string) *likelihood {
	l := &likelihood{pairs: map[[2]byte]float64{}}
	for _, p := range patterns {
		for i := range len(p) {
			l.single[p[i]]++
			if i > 0 {
				l.pairs[[2]byte{p[i-1], p[i]}]++
			}
		}
	}
	return l
}

// of is the likelihood of a run of letters of the patterns, up to a factor that is the same for all runs of its length.
func (l *likelihood) of(run []byte) float64 {
	p := 1.0
	for i := 1; i < len(run); i++ {
		p *= l.pairs[[2]byte{run[i-1], run[i]}]
		if i > 1 {
			p /= l.single[run[i-1]]
		}
	}
	return p
}

// slot returns the slot of an anchor, a free one if it has none.
func (m *matcher) slot(anchor uint32) *anchorSlot {
	mask := uint32(len(m.slots) - 1)
	for i := anchorHash(anchor) & mask; ; i = (i + 1) & mask {
		if s := &m.slots[i]; s.to == 0 || s.anchor == anchor {
			return s
		}
	}
}

// scan sets in h which patterns text has. text is at most maxMatch long.
func (m *matcher) scan(text []byte, h *hits) {
	*h = hits{}
	for i := 0; i+8 <= len(text); i++ {
		anchor := uint32(binary.LittleEndian.Uint64(text[i:]))
		f := anchorHash(anchor) >> (32 - filterBits)
		if m.filter[f>>6]&(1<<(f&63)) != 0 {
			m.verify(text, i, h)
		}
	}
	for i := max(len(text)-7, 0); i+anchorLength <= len(text); i++ {
		m.verify(text, i, h)
	}
	for _, p := range m.short {
		if follow(m.fragments[p], text) {
			h.found[p/64] |= 1 << (p % 64)
		}
	}
}

// verify looks for the fragments whose anchor is at text[i].
func (m *matcher) verify(text []byte, i int, h *hits) {
	s := m.slot(binary.LittleEndian.Uint32(text[i:]))
	for j := s.from; j < s.to; j++ {
		a := &m.anchored[j]
		if start := i - a.offset; start < 0 || !bytes.HasPrefix(text[start:], a.text) {
			continue
		}
		for _, p := range a.patterns {
			word, bit := p/64, uint64(1)<<(p%64)
			if h.tried[word]&bit != 0 {
				continue
			}
			h.tried[word] |= bit
			if fragments := m.fragments[p]; len(fragments) == 1 || follow(fragments, text) {
				h.found[word] |= bit
			}
		}
	}
}

// follow reports whether text has all fragments, one behind the other. Of a fragment that comes again before the next
// one does, the last counts, because what follows is nearer to it.
func follow(fragments [][]byte, text []byte) bool {
	end := indexEnd(text, fragments[0], 0)
	for k := 1; k < len(fragments) && end >= 0; k++ {
		last, next := fragments[k-1], fragments[k]
		nextEnd := indexEnd(text, next, end)
		for nextEnd >= 0 {
			// Of two that end together, the longer is seen first.
			lastEnd := indexEnd(text[:nextEnd], last, end-len(last)+1)
			if lastEnd >= 0 && (lastEnd < nextEnd || len(last) >= len(next)) {
				if end = lastEnd; nextEnd-len(next) < end {
					nextEnd = indexEnd(text, next, end)
				}
				continue
			}
			if nextEnd-len(next)-end <= maxGap {
				break
			}
			nextEnd = indexEnd(text, next, nextEnd-len(next)+1)
		}
		end = nextEnd
	}
	return end >= 0
}

// indexEnd returns where the first fragment ends that begins at text[from] or behind it, -1 if there is none.
func indexEnd(text, fragment []byte, from int) int {
	i := bytes.Index(text[from:], fragment)
	if i < 0 {
		return -1
	}
	return from + i + len(fragment)
}
