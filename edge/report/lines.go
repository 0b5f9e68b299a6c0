package report

import (
	"bytes"
	"encoding/binary"
)

// cutLine returns b up to its first line end, without it, and what follows. LF and CRLF end a line; a CR
// elsewhere is a blank inside it, because taking it for an end would let a hop that does not see headers
// that another one did not.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return trimCR(b), nil
	}
	return trimCR(b[:i]), b[i+1:]
}

// nextLine returns where the line behind that of b[i] begins: at the end of b if there is none.
func nextLine(b []byte, i int) int {
	if n := bytes.IndexByte(b[i:], '\n'); n >= 0 {
		return i + n + 1
	}
	return len(b)
}

func trimCR(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\r' {
		return b[:n-1]
	}
	return b
}

// withLF returns mail with LF where it has CR alone, as old systems and broken gateways write it. Only
// a mail without any LF in its first lines is taken for one; it is copied up to a bound, because what
// follows is never needed.
func withLF(mail []byte) []byte {
	head := mail[:min(len(mail), 2000)]
	if bytes.IndexByte(head, '\n') >= 0 || bytes.IndexByte(head, '\r') < 0 {
		return mail
	}
	return bytes.ReplaceAll(mail[:min(len(mail), maxStatusPart)], []byte{'\r'}, []byte{'\n'})
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func isDigit(c byte) bool { return c-'0' <= 9 }

func isAlnum(c byte) bool { return isDigit(c) || (c|0x20)-'a' <= 'z'-'a' }

// trim removes blanks and line ends on both sides.
func trim(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func lower(c byte) byte {
	if c-'A' <= 'Z'-'A' {
		return c | 0x20
	}
	return c
}

// toLower puts the ASCII letters of b in lower case.
func toLower(b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, lowerLetters(binary.LittleEndian.Uint64(b)))
	}
	for i, c := range b {
		b[i] = lower(c)
	}
}

// fold reports whether b is the lower-case ASCII string s in any case.
func fold(b []byte, s string) bool { return len(b) == len(s) && hasFold(b, s) }

// hasFold reports whether b begins with the lower-case ASCII string s in any case.
func hasFold(b []byte, s string) bool {
	if len(b) < len(s) {
		return false
	}
	if len(s) >= 8 {
		last := len(s) - 8
		for i := 0; i < last; i += 8 {
			if lowerLetters(binary.LittleEndian.Uint64(b[i:])) != word(s[i:]) {
				return false
			}
		}
		return lowerLetters(binary.LittleEndian.Uint64(b[last:])) == word(s[last:])
	}
	for i := 0; i < len(s); i++ {
		if lower(b[i]) != s[i] {
			return false
		}
	}
	return true
}

// word is the first eight bytes of s.
func word(s string) uint64 {
	s = s[:8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// hasPrefix reports whether b begins with s.
func hasPrefix(b []byte, s string) bool { return len(b) >= len(s) && string(b[:len(s)]) == s }

// indexFold finds the lower-case ASCII string s in b in any case. It is for short texts: its time is
// the product of both lengths at worst.
func indexFold(b []byte, s string) int {
	lo, up := s[0], s[0]
	if lo-'a' <= 'z'-'a' {
		up = lo &^ 0x20
	}
	for i := 0; i+len(s) <= len(b); i++ {
		if (b[i] == lo || b[i] == up) && hasFold(b[i:], s) {
			return i
		}
	}
	return -1
}

// Eight bytes of a text at a time, in a word whose lowest byte is the first of them. A mask of them has the highest
// bit of each byte set that it is about.
const (
	eachByte = 0x0101010101010101 // times a byte: the byte eight times
	tops     = 0x80 * eachByte    // the highest bit of each byte
)

// equalTo is the mask of the bytes of x that are c. All bytes of x are ASCII.
func equalTo(x uint64, c byte) uint64 {
	return ^((x ^ uint64(c)*eachByte) + 0x7f*eachByte) & tops
}

// lowerLetters is x with its ASCII letters in lower case.
func lowerLetters(x uint64) uint64 {
	ascii := x &^ tops
	upper := (ascii + (0x80-'A')*eachByte) &^ (ascii + (0x80-'Z'-1)*eachByte) &^ x & tops
	return x | upper>>2
}
