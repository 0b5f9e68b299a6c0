package rollup

import (
	"encoding/binary"
	"math/bits"

	"carom/pipeline/event"
)

// A stored enrollment:
//
//	┌─────────┬───────────────────┬──────┬─────────────────────────┬────────────────────┬────────────────┬────────────┬────────────
//	│ version │ provider, contact,│ seen │ time of each bit of seen│ hits (4), until,   │ m, the number  │ m messages │ n facts …
//	│ 3       │ each with length  │      │ of gone, from bit 1     │ if bit 0 is set    │ of messages    │            │
//	└─────────┴───────────────────┴──────┴─────────────────────────┴────────────────────┴────────────────┴────────────┴────────────
//
// A time of bounces has the category(1) behind it. Version 2 has no provider, no contact, and no category. Version 1 has no
// hits either, and never bit 0.
//
// and each fact, until the end:
//
//	┌──────────────────────────┬─────────────┬─────────────┬──────────────────┬────────────────────────┬──────────────┐
//	│ what(4 bits) revised(1)  │ category, if│ event id    │ revision, if     │ message, from 1; 0 is  │ time after   │
//	│ placed(1) categorised(1) │ categorised │ 6           │ revised          │ none; only if placed   │ fact before  │
//	└──────────────────────────┴─────────────┴─────────────┴──────────────────┴────────────────────────┴──────────────┘
//
// Numbers are uvarints, times varints of milliseconds. A fact that is not placed is about message 1, or about none if
// there is no message: most enrollments have one message only, and pay nothing for telling messages apart.
const (
	factRevised     byte = 1 << 4
	factPlaced      byte = 1 << 5
	factCategorised byte = 1 << 6
	factKnown            = 1<<7 - 1
)

func (e *enrollment) append(dst []byte) []byte {
	dst = append(dst, enrollmentVersion)
	dst = appendText(appendText(dst, e.provider), e.contact)
	dst = e.gone.append(dst)
	var stack [maxFacts]uint64
	messages := e.messages(stack[:0])
	dst = binary.AppendUvarint(dst, uint64(len(messages)))
	for _, m := range messages {
		dst = binary.AppendUvarint(dst, m)
	}
	var before event.Millis
	for _, f := range e.facts {
		dst = f.append(dst, messages, before)
		before = f.at
	}
	return dst
}

// messages appends the messages that the facts are about, in the order of their first facts.
func (e *enrollment) messages(dst []uint64) []uint64 {
	for _, f := range e.facts {
		if f.message != 0 && place(dst, f.message) == 0 {
			dst = append(dst, f.message)
		}
	}
	return dst
}

// place returns the place of m in messages, from 1; 0 if it is none of them.
func place(messages []uint64, m uint64) uint64 {
	for i := range messages {
		if messages[i] == m {
			return uint64(i) + 1
		}
	}
	return 0
}

// unplaced is the place of a fact that tells none.
func unplaced(messages []uint64) uint64 { return uint64(min(1, len(messages))) }

func (f *fact) append(dst []byte, messages []uint64, before event.Millis) []byte {
	head := byte(f.what)
	at := place(messages, f.message)
	if f.revision != 0 {
		head |= factRevised
	}
	if at != unplaced(messages) {
		head |= factPlaced
	}
	if f.category != 0 {
		dst = append(dst, head|factCategorised, f.category)
	} else {
		dst = append(dst, head)
	}
	dst = appendUint(dst, f.id, idBytes)
	if f.revision != 0 {
		dst = binary.AppendUvarint(dst, uint64(f.revision))
	}
	if at != unplaced(messages) {
		dst = binary.AppendUvarint(dst, at)
	}
	return binary.AppendVarint(dst, int64(f.at-before))
}

// seenHits in seen says that numbers of hits follow the times. Of nothing there is no time: its bit is free.
const seenHits = 1 << nothing

func (g *forgotten) append(dst []byte) []byte {
	seen := g.seen
	if g.hits != (hits{}) || g.until != 0 {
		seen |= seenHits
	}
	dst = binary.AppendUvarint(dst, uint64(seen))
	for w := range whatEnd {
		if g.has(w) {
			dst = binary.AppendVarint(dst, int64(g.at[w]))
			if of := g.categoryOf(w); of != nil {
				dst = append(dst, *of)
			}
		}
	}
	if seen&seenHits == 0 {
		return dst
	}
	for _, n := range g.hits {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	return binary.AppendVarint(dst, int64(g.until))
}

// decode reads what append wrote into e, replacing all of it.
func (e *enrollment) decode(value []byte) error {
	version, s := openVersions(value, 1, enrollmentVersion, "enrollment")
	e.facts = e.facts[:0]
	e.provider, e.contact = "", e.contact[:0]
	if version >= 3 {
		e.provider = e.text(s.text())
		e.contact = append(e.contact, s.text()...)
	}
	e.gone = s.forgotten(version)
	var messages [maxFacts]uint64
	m := s.count(maxFacts)
	for i := range m {
		messages[i] = s.uvarint()
	}
	var before event.Millis
	for len(s.rest) > 0 {
		if len(e.facts) == maxFacts {
			return errValue
		}
		f := s.fact(messages[:m], before)
		before = f.at
		e.facts = append(e.facts, f)
	}
	return s.end()
}

func (s *source) fact(messages []uint64, before event.Millis) fact {
	head := s.byte()
	f := fact{what: what(head & 0x0f)}
	if head&factCategorised != 0 {
		f.category = s.category()
	}
	f.id = s.uint(idBytes)
	if head&factRevised != 0 {
		f.revision = s.uint32()
	}
	at := unplaced(messages)
	if head&factPlaced != 0 {
		at = s.uvarint()
	}
	if at > uint64(len(messages)) || f.what >= whatEnd || head > factKnown {
		s.fail()
		return fact{}
	}
	if at > 0 {
		f.message = messages[at-1]
	}
	f.at = before + s.millis()
	return f
}

// category reads the place of a category; a newer Carom may know more.
func (s *source) category() uint8 { return min(s.byte(), categoryOther) }

func (s *source) forgotten(version byte) (g forgotten) {
	seen := s.uvarint()
	if bits.Len64(seen) > int(whatEnd) || version == 1 && seen&seenHits != 0 {
		s.fail()
		return g
	}
	g.seen = uint16(seen &^ seenHits)
	for w := range whatEnd {
		if g.has(w) {
			g.at[w] = s.millis()
			if of := g.categoryOf(w); of != nil && version >= 3 {
				*of = s.category()
			}
		}
	}
	switch {
	case version == 1:
		g.assumeHits()
	case seen&seenHits != 0:
		for i := range g.hits {
			g.hits[i] = s.uint32()
		}
		g.until = s.millis()
	}
	return g
}

// assumeHits fills in what version 1 did not count: of each kind that there is, one at least.
func (g *forgotten) assumeHits() {
	for w := openedHuman; w <= clickedMachine; w++ {
		if g.has(w) {
			g.addHit(&fact{what: w, at: g.at[w]})
		}
	}
}
