package report

import (
	"bytes"
	"encoding/binary"
)

// partType is what a leaf of the mail's structure holds.
type partType uint8

const (
	partOther partType = iota
	partText
	partHTML
	partStatus          // message/delivery-status, message/global-delivery-status
	partFeedback        // message/feedback-report
	partDisposition     // message/disposition-notification, message/global-disposition-notification
	partReturned        // message/rfc822, message/global
	partReturnedHeaders // text/rfc822-headers, message/global-headers
	partCalendar
	partMultipart // any: it holds parts
)

type typeName struct {
	name string
	typ  partType
}

// partTypes are the types of leaves, by the length of their names.
var partTypes = func() (byLength [40][]typeName) {
	for _, t := range []typeName{
		{"text/plain", partText},
		{"text/html", partHTML},
		{"message/delivery-status", partStatus},
		{"message/global-delivery-status", partStatus}, // RFC 6533 §6.1
		{"message/feedback-report", partFeedback},      // RFC 5965 §7.1
		{"message/disposition-notification", partDisposition},
		{"message/global-disposition-notification", partDisposition},
		{"message/rfc822", partReturned},
		{"message/global", partReturned},
		{"text/rfc822-headers", partReturnedHeaders},
		{"text/rfc822-header", partReturnedHeaders},
		{"message/rfc822-headers", partReturnedHeaders},
		{"message/global-headers", partReturnedHeaders}, // RFC 6533 §6.2
		{"text/calendar", partCalendar},
	} {
		byLength[len(t.name)] = append(byLength[len(t.name)], t)
	}
	return byLength
}()

// part is one leaf of the mail's structure, as slices of the mail.
type part struct {
	typ         partType
	contentType []byte // raw value of the header, for its parameters
	encoding    transferEncoding
	body        []byte // before its transfer encoding is undone
}

// walk appends the leaves of an entity to m.parts. It visits each octet once for every level of nesting at most.
func (m *mail) walk(contentType, encoding, body []byte, depth int) {
	m.enter(typeOf(contentType), contentType, encoding, body, depth)
}

// enter is walk for an entity whose type is known.
func (m *mail) enter(typ partType, contentType, encoding, body []byte, depth int) {
	if typ == partMultipart && depth < maxDepth {
		if boundary := parameter(contentType, "boundary"); m.children(boundary, body, depth) {
			return
		}
		if boundary := guessBoundary(body); boundary != nil && m.children(boundary, body, depth) {
			return
		}
		typ, contentType = partText, nil // no part begins: what there is, is text
	}
	if len(m.parts) == maxParts {
		return
	}
	m.parts = append(m.parts, part{
		typ:         typ,
		contentType: contentType,
		encoding:    parseEncoding(encoding),
		body:        body,
	})
}

// children walks the parts between the delimiters of a multipart body (RFC 2046 §5.1.1) and reports
// whether there was any. A missing close delimiter ends the last part with the body.
func (m *mail) children(boundary, body []byte, depth int) bool {
	if len(boundary) == 0 {
		return false
	}
	delimiter := &m.delimiters[depth]
	delimiter.set(boundary)
	_, rest, closed := delimiter.next(body)
	if rest == nil || closed {
		return false
	}
	for rest != nil && len(m.parts) < maxParts {
		h := &m.inner
		h[fContentType], h[fEncoding] = nil, nil
		content, _ := h.parse(rest)
		contentType, encoding := h[fContentType], h[fEncoding]
		typ := typeOf(contentType)
		if m.isLast(typ) {
			// The returned message: its end lies behind megabytes that nobody asks for.
			m.enter(typ, contentType, encoding, content, depth+1)
			return true
		}
		// No delimiter lies inside the header, because it is no field.
		child, after, closed := delimiter.next(content)
		m.enter(typ, contentType, encoding, child, depth+1)
		if closed {
			break
		}
		rest = after
	}
	return true
}

// isLast reports whether nothing behind a part of this type is wanted any more.
func (m *mail) isLast(typ partType) bool {
	if typ != partReturned && typ != partReturnedHeaders {
		return false
	}
	for i := range m.parts {
		if t := m.parts[i].typ; t == partStatus || t == partFeedback || t == partDisposition {
			return true
		}
	}
	return false
}

// nextDelimiter finds the next line of b that is the delimiter; b begins with a line. before is what precedes its line
// end, after what follows its line. Without a delimiter, before is all of b and after is nil.
func (d *delimiter) next(b []byte) (before, after []byte, closed bool) {
	for i := d.index(b, 0); i >= 0; i = d.index(b, i+1) {
		line, rest := cutLine(b[i+len(d.text):])
		if closed = hasPrefix(line, "--"); closed {
			line = line[2:]
		}
		if len(trim(line)) > 0 {
			continue // a longer boundary of which ours is a prefix
		}
		if rest == nil {
			rest = b[len(b):]
		}
		return trimLineEnd(b[:i]), rest, closed
	}
	return b, nil, false
}

// delimiter is the line between parts. It is found without looking at each byte, nor at each line: wherever it stands, four
// of its bytes stand at one of the places that are a stride apart, and few other texts have four bytes of it in a row.
type delimiter struct {
	text   []byte
	from   int // the first four bytes of text that are looked for
	stride int // how many of them follow; 0 if text is so short that each line is looked at
	grams  [1 << (delimiterBits - 6)]uint64
}

const (
	delimiterBits = 11
	minGrams      = 6
	maxGrams      = 64
)

// set makes d the delimiter of a boundary.
func (d *delimiter) set(boundary []byte) {
	d.text = append(append(d.text[:0], '-', '-'), boundary...)
	// Rulers in texts are dashes too: of those that it begins with, only the last two are looked for.
	dashes := 0
	for dashes < len(d.text) && d.text[dashes] == '-' {
		dashes++
	}
	d.from = max(dashes-2, 0)
	to := min(len(d.text)-3, d.from+maxGrams)
	if d.stride = to - d.from; d.stride < minGrams {
		d.stride = 0
		return
	}
	clear(d.grams[:])
	for i := d.from; i < to; i++ {
		bit := delimiterGram(d.text[i:])
		d.grams[bit>>6] |= 1 << (bit & 63)
	}
}

// delimiterGram is the number of the bit of the first four bytes of b.
func delimiterGram(b []byte) uint32 {
	return anchorHash(binary.LittleEndian.Uint32(b)) >> (32 - delimiterBits)
}

// index returns where the first line begins that begins with d at b[from] or behind it, -1 if there is none.
func (d *delimiter) index(b []byte, from int) int {
	if from == 0 && bytes.HasPrefix(b, d.text) {
		return 0
	}
	from = max(from, 1)
	if d.stride == 0 {
		return d.lineIn(b, from, len(b))
	}
	for p := from + d.from; p+4 <= len(b); p += d.stride {
		bit := delimiterGram(b[p:])
		if d.grams[bit>>6]&(1<<(bit&63)) == 0 {
			continue
		}
		last := p - d.from
		if i := d.lineIn(b, max(from, last-d.stride+1), last+1); i >= 0 {
			return i
		}
	}
	return -1
}

// lineIn returns the first line that begins with d at b[from:to], -1 if there is none. from is not 0.
func (d *delimiter) lineIn(b []byte, from, to int) int {
	for from < to {
		n := bytes.IndexByte(b[from-1:to-1], '\n')
		if n < 0 {
			return -1
		}
		from += n
		if bytes.HasPrefix(b[from:], d.text) {
			return from
		}
		from++
	}
	return -1
}

// trimLineEnd removes one line end, which belongs to the delimiter that follows (RFC 2046 §5.1.1).
func trimLineEnd(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b = b[:n-1]
	}
	return trimCR(b)
}

// guessBoundary finds the boundary of a multipart whose header names none, or another: the first line
// of two hyphens and more that a part's header follows.
func guessBoundary(body []byte) []byte {
	b := body[:min(len(body), 4<<10)]
	for len(b) > 0 {
		line, rest := cutLine(b)
		if len(line) > 2 && line[0] == '-' && line[1] == '-' && hasFold(rest, "content-") {
			return trim(line[2:])
		}
		b = rest
	}
	return nil
}

// typeOf returns the part type of a Content-Type value.
func typeOf(contentType []byte) partType {
	v := trim(contentType)
	if i := bytes.IndexByte(v, ';'); i >= 0 {
		v = trim(v[:i])
	}
	if len(v) == 0 {
		return partText // RFC 2045 §5.2
	}
	if hasFold(v, "multipart/") {
		return partMultipart
	}
	for _, t := range partTypes[min(len(v), len(partTypes)-1)] {
		if fold(v, t.name) {
			return t.typ
		}
	}
	if i := bytes.IndexAny(v, " \t\r\n("); i > 0 { // a comment, or a semicolon is missing
		return typeOf(v[:i])
	}
	return partOther
}

// parameter returns the value of a parameter of a structured header, without quotes. Unquoted values end at
// a semicolon or blank only: real boundaries hold "/" and "=" without quotes.
func parameter(value []byte, name string) []byte {
	value = value[:min(len(value), 2048)]
	for from := 0; ; from++ {
		i := bytes.IndexByte(value[from:], '=')
		if i < 0 {
			return nil
		}
		from += i
		end := from
		for end > 0 && isBlank(value[end-1]) {
			end--
		}
		start := end - len(name)
		if start <= 0 || value[start-1] != ';' && !isBlank(value[start-1]) || !fold(value[start:end], name) {
			continue
		}
		v := trim(value[from+1:])
		if len(v) > 0 && v[0] == '"' {
			if end := bytes.IndexByte(v[1:], '"'); end >= 0 {
				return v[1 : 1+end]
			}
			v = v[1:] // the closing quote is missing
		}
		for end = 0; end < len(v) && v[end] != ';' && !isBlank(v[end]); {
			end++
		}
		return v[:end]
	}
}
