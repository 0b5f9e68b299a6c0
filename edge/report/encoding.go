package report

import "bytes"

// transferEncoding is a Content-Transfer-Encoding (RFC 2045 §6).
type transferEncoding uint8

const (
	encodingPlain transferEncoding = iota // 7bit, 8bit, binary, and what is not known
	encodingBase64
	encodingQuoted
)

func parseEncoding(value []byte) transferEncoding {
	switch v := trim(value); {
	case fold(v, "base64"):
		return encodingBase64
	case fold(v, "quoted-printable"):
		return encodingQuoted
	}
	return encodingPlain
}

// decode undoes a transfer encoding for the first bytes of b, at most limit. Plain bytes come back as they
// are, others are appended to *scratch.
func (e transferEncoding) decode(b []byte, limit int, scratch *[]byte) []byte {
	b = b[:min(len(b), limit)]
	start := len(*scratch)
	switch e {
	case encodingBase64:
		*scratch = appendBase64(*scratch, b)
	case encodingQuoted:
		if bytes.IndexByte(b, '=') < 0 {
			return b
		}
		*scratch = appendQuoted(*scratch, b)
	default:
		return b
	}
	return (*scratch)[start:]
}

const notBase64 = 0xff

var base64Values = func() (t [256]byte) {
	for i := range t {
		t[i] = notBase64
	}
	for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		t[c] = byte(i)
	}
	return t
}()

// appendBase64 decodes b and passes over all that is not of the alphabet, as RFC 2045 §6.8 asks.
func appendBase64(dst, b []byte) []byte {
	var bits uint32
	n := 0
	for _, c := range b {
		v := base64Values[c]
		if v == notBase64 {
			continue
		}
		bits = bits<<6 | uint32(v)
		if n++; n == 4 {
			dst = append(dst, byte(bits>>16), byte(bits>>8), byte(bits))
			bits, n = 0, 0
		}
	}
	switch n {
	case 2:
		dst = append(dst, byte(bits>>4))
	case 3:
		dst = append(dst, byte(bits>>10), byte(bits>>2))
	}
	return dst
}

// appendQuoted decodes quoted-printable (RFC 2045 §6.7). What is no valid escape stays as it is.
func appendQuoted(dst, b []byte) []byte {
	for {
		i := bytes.IndexByte(b, '=')
		if i < 0 {
			return append(dst, b...)
		}
		dst = append(dst, b[:i]...)
		b = b[i:]
		if n := softBreak(b); n > 0 {
			b = b[n:]
			continue
		}
		if hi, lo := hexValue(b, 1), hexValue(b, 2); hi >= 0 && lo >= 0 {
			dst = append(dst, byte(hi<<4|lo))
			b = b[3:]
			continue
		}
		dst = append(dst, '=')
		b = b[1:]
	}
}

// softBreak returns the length of the soft line break that b begins with, counting the blanks that some
// transport has added before its line end; 0 if b begins otherwise.
func softBreak(b []byte) int {
	i := 1
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	if i == len(b) {
		return i
	}
	if b[i] == '\n' {
		return i + 1
	}
	return 0
}

// hexValue returns the value of the hexadecimal digit at b[i], or -1.
func hexValue(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch c := b[i]; {
	case isDigit(c):
		return int(c - '0')
	case c-'A' <= 5:
		return int(c-'A') + 10
	case c-'a' <= 5:
		return int(c-'a') + 10
	}
	return -1
}
