package report

import (
	"bytes"
	"encoding/base64"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/transform"
)

// maxCharset is the longest name of a charset that is looked up.
const maxCharset = 40

// toUTF8 returns b in UTF-8, from the charset that its part names. ASCII and UTF-8 come back as they are.
func toUTF8(b, charset []byte) []byte {
	switch {
	case len(charset) > 0 && isShifted(charset):
		if out := fromShifted(b, charset); out != nil {
			return out
		}
	case bytes.IndexByte(b, '\x1b') >= 0:
		return decodeWith(escapeEncoding(b), unshift(b))
	case utf8.Valid(b):
		return b
	}
	return decodeWith(findEncoding(string(charset[:min(len(charset), maxCharset)])), b)
}

// decodeWith returns b decoded; b itself if it can't be.
func decodeWith(e encoding.Encoding, b []byte) []byte {
	out, _, err := transform.Bytes(e.NewDecoder(), b)
	if err != nil {
		return b
	}
	return out
}

// aliases are names that mail uses and neither the WHATWG nor the IANA registry knows.
var aliases = map[string]encoding.Encoding{
	"cp932": japanese.ShiftJIS, "ms932": japanese.ShiftJIS, "x-sjis-cp932": japanese.ShiftJIS,
	"cp949": korean.EUCKR, "uhc": korean.EUCKR, "x-windows-949": korean.EUCKR, "ks_c_5601": korean.EUCKR,
	"cp936": simplifiedchinese.GB18030, "gb-2312": simplifiedchinese.GB18030,
	"cp20127": charmap.Windows1252, "koi8r": charmap.KOI8R, "koi8u": charmap.KOI8U,
}

// findEncoding returns the encoding of a name; that of Windows in the west where there is none, because that is what
// mail in no charset has most often.
func findEncoding(name string) encoding.Encoding {
	if e, err := htmlindex.Get(name); err == nil && e != encoding.Replacement {
		return e
	}
	if e, ok := aliases[string(bytes.ToLower([]byte(name)))]; ok {
		return e
	}
	if e, err := ianaindex.MIME.Encoding(name); err == nil && e != nil && e != encoding.Replacement {
		return e
	}
	return charmap.Windows1252
}

// escapeEncoding returns the encoding of text with escape sequences, whatever its header says.
func escapeEncoding(b []byte) encoding.Encoding {
	if isKorean(b) {
		return korean.EUCKR
	}
	return japanese.ISO2022JP // RFC 1468
}

// isKorean reports whether b has the sequence that begins ISO-2022-KR (RFC 1557).
func isKorean(b []byte) bool { return bytes.Contains(b, []byte("\x1b$)C")) }

// unshift makes EUC-KR of ISO-2022-KR: between SO and SI the highest bit is to be set.
func unshift(b []byte) []byte {
	if !isKorean(b) {
		return b
	}
	b = bytes.ReplaceAll(b, []byte("\x1b$)C"), nil)
	out, shifted := make([]byte, 0, len(b)), false
	for _, c := range b {
		switch {
		case c == 0x0e:
			shifted = true
		case c == 0x0f, c == '\n':
			shifted = false
			if c == '\n' {
				out = append(out, c)
			}
		case shifted && c > ' ':
			out = append(out, c|0x80)
		default:
			out = append(out, c)
		}
	}
	return out
}

// isShifted reports whether a charset looks like ASCII and is not, so that only its name tells.
func isShifted(charset []byte) bool {
	return hasFold(charset, "utf-7") || hasFold(charset, "unicode-1-1-utf-7") || hasFold(charset, "hz-gb")
}

func fromShifted(b, charset []byte) []byte {
	if hasFold(charset, "hz-gb") {
		return decodeWith(simplifiedchinese.HZGB2312, b)
	}
	return appendUTF7(make([]byte, 0, len(b)), b)
}

// appendUTF7 appends b, which is UTF-7 (RFC 2152), as UTF-8. No library that is kept up reads it. What is no UTF-7 stays
// as it is.
func appendUTF7(dst, b []byte) []byte {
	for len(b) > 0 {
		i := bytes.IndexByte(b, '+')
		if i < 0 {
			break
		}
		dst = append(dst, b[:i]...)
		b = b[i+1:]
		n := 0
		for n < len(b) && (isAlnum(b[n]) || b[n] == '+' || b[n] == '/') {
			n++
		}
		if n == 0 {
			dst = append(dst, '+') // "+-" is a plus
		} else if runes, ok := utf16Base64(b[:n]); ok {
			for _, r := range runes {
				dst = utf8.AppendRune(dst, r)
			}
		} else {
			dst = append(append(dst, '+'), b[:n]...)
		}
		if b = b[n:]; len(b) > 0 && b[0] == '-' {
			b = b[1:]
		}
	}
	return append(dst, b...)
}

// utf16Base64 decodes UTF-16 in base64 without padding.
func utf16Base64(b []byte) ([]rune, bool) {
	raw := make([]byte, base64.RawStdEncoding.DecodedLen(len(b)))
	n, err := base64.RawStdEncoding.Decode(raw, b)
	if err != nil || n < 2 {
		return nil, false
	}
	units := make([]uint16, n/2)
	for i := range units {
		units[i] = uint16(raw[2*i])<<8 | uint16(raw[2*i+1])
	}
	return utf16.Decode(units), true
}

// isEscaped reports whether text of a charset may look like ASCII without being it.
func isEscaped(charset []byte) bool { return isShifted(charset) || hasFold(charset, "iso-2022-") }
