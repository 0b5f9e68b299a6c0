package report

import (
	"bytes"
	"unicode/utf8"
)

// addressEnds holds which characters end an address in running text.
var addressEnds = func() (t [256]bool) {
	for _, c := range []byte(" \t\r\n<>()[]\"',;:\\`|") {
		t[c] = true
	}
	return t
}()

// addressEnd reports whether c ends an address in running text.
func addressEnd(c byte) bool { return addressEnds[c] }

// findAddress returns the first address in running text and what follows it; nil if there is none.
func findAddress(b []byte) (address, rest []byte) {
	for from := 0; ; {
		at := bytes.IndexByte(b[from:], '@')
		if at < 0 {
			return nil, nil
		}
		at += from
		start, end := at, at+1
		if at > 0 && b[at-1] == '"' {
			start = quotedStart(b, at-1)
		} else {
			for start > from && !addressEnd(b[start-1]) {
				start--
			}
		}
		for end < len(b) && isDomain(b[end]) {
			end++
		}
		if end < len(b) && !addressEnd(b[end]) {
			from = end // text of another charset, or code
			continue
		}
		address = trimDot(b[start:end])
		if len(address) <= maxAddress && start < at && end > at+1 {
			return address, b[end:]
		}
		from = end
	}
}

// isDomain reports whether c may stand in a domain name, internationalized ones included.
func isDomain(c byte) bool { return isAlnum(c) || c == '.' || c == '-' || c == '_' || c >= 0x80 }

// quotedStart returns where the quoted local part begins whose closing quote is at b[end]; end+1 if it
// never begins.
func quotedStart(b []byte, end int) int {
	for i := end - 1; i >= 0 && end-i <= maxAddress; i-- {
		if b[i] == '"' && (i == 0 || b[i-1] != '\\') {
			return i
		}
		if b[i] == '\n' {
			break
		}
	}
	return end + 1
}

// trimDot removes the full stop of a sentence that ends with an address.
func trimDot(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == '.' {
		b = b[:len(b)-1]
	}
	return b
}

// addrSpec returns the address in a header value such as From, a path in brackets or an address alone.
// A display name may hold an "@", so brackets win; comments are passed over (RFC 5322 §3.4).
func addrSpec(value []byte) []byte {
	value = trim(value[:min(len(value), 2000)])
	if open := bytes.LastIndexByte(value, '<'); open >= 0 {
		inner := value[open+1:]
		if end := bytes.IndexByte(inner, '>'); end >= 0 {
			inner = inner[:end]
		}
		inner = trim(inner)
		if i := bytes.LastIndexByte(inner, ':'); i >= 0 && len(inner) > 0 && inner[0] == '@' {
			inner = inner[i+1:] // a source route, RFC 5321 §4.1.2
		}
		if len(inner) <= maxAddress && bytes.IndexByte(inner, '@') > 0 {
			return inner
		}
		if open == 0 || len(inner) == 0 {
			return nil
		}
		value = value[:open]
	}
	address, _ := findAddress(value)
	return address
}

// appendAddress appends an address in the form in which it is told: its domain in lower case, its local
// part without quotes where they only protect dots. Blanks and control characters are dropped.
func appendAddress(dst, b []byte) []byte {
	at := bytes.LastIndexByte(b, '@')
	local, domain := b, b[len(b):]
	if at >= 0 {
		local, domain = b[:at], b[at:]
	}
	if n := len(local); n >= 2 && local[0] == '"' && local[n-1] == '"' && isDotted(local[1:n-1]) {
		local = local[1 : n-1]
	}
	for _, c := range local {
		if c > ' ' && c != 0x7f || c == ' ' && local[0] == '"' {
			dst = append(dst, c)
		}
	}
	for _, c := range domain {
		if c > ' ' && c != 0x7f {
			dst = append(dst, lower(c))
		}
	}
	return dst
}

// isDotted reports whether b holds only what a local part may hold without quotes, and dots anywhere: some
// mobile carriers have let dots stand in a row or at the end.
func isDotted(b []byte) bool {
	for _, c := range b {
		if !isAlnum(c) && bytes.IndexByte([]byte("!#$%&'*+-/=?^_`{|}~."), c) < 0 {
			return false
		}
	}
	return len(b) > 0
}

// typedAddress reads a recipient field of a delivery status: an address type, a semicolon and an address
// (RFC 3464 §2.1.2), either of which real reports leave out. The result may lie in scratch.
func typedAddress(value []byte, original bool, scratch *[]byte) []byte {
	value = trim(value[:min(len(value), 2000)])
	var typ []byte
	if i := bytes.IndexByte(value, ';'); i >= 0 && bytes.IndexByte(value[:i], '@') < 0 && value[0] != '"' {
		typ, value = trim(value[:i]), trim(value[i+1:])
	}
	start := len(*scratch)
	switch {
	case fold(typ, "utf-8"):
		*scratch = appendUnitext(*scratch, value)
		value = (*scratch)[start:]
	case original && isXtext(value):
		*scratch = appendXtext(*scratch, value)
		value = (*scratch)[start:]
	}
	if n := len(value); n > 2 && value[0] == '<' && value[n-1] == '>' {
		value = trim(value[1 : n-1])
	}
	if at := bytes.LastIndexByte(value, '@'); at > 0 && at < len(value)-1 && !hasBlank(value) && len(value) <= maxAddress {
		return value
	}
	if address, _ := findAddress(value); address != nil {
		return address
	}
	return nil
}

// hasBlank reports whether b holds blanks outside of a quoted local part.
func hasBlank(b []byte) bool {
	if len(b) > 0 && b[0] == '"' {
		return false
	}
	for _, c := range b {
		if isBlank(c) {
			return true
		}
	}
	return false
}

// appendUnitext undoes the \x{HEX} forms of a utf-8 address (RFC 6533 §3).
func appendUnitext(dst, b []byte) []byte {
	for i := 0; i < len(b); {
		if b[i] == '\\' && i+3 < len(b) && b[i+1] == 'x' && b[i+2] == '{' {
			r, n := rune(0), i+3
			for n < len(b) && n < i+9 && hexValue(b, n) >= 0 {
				r = r<<4 | rune(hexValue(b, n))
				n++
			}
			if n > i+3 && n < len(b) && b[n] == '}' && utf8.ValidRune(r) {
				dst = utf8.AppendRune(dst, r)
				i = n + 1
				continue
			}
		}
		dst = append(dst, b[i])
		i++
	}
	return dst
}

// isXtext reports whether every "+" of b begins a hexchar as xtext writes it, in upper case (RFC 3461 §4),
// and there is one. An address with a plain "+" is none.
func isXtext(b []byte) bool {
	found := false
	for i, c := range b {
		if c != '+' {
			continue
		}
		hi, lo := hexValue(b, i+1), hexValue(b, i+2)
		if hi < 0 || lo < 0 || b[i+1] >= 'a' || b[i+2] >= 'a' || hi<<4|lo < 0x20 {
			return false
		}
		found = true
	}
	return found
}

func appendXtext(dst, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		if b[i] == '+' && hexValue(b, i+1) >= 0 && hexValue(b, i+2) >= 0 {
			dst = append(dst, byte(hexValue(b, i+1)<<4|hexValue(b, i+2)))
			i += 2
			continue
		}
		dst = append(dst, b[i])
	}
	return dst
}
