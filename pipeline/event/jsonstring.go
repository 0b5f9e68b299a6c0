package event

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// String reads a string. Bytes that are no UTF-8 and halves of surrogate pairs become U+FFFD.
func (r *JSONReader) String() string {
	if r.peek() != '"' {
		if !r.null() {
			r.Fail("want a string")
		}
		return ""
	}
	return r.quoted()
}

// quoted reads the string that begins at pos.
func (r *JSONReader) quoted() string {
	start := r.pos + 1
	ascii := byte(0)
	for i := start; i < len(r.text); i++ {
		c := r.text[i]
		switch {
		case c == '"':
			r.pos = i + 1
			return valid(r.text[start:i], ascii)
		case c == '\\':
			return r.unescape(start, i)
		case c < 0x20:
			r.pos = i
			r.syntax("control character in a string")
			return ""
		}
		ascii |= c
	}
	r.syntax("string without an end")
	return ""
}

func valid(s string, ascii byte) string {
	if ascii < utf8.RuneSelf || utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// unescape reads the rest of a string that began at start and has its first backslash at i.
func (r *JSONReader) unescape(start, i int) string {
	b := make([]byte, 0, len(r.text[start:i])+64)
	b = append(b, r.text[start:i]...)
	for i < len(r.text) {
		c := r.text[i]
		switch {
		case c == '"':
			r.pos = i + 1
			return valid(string(b), 0xFF)
		case c < 0x20:
			r.pos = i
			r.syntax("control character in a string")
			return ""
		case c != '\\':
			b = append(b, c)
			i++
			continue
		}
		var n int
		if b, n = appendEscaped(b, r.text[i:]); n == 0 {
			r.pos = i
			r.syntax("bad escape in a string")
			return ""
		}
		i += n
	}
	r.syntax("string without an end")
	return ""
}

// appendEscaped appends what the escape at the front of s stands for; n is the escape's length, 0 if it is none.
func appendEscaped(b []byte, s string) (_ []byte, n int) {
	if len(s) < 2 {
		return b, 0
	}
	switch s[1] {
	case '"', '\\', '/':
		return append(b, s[1]), 2
	case 'b':
		return append(b, '\b'), 2
	case 'f':
		return append(b, '\f'), 2
	case 'n':
		return append(b, '\n'), 2
	case 'r':
		return append(b, '\r'), 2
	case 't':
		return append(b, '\t'), 2
	case 'u':
		u, ok := hex4(s)
		if !ok {
			return b, 0
		}
		if low, ok := hex4(s[6:]); ok && utf16.IsSurrogate(u) {
			if full := utf16.DecodeRune(u, low); full != utf8.RuneError {
				return utf8.AppendRune(b, full), 12
			}
		}
		return utf8.AppendRune(b, u), 6 // a surrogate becomes U+FFFD here
	}
	return b, 0
}

// hex4 reads \uXXXX.
func hex4(s string) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var u rune
	for _, c := range []byte(s[2:6]) {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		u = u<<4 | rune(c)
	}
	return u, true
}

const hexDigits = "0123456789abcdef"

// AppendJSONString appends s as a JSON string, as all our JSON has them.
func AppendJSONString(dst []byte, s string) []byte { return appendString(dst, s) }

// appendString appends s as a JSON string, with the escapes of encoding/json but none for HTML. Bytes that are no
// UTF-8 become U+FFFD, one each.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= 0x20 && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = appendEscape(append(dst, s[start:i]...), c)
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(append(dst, s[start:i]...), `\ufffd`...)
			start = i + n
		case r == '\u2028' || r == '\u2029': // line ends to JavaScript before 2019
			dst = append(append(dst, s[start:i]...), `\u202`...)
			dst = append(dst, hexDigits[r&0xF])
			start = i + n
		}
		i += n
	}
	return append(append(dst, s[start:]...), '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xF])
}
