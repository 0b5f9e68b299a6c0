package report

import "encoding/binary"

// grams tells most phrases off that are not in a text, for the price of one pass over it, however many phrases are asked
// for: it holds a bit for each four bytes of the text that begin at an even offset.
type grams struct {
	bits [1 << (gramBits - 6)]uint64
	read bool
}

const gramBits = 13

// mayHave reports whether text may have a phrase. It reads the text when it is asked first.
func (g *grams) mayHave(text, phrase []byte) bool {
	if !g.read {
		g.read = true
		clear(g.bits[:])
		for i := 0; i+4 <= len(text); i += 2 {
			bit := gram(text[i:])
			g.bits[bit>>6] |= 1 << (bit & 63)
		}
	}
	if len(phrase) < 9 {
		return true
	}
	// The phrase may begin at an even offset or at an odd one.
	return g.hasAll(phrase) || g.hasAll(phrase[1:])
}

// hasAll reports whether the text may have b at an even offset.
func (g *grams) hasAll(b []byte) bool {
	for ; len(b) >= 4; b = b[2:] {
		if !g.has(b) {
			return false
		}
	}
	return true
}

func (g *grams) has(b []byte) bool {
	bit := gram(b)
	return g.bits[bit>>6]&(1<<(bit&63)) != 0
}

// gram is the number of the bit of the first four bytes of b.
func gram(b []byte) uint32 { return anchorHash(binary.LittleEndian.Uint32(b)) >> (32 - gramBits) }
