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
// whether they may be an anchor, which a bitmap that fits the nearest cache tells. Where all patterns are long, it asks of
// every second, fourth or eighth byte alone, and a pattern has as many anchors.
//
//	four bytes ─▶ filter, 8 KiB ─▶ slots ─▶ fragments of that anchor ─▶ is the fragment here? ─▶ patterns
//	              most end here
//
// A pattern is one fragment, or several with "*" between them that must follow each other in order, at most
// maxGap bytes apart, so that words of different sentences do not meet.
type matcher struct {
	filter [filterWords]uint64
	// filterShift leaves those bits of a hash that choose a bit of filter: 32 less filterBits or sparseBits.
	filterShift int
	stride      int          // how far apart the four bytes are that are asked for; see chooseStride
	slots       []anchorSlot // a hash table without gaps in its chains; its length is a power of two
	slotShift   int          // leaves those bits of a hash that choose a slot, the highest
	keys        []anchorKey  // of anchored: near each other, because most looks end there
	anchored    []anchored   // sorted by anchor
	short       []uint16     // patterns without four bytes in a row, each looked for by itself
	fragments   [][]fragment // by pattern
	several     []several    // patterns of several fragments
}

// several is a pattern of several fragments. Whether they follow each other is asked once all are there.
type several struct {
	pattern uint16
	all     uint8 // a bit for each fragment that has an anchor
}

// fragment is what stands between two "*" of a pattern.
type fragment struct{ text []byte }

// anchorSlot is where the fragments of one anchor lie in anchored.
type anchorSlot struct {
	anchor   uint32
	from, to uint16 // to is 0 in a free slot
}

// anchored is a fragment with the patterns that have it.
type anchored struct {
	*fragment
	offset int // of this anchor in text
	uses   []use
}

// anchorKey is an anchor and up to four bytes behind it, and which of them count.
type anchorKey struct{ word, mask uint64 }

// key returns the key of the anchor at an offset.
func (f *fragment) key(offset int) (k anchorKey) {
	for j, c := range f.text[offset:min(len(f.text), offset+8)] {
		k.word |= uint64(c) << (8 * j)
		k.mask |= 0xff << (8 * j)
	}
	return k
}

// use is what a fragment is to a pattern: all of it, or a bit of those of several.
type use struct {
	number uint16 // of the pattern; of several if bit is set
	bit    uint8
}

const (
	maxPatterns  = 2048
	maxFragments = 4
	maxSeveral   = 256 // patterns of several fragments
	maxGap       = 100
	filterBits   = 16
	filterWords  = 1 << (filterBits - 6)
	sparseBits   = 13 // of the filter where the stride is not 1
	anchorLength = 4
	maxStride    = 8
)

// hits holds which patterns a text has; it is reused for the next text.
type hits struct {
	found [maxPatterns / 64]uint64
	// seen holds the bits of the fragments that were found, by several; complete those that have all, n of them.
	seen     [maxSeveral]uint8
	complete [maxSeveral]uint8
	n        int
}

func (h *hits) has(pattern uint16) bool { return h.found[pattern/64]&(1<<(pattern%64)) != 0 }

// first returns which is the first of n patterns, the first of them of number from, that the text has; -1 if it has none.
func (h *hits) first(from, n int) int {
	for word := from / 64; word < len(h.found) && word*64 < from+n; word++ {
		set := h.found[word]
		if word == from/64 {
			set &= ^uint64(0) << (from % 64)
		}
		if set != 0 {
			if i := word*64 + bits.TrailingZeros64(set) - from; i < n {
				return i
			}
			return -1
		}
	}
	return -1
}

// anchorHash spreads four bytes over 32 bits, of which the highest are the best.
func anchorHash(anchor uint32) uint32 { return anchor * 0x9e3779b1 }

// newMatcher compiles patterns for texts in lower case, so that they are too.
func newMatcher(patterns []string) (*matcher, error) {
	for _, p := range patterns {
		if strings.ToLower(p) != p {
			return nil, fmt.Errorf("pattern %q: not in lower case", p)
		}
	}
	return newExactMatcher(patterns)
}

// newExactMatcher compiles patterns; the index of a pattern is its number.
func newExactMatcher(patterns []string) (*matcher, error) {
	if len(patterns) > maxPatterns {
		return nil, fmt.Errorf("%d patterns, at most %d", len(patterns), maxPatterns)
	}
	m := &matcher{fragments: make([][]fragment, len(patterns))}
	likely := newLikelihood(patterns)
	for i, p := range patterns {
		for text := range strings.SplitSeq(p, "*") {
			if err := checkFragment(text); err != nil {
				return nil, fmt.Errorf("pattern %q: %w", p, err)
			}
			m.fragments[i] = append(m.fragments[i], fragment{[]byte(text)})
		}
		if len(m.fragments[i]) > maxFragments {
			return nil, fmt.Errorf("pattern %q has more than %d fragments", p, maxFragments)
		}
	}
	m.chooseStride()
	if m.anchor(likely); len(m.several) > maxSeveral {
		return nil, fmt.Errorf("%d patterns of several fragments, at most %d", len(m.several), maxSeveral)
	}
	return m, nil
}

func checkFragment(fragment string) error {
	if len(fragment) < 2 {
		return errors.New("a fragment has two characters at least")
	}
	return nil
}

// chooseStride chooses the longest stride that all patterns are long enough for. With a stride of eight, only one in eight
// bytes of a text is asked for, and each fragment has eight anchors, one of which lies there wherever it stands.
func (m *matcher) chooseStride() {
	m.stride = maxStride
	for _, fragments := range m.fragments {
		for m.stride > 1 && !slices.ContainsFunc(fragments, m.hasAnchors) {
			m.stride /= 2
		}
	}
}

// hasAnchors reports whether a fragment is long enough for an anchor wherever it stands.
func (m *matcher) hasAnchors(f fragment) bool { return len(f.text) >= anchorLength+m.stride-1 }

// anchor fills the tables.
func (m *matcher) anchor(likely *likelihood) {
	byAnchor := map[uint32][]anchored{}
	var order []uint32
	add := func(f *fragment, offset int, u use) {
		key := binary.LittleEndian.Uint32(f.text[offset:])
		if byAnchor[key] == nil {
			order = append(order, key)
		}
		same := slices.IndexFunc(byAnchor[key], func(a anchored) bool { return a.offset == offset && bytes.Equal(a.text, f.text) })
		if same < 0 {
			same = len(byAnchor[key])
			byAnchor[key] = append(byAnchor[key], anchored{fragment: f, offset: offset})
		}
		byAnchor[key][same].uses = append(byAnchor[key][same].uses, u)
	}
	addAll := func(f *fragment, u use) {
		for first := range m.stride {
			add(f, likely.anchor(string(f.text), first, m.stride), u)
		}
	}
	for i, fragments := range m.fragments {
		several := several{pattern: uint16(i)}
		for j := range fragments {
			f := &fragments[j]
			switch {
			case !m.hasAnchors(*f):
			case len(fragments) == 1:
				addAll(f, use{number: uint16(i)})
				several.all = 1
			default:
				several.all |= 1 << j
				addAll(f, use{number: uint16(len(m.several)), bit: 1 << j})
			}
		}
		switch {
		case several.all == 0:
			m.short = append(m.short, uint16(i))
		case len(fragments) > 1:
			m.several = append(m.several, several)
		}
	}
	if m.filterShift = 32 - filterBits; m.stride > 1 {
		m.filterShift = 32 - sparseBits // a small one stays in the nearest cache when others are asked between
	}
	slotBits := bits.Len(uint(2*len(order) + 1))
	m.slots, m.slotShift = make([]anchorSlot, 1<<slotBits), 32-slotBits
	for _, key := range order {
		h := anchorHash(key) >> m.filterShift
		m.filter[h>>6] |= 1 << (h & 63)
		from := len(m.anchored)
		m.anchored = append(m.anchored, byAnchor[key]...)
		for _, a := range byAnchor[key] {
			m.keys = append(m.keys, a.key(a.offset))
		}
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

// anchor returns where the least likely four bytes of a text stand, of those at first and each stride behind it; -1 if
// there are none.
func (l *likelihood) anchor(text string, first, stride int) int {
	offset, least := -1, math.Inf(1)
	for i := first; i+anchorLength <= len(text); i += stride {
		if p := l.run(text[i : i+anchorLength]); p < least {
			offset, least = i, p
		}
	}
	return offset
}

// run is the likelihood of a run of letters of the patterns, up to a factor that is the same for all runs of its length.
func (l *likelihood) run(letters string) float64 {
	p := 1.0
	for i := 1; i < len(letters); i++ {
		p *= l.pairs[[2]byte{letters[i-1], letters[i]}]
		if i > 1 {
			p /= l.single[letters[i-1]]
		}
	}
	return p
}

// slot returns the slot of an anchor, a free one if it has none.
func (m *matcher) slot(anchor uint32) *anchorSlot {
	mask := uint32(len(m.slots) - 1)
	for i := anchorHash(anchor) >> m.slotShift; ; i = (i + 1) & mask {
		if s := &m.slots[i]; s.to == 0 || s.anchor == anchor {
			return s
		}
	}
}

// scan sets in h which patterns text has. text is at most maxMatch long.
func (m *matcher) scan(text []byte, h *hits) {
	h.found = [maxPatterns / 64]uint64{}
	if h.n = 0; len(m.several) > 0 {
		h.seen = [maxSeveral]uint8{}
	}
	i := 0
	if m.stride > 1 {
		i = m.scanSparsely(text, h)
	}
	// Four of each eight bytes, so that what is behind them is there for verify.
	for ; m.stride == 1 && i+12 <= len(text); i += 4 {
		word, next := binary.LittleEndian.Uint64(text[i:]), binary.LittleEndian.Uint64(text[i+4:])
		if m.mayBegin(uint32(word)) {
			m.verify(text, i, word, h)
		}
		if m.mayBegin(uint32(word >> 8)) {
			m.verify(text, i+1, word>>8|next<<24, h)
		}
		if m.mayBegin(uint32(word >> 16)) {
			m.verify(text, i+2, word>>16|next<<16, h)
		}
		if m.mayBegin(uint32(word >> 24)) {
			m.verify(text, i+3, word>>24|next<<8, h)
		}
	}
	for ; i+8 <= len(text); i++ {
		if word := binary.LittleEndian.Uint64(text[i:]); m.mayBegin(uint32(word)) {
			m.verify(text, i, word, h)
		}
	}
	var end [8 + 7]byte
	copy(end[:], text[i:])
	for j := 0; i+anchorLength <= len(text); i, j = i+m.stride, j+m.stride {
		word := binary.LittleEndian.Uint64(end[j:])
		f := anchorHash(uint32(word)) >> (m.filterShift & 31)
		if m.filter[f>>6%filterWords]&(1<<(f&63)) != 0 {
			m.verify(text, i, word, h)
		}
	}
	for _, s := range h.complete[:h.n] {
		m.ask(m.several[s].pattern, text, h)
	}
	for _, p := range m.short {
		m.ask(p, text, h)
	}
}

// mayBegin reports whether four bytes may be an anchor, for a stride of 1.
func (m *matcher) mayBegin(letters uint32) bool {
	f := anchorHash(letters) >> (32 - filterBits)
	return m.filter[f>>6]&(1<<(f&63)) != 0
}

// scanSparsely is the loop of scan for a stride. It returns where it stopped, less than eight bytes before the end.
func (m *matcher) scanSparsely(text []byte, h *hits) int {
	i, stride := 0, m.stride
	for ; i+8 <= len(text); i += stride {
		word := binary.LittleEndian.Uint64(text[i:])
		f := anchorHash(uint32(word)) >> (32 - sparseBits)
		if m.filter[f>>6]&(1<<(f&63)) != 0 {
			m.verify(text, i, word, h)
		}
	}
	return i
}

// ask sets pattern in h if its fragments follow each other in text.
func (m *matcher) ask(pattern uint16, text []byte, h *hits) {
	if follow(m.fragments[pattern], text) {
		h.found[pattern/64] |= 1 << (pattern % 64)
	}
}

// verify looks for the fragments whose anchor is at text[i], where the eight bytes of word stand.
func (m *matcher) verify(text []byte, i int, word uint64, h *hits) {
	s := m.slot(uint32(word))
	for j := s.from; j < s.to; j++ {
		if k := &m.keys[j]; (word^k.word)&k.mask != 0 {
			continue
		}
		a := &m.anchored[j]
		if start := i - a.offset; start < 0 || !bytes.HasPrefix(text[start:], a.text) {
			continue
		}
		for _, u := range a.uses {
			if u.bit == 0 {
				h.found[u.number/64] |= 1 << (u.number % 64)
				continue
			}
			if seen, all := h.seen[u.number], m.several[u.number].all; seen != all {
				if seen |= u.bit; seen == all {
					h.complete[h.n] = uint8(u.number)
					h.n++
				}
				h.seen[u.number] = seen
			}
		}
	}
}

// follow reports whether text has all fragments, one behind the other. Of a fragment that comes again before the next
// one does, the last counts, because what follows is nearer to it.
func follow(fragments []fragment, text []byte) bool {
	end := fragments[0].end(text, 0)
	for k := 1; k < len(fragments) && end >= 0; k++ {
		last, next := &fragments[k-1], &fragments[k]
		nextEnd := next.end(text, end)
		from := 0 // no last that ends behind end begins before it
		for nextEnd >= 0 {
			from = max(from, end-len(last.text)+1)
			// Of two that end together, the longer is seen first.
			lastEnd := last.end(text[:nextEnd], from)
			if lastEnd >= 0 && (lastEnd < nextEnd || len(last.text) >= len(next.text)) {
				if end = lastEnd; nextEnd-len(next.text) < end {
					nextEnd = next.end(text, end)
				}
				continue
			}
			if nextEnd-len(next.text)-end <= maxGap {
				break
			}
			from = nextEnd - len(last.text)
			nextEnd = next.end(text, nextEnd-len(next.text)+1)
		}
		end = nextEnd
	}
	return end >= 0
}

// end returns where the first f ends that begins at text[from] or behind it, -1 if there is none.
func (f *fragment) end(text []byte, from int) int {
	if i := bytes.Index(text[from:], f.text); i >= 0 {
		return from + i + len(f.text)
	}
	return -1
}
