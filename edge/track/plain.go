package track

import (
	"bytes"
	"encoding/binary"
)

// plainRequest is one that the fast lane takes: what mail programs, browsers and their proxies send for a picture or a
// link, and nothing else. Its fields alias the buffer that was parsed.
//
//	GET /o/TOKEN HTTP/1.1          no other method, no absolute form, no other version
//	Host: track.example.com        exactly one, letters, digits, dots, hyphens and a port
//	Name: value                    ASCII without controls; each name that means something to us once at most
//	                               nothing behind the empty line
type plainRequest struct {
	target    []byte
	agent     []byte
	referer   []byte
	accept    []byte
	purpose   []byte
	forwarded []byte
	seen      headerSet
}

// headerSet says which header fields there were.
type headerSet uint8

const (
	hasHost headerSet = 1 << iota
	hasAgent
	hasReferer
	hasAccept
	hasPurpose // one of the four
	hasForwarded
	hasConnection
	hasCookie
)

var (
	plainMethod  = []byte("GET /")
	plainVersion = []byte("HTTP/1.1\r")
)

// parse reads b, which must hold one request, all of it and nothing more. It reports whether that is plain; what isn't
// is fasthttp's, be it broken or only unusual: where this is in doubt, it says no.
func (p *plainRequest) parse(b []byte) bool {
	*p = plainRequest{}
	end := bytes.IndexByte(b, '\n')
	if end < 0 || !bytes.HasPrefix(b, plainMethod) {
		return false
	}
	line, rest := b[len(plainMethod)-1:end], b[end+1:]
	space := bytes.IndexByte(line, ' ')
	if space < 0 || !bytes.Equal(line[space+1:], plainVersion) || !printable(line[:space]) {
		return false
	}
	p.target = line[:space]
	for {
		end = bytes.IndexByte(rest, '\n')
		if end < 1 || rest[end-1] != '\r' {
			return false
		}
		if line, rest = rest[:end-1], rest[end+1:]; len(line) == 0 {
			break
		}
		if !p.field(line) {
			return false
		}
	}
	return len(rest) == 0 && p.seen&hasHost != 0
}

// field takes a header line.
func (p *plainRequest) field(line []byte) bool {
	if !printable(line) {
		return false
	}
	colon := bytes.IndexByte(line, ':')
	if colon < 1 {
		return false
	}
	name, value := line[:colon], line[colon+1:]
	for _, c := range name {
		if !nameLetters[c] {
			return false
		}
	}
	for len(value) > 0 && value[0] == ' ' {
		value = value[1:]
	}
	for len(value) > 0 && value[len(value)-1] == ' ' {
		value = value[:len(value)-1]
	}
	return p.take(name, value)
}

// take keeps the value of a field that says something. It refuses those that would change how the request is read or the
// connection goes on.
func (p *plainRequest) take(name, value []byte) bool {
	switch len(name) {
	case 4:
		if is(name, "host") {
			return p.once(hasHost, nil, value) && plainHost(value)
		}
	case 5:
		if is(name, "x-moz") {
			return p.once(hasPurpose, &p.purpose, value)
		}
	case 6:
		switch {
		case is(name, "accept"):
			return p.once(hasAccept, &p.accept, value)
		case is(name, "cookie"):
			p.seen |= hasCookie
		case is(name, "expect"):
			return false
		}
	case 7:
		switch {
		case is(name, "referer"):
			return p.once(hasReferer, &p.referer, value)
		case is(name, "purpose"):
			return p.once(hasPurpose, &p.purpose, value)
		case is(name, "trailer"), is(name, "upgrade"):
			return false
		}
	case 9:
		if is(name, "x-purpose") {
			return p.once(hasPurpose, &p.purpose, value)
		}
	case 10:
		switch {
		case is(name, "user-agent"):
			return p.once(hasAgent, &p.agent, value)
		case is(name, "connection"):
			return p.once(hasConnection, nil, value) && is(value, "keep-alive")
		}
	case 11:
		if is(name, "sec-purpose") {
			return p.once(hasPurpose, &p.purpose, value)
		}
	case 14:
		return !is(name, "content-length")
	case 15:
		if is(name, "x-forwarded-for") {
			return p.once(hasForwarded, &p.forwarded, value)
		}
	case 17:
		return !is(name, "transfer-encoding")
	}
	return true
}

// once keeps the value of a field that was not there yet.
func (p *plainRequest) once(field headerSet, into *[]byte, value []byte) bool {
	if p.seen&field != 0 {
		return false
	}
	p.seen |= field
	if into != nil {
		*into = value
	}
	return true
}

// is reports whether b is a name, which is given in lower case, in any case. Bytes that are no letters may pass for each
// other as '@' for '`' does, but none of them is in nameLetters.
func is(b []byte, name string) bool {
	if len(b) != len(name) {
		return false
	}
	for i, c := range b {
		if c|0x20 != name[i] {
			return false
		}
	}
	return true
}

// plainHost reports whether a Host needs no closer look: a name or an IPv4 address, with or without a port.
func plainHost(host []byte) bool {
	if i := bytes.IndexByte(host, ':'); i >= 0 {
		if !isPort(host[i:]) {
			return false
		}
		host = host[:i]
	}
	for _, c := range host {
		if !nameLetters[c] && c != '.' {
			return false
		}
	}
	return len(host) > 0
}

// nameLetters are those of the header names in use: letters, digits and the hyphen.
var nameLetters = func() (set [256]bool) {
	for c := range set {
		set[c] = 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '-'
	}
	return set
}()

// printable reports whether b is ASCII without control characters, looking at eight bytes at once.
func printable(b []byte) bool {
	const (
		ones = 0x0101010101010101
		high = 0x80 * ones
	)
	for ; len(b) >= 8; b = b[8:] {
		x := binary.LittleEndian.Uint64(b)
		// No byte has its high bit, so that neither sum nor difference carries into the next: one under 0x20 gets it by
		// the subtraction, 0x7f by the addition.
		if (x|(x-0x20*ones)|(x+ones))&high != 0 {
			return false
		}
	}
	for _, c := range b {
		if c < 0x20 || c >= 0x7f {
			return false
		}
	}
	return true
}
