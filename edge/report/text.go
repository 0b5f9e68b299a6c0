package report

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
	"strconv"
	"unicode/utf8"
)

// words returns the first text that a human would read, its transfer encoding undone, at most maxText long.
func (r *reader) words() []byte {
	if r.textRead {
		return r.text
	}
	r.textRead, r.introRead = true, false
	p := r.part(partText)
	if p == nil {
		p = r.part(partHTML)
	}
	if p == nil {
		return nil
	}
	r.text = p.encoding.decode(p.body, maxText, &r.scratch)
	if p.typ == partHTML {
		start := len(r.scratch)
		r.scratch = appendStripped(r.scratch, r.text)
		r.text = r.scratch[start:]
	}
	return r.text
}

// intro returns the beginning of words, where a notice says what it is.
func (r *reader) intro() []byte {
	words := r.words()
	return words[:min(len(words), maxIntro)]
}

// textCharset returns the charset of words.
func (r *reader) textCharset() []byte {
	p := r.part(partText)
	if p == nil {
		p = r.part(partHTML)
	}
	if p == nil {
		return nil
	}
	return parameter(p.contentType, "charset")
}

// sayingAbout returns what a text for humans says about an address: the rest of the line that begins with it
// and the lines that follow, up to a blank line; or the next paragraph if nothing follows. Nil if no
// line begins with the address.
//
//	<bob@example.com>: host mx.example.com[192.0.2.1] said: 550 5.1.1
//	    User unknown (in reply to RCPT TO command)
func sayingAbout(text, address []byte) []byte {
	if len(address) == 0 {
		return nil
	}
	text = text[:min(len(text), maxContext)]
	for from := 0; ; {
		i := bytes.Index(text[from:], address)
		if i < 0 {
			return nil
		}
		i += from
		from = i + len(address)
		if !beginsLine(text, i) {
			continue
		}
		rest := bytes.TrimLeft(text[from:], ">\"')]*:;,. \t\r")
		if len(rest) > 0 && rest[0] == '\n' {
			rest = rest[1:]
		}
		if said := paragraph(rest); hasLetters(said) {
			return said
		}
	}
}

// maxContext is how much of a text for humans is searched for an address, maxSearches for how many
// addresses: together they bound what a report of many recipients can cost.
const (
	maxContext  = 16 << 10
	maxSearches = 100
)

// beginsLine reports whether only ornaments stand between the line's beginning and text[i].
func beginsLine(text []byte, i int) bool {
	for i--; i >= 0; i-- {
		switch text[i] {
		case '\n':
			return true
		case ' ', '\t', '<', '"', '\'', '*', '>', '-', '(', '[', '=':
		default:
			return false
		}
	}
	return true
}

// paragraph returns the lines of b up to a blank line or a ruler.
func paragraph(b []byte) []byte {
	all := b
	for len(b) > 0 {
		line, rest := cutLine(b)
		t := trim(line)
		if len(t) == 0 || isRuler(t) {
			break
		}
		b = rest
	}
	return trim(all[:len(all)-len(b)])
}

// isRuler reports whether a line only separates: three or more of the same sign at its beginning.
func isRuler(line []byte) bool {
	if len(line) < 3 {
		return false
	}
	c := line[0]
	return (c == '-' || c == '=' || c == '*' || c == '_' || c == '#') && line[1] == c && line[2] == c
}

// about returns the part of a text around an address: from the line where it first stands to the next
// blank line. Nil if the address is not in the text.
func about(text, address []byte) []byte {
	if len(address) == 0 {
		return nil
	}
	text = text[:min(len(text), maxContext)]
	i := bytes.Index(text, address)
	if i < 0 {
		return nil
	}
	return paragraph(text[bytes.LastIndexByte(text[:i], '\n')+1:])
}

// normalize appends what the rules see of text: lower case, blanks as single spaces, without the codes that
// a multi-line reply repeats on each line, and with "@" for each address, so that nobody's name decides.
//
//	550-5.1.1 The account\r\n550 5.1.1 <Bob@example.com> is gone  ─▶  " 550-5.1.1 the account <@> is gone "
func normalize(dst, text, code []byte) []byte {
	n := len(dst)
	limit := n + maxMatch - 1
	dst = slices.Grow(dst, min(len(text), maxMatch)+8+2)
	dst = dst[:cap(dst)]
	dst[n] = ' ' // so that a pattern can ask for the beginning of a word
	n++
	first := byte(noCode)
	if len(code) == 3 {
		first = code[0]
	}
	said := len(code) > 0 && bytes.HasPrefix(text, code)
	for i := 0; i < len(text) && n < limit; i++ {
		for i+8 <= len(text) && n+8 <= limit {
			x := binary.LittleEndian.Uint64(text[i:])
			binary.LittleEndian.PutUint64(dst[n:], lowerLetters(x))
			plain := plainLetters(x, dst[n-1], first)
			n, i = n+plain, i+plain
			if plain < 8 {
				break
			}
		}
		if i == len(text) || n == limit {
			break
		}
		switch c := normalized[text[i]]; c {
		default:
			dst[n] = c
			n++
		case ' ':
			if dst[n-1] != ' ' {
				dst[n] = ' '
				n++
			}
			for i+1 < len(text) && isBlank(text[i+1]) {
				i++
			}
			if i+1 < len(text) && text[i+1] == first {
				if skip := codeLength(text[i+1:], code); skip > 0 {
					if said {
						i += skip
					}
					said = true
				}
			}
		case normalDrop:
		case normalEnd:
			dst[n] = text[i]
			n++
		case '@':
			token := n // where the word begins in dst
			for normalized[dst[token-1]] > normalEnd && dst[token-1] != ' ' {
				token--
			}
			if dst[token] = '@'; token == n {
				n++
				continue
			}
			n = token + 1
			for i+1 < len(text) && !addressEnd(text[i+1]) {
				i++
			}
		}
	}
	dst[n] = ' '
	return dst[:n+1]
}

// noCode is what no letter of a text is, as the first one of a code that is not there.
const noCode = 0xff

// plainLetters returns how many of the eight bytes of x normalize takes as they are, but for case: those before the first
// control character, "@", second blank in a row, or blank before what may be a code, which begins with first.
func plainLetters(x uint64, before, first byte) int {
	ascii := x &^ tops
	blanks := equalTo(ascii, ' ') &^ x
	stop := ^((ascii & (0x60 * eachByte)) + 0x7f*eachByte) // below a blank
	stop |= ascii + eachByte                               // 0x7f
	stop |= equalTo(ascii, '@')
	stop &^= x
	behind := blanks << 8
	if before == ' ' {
		behind |= 0x80
	}
	if first != noCode {
		behind |= equalTo(ascii, first)>>8 | 0x80<<56 // a blank at the end is looked at with what is behind it
	}
	return bits.TrailingZeros64((stop|blanks&behind)&tops) >> 3
}

// What normalize makes of a byte, where that is not another byte: nothing, or itself as the end of an address.
const (
	normalDrop = 0
	normalEnd  = 1
)

// normalized holds for each byte what normalize makes of it.
var normalized = func() (t [256]byte) {
	for i := range t {
		c := byte(i)
		switch {
		case isBlank(c):
			t[i] = ' '
		case c < ' ' || c == 0x7f: // a control character inside a word must not hide it
			t[i] = normalDrop
		case addressEnd(c):
			t[i] = normalEnd
		default:
			t[i] = lower(c)
		}
	}
	return t
}()

// codeLength returns the length of "550-5.1.1 " or "550 5.1.1 " at the beginning of b, for the given code.
func codeLength(b, code []byte) int {
	if len(code) != 3 || len(b) < 5 || !bytes.HasPrefix(b, code) || b[3] != '-' && b[3] != ' ' {
		return 0
	}
	n := 4
	if s := statusAt(b, 4); s > 0 {
		n += s
	}
	return n
}

// appendStripped appends the text of an HTML page: tags vanish, those that end a line become one.
func appendStripped(dst, b []byte) []byte {
	for len(b) > 0 {
		i := 0
		for i < len(b) && b[i] != '<' && b[i] != '&' {
			i++
		}
		if i == len(b) {
			return append(dst, b...)
		}
		dst = append(dst, b[:i]...)
		b = b[i:]
		if b[0] == '&' {
			var n int
			dst, n = appendEntity(dst, b)
			b = b[n:]
			continue
		}
		end := bytes.IndexByte(b, '>')
		if end < 0 {
			return dst
		}
		tag := b[1:end]
		b = b[end+1:]
		switch {
		case hasFold(tag, "br"), hasFold(tag, "p"), hasFold(tag, "/p"), hasFold(tag, "/div"), hasFold(tag, "/tr"),
			hasFold(tag, "/li"), hasFold(tag, "/h"), hasFold(tag, "/td"):
			dst = append(dst, '\n')
		case hasFold(tag, "style"), hasFold(tag, "script"):
			if close := indexFold(b, "</s"); close >= 0 {
				b = b[close:]
			} else {
				b = nil
			}
		}
	}
	return dst
}

var entities = []struct{ name, text string }{
	{"&lt;", "<"}, {"&gt;", ">"}, {"&amp;", "&"}, {"&quot;", `"`}, {"&nbsp;", " "}, {"&apos;", "'"},
}

// appendEntity appends what the character reference at the beginning of b stands for and returns its length.
func appendEntity(dst, b []byte) ([]byte, int) {
	for _, e := range entities {
		if hasFold(b, e.name) {
			return append(dst, e.text...), len(e.name)
		}
	}
	if end := bytes.IndexByte(b[:min(len(b), 10)], ';'); end > 2 && b[1] == '#' {
		digits, base := b[2:end], 10
		if lower(digits[0]) == 'x' {
			digits, base = digits[1:], 16
		}
		if n, err := strconv.ParseUint(string(digits), base, 21); err == nil && utf8.ValidRune(rune(n)) {
			return utf8.AppendRune(dst, rune(n)), end + 1
		}
	}
	return append(dst, '&'), 1
}
