package report

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// mail is one mail taken apart: slices of the caller's bytes, nothing copied.
type mail struct {
	raw    []byte
	head   header
	fields int // header fields, known or not
	body   []byte
	parts  []part
	// returned is the header of the mail that this one is about, if it was returned.
	returned    header
	hasReturned bool

	delimiters [maxDepth]delimiter // of walk, by depth
	inner      header              // of a part, for children
}

// part returns the first leaf of a type, nil if there is none.
func (m *mail) part(t partType) *part {
	for i := range m.parts {
		if m.parts[i].typ == t {
			return &m.parts[i]
		}
	}
	return nil
}

// reader is the state of one Read. Readers are pooled: nothing of one mail survives in the next, because
// reset clears all that holds slices.
//
//	mail ─▶ decoder ─▶ findings (slices of mail or scratch) ─▶ classify ─▶ facts (one string, cut up)
type reader struct {
	mail
	envelope string // the reverse path, see Envelope
	tables   *tables
	text     []byte // the first readable text, decoded; see words
	textRead bool
	wrote    []byte // the author, and whether that is a mail system; see readAuthor
	daemon   bool
	// authorRead says that both are known.
	authorRead bool
	// failed is what failedRecipient has found; failedRead says that it has looked.
	failed     []byte
	failedRead bool
	found      []finding
	scanned    *finding // whose words match and hits are of
	most       int      // how many findings there were at most, to be cleared
	scratch    []byte   // decoded parts and addresses that findings point into
	out        []byte   // becomes the one string that all facts are cut from
	room       *Room    // of ReadInto; else nil
	match      []byte   // the text that the rules see
	intros     hits     // of the phrases that notices are known by, in the beginning of the text; see introHas
	introRead  bool
	hits       hits
	others     hits // of another text of the same finding
	spans      []findingSpans
	refs       []span
	unquoted   []byte       // scratch of detectForwarded
	why        *Explanation // what Explain asked for; else nil
}

// finding is what a decoder found about one recipient, as slices of the mail or of scratch.
type finding struct {
	kind         Kind
	recipient    []byte
	status       []byte
	code         []byte
	action       []byte
	said         []byte // the diagnostic text: what the rules see and what Diagnostic shows
	charset      []byte // of said
	context      []byte // where else the step of the dialogue may be named
	inWords      bool   // the context is all of the text, which is decoded if it is asked for
	aroundName   bool   // the context is what the text says around the recipient
	comment      []byte // of the status, where a report says no more
	local        bool   // a program of the reporting host failed, no dialogue
	bare         bool   // an SMTP reply, told by who got it
	waits        bool   // a line of that reply is of class 4
	command      smtpCommand
	remoteMTA    []byte
	feedbackType []byte
	sourceIP     []byte
	originalID   []byte
	arrival      time.Time
	lastAttempt  time.Time
	decoder      string
	why          string

	category string
	rule     string
	row      *Row
	weakened bool
	provider string
	hard     bool
}

// findingSpans is where the strings of a fact lie in out.
type findingSpans struct {
	recipient, status, code, action, said, remoteMTA, feedbackType, sourceIP, originalID span
}

// span is a range of reader.out.
type span struct{ from, to int32 }

func (s span) in(all string) string { return all[s.from:s.to] }

var readers = sync.Pool{New: func() any { return new(reader) }}

// What is larger is left to the collector.
const (
	maxPooled         = 256 << 10
	maxPooledFindings = 64
	maxRoomText       = 16 << 10
	maxRoomFacts      = 16
)

func getReader() *reader {
	r := readers.Get().(*reader)
	r.tables = compiled()
	return r
}

// put resets r and returns it to the pool, unless one large mail has made it grow.
func (r *reader) put() {
	if cap(r.scratch)+cap(r.out)+cap(r.match) > maxPooled || cap(r.found) > maxPooledFindings {
		return
	}
	clear(r.parts[:cap(r.parts)])
	clear(r.found[:r.most])
	r.raw, r.body, r.fields, r.parts, r.envelope = nil, nil, 0, r.parts[:0], ""
	r.head, r.inner = header{}, header{}
	if r.hasReturned {
		r.returned, r.hasReturned = header{}, false
	}
	r.wrote, r.daemon, r.authorRead = nil, false, false
	r.failed, r.failedRead, r.scanned = nil, false, nil
	r.text, r.textRead, r.introRead, r.most, r.unquoted, r.why = nil, false, false, 0, nil, nil
	r.found, r.spans, r.refs = r.found[:0], r.spans[:0], r.refs[:0]
	r.scratch, r.out, r.match = r.scratch[:0], r.out[:0], r.match[:0]
	readers.Put(r)
}

// add keeps a finding, unless there are too many.
func (r *reader) add(f finding) {
	if len(r.found) < maxFacts {
		r.found = append(r.found, f)
		r.most = max(r.most, len(r.found))
	}
}

// line appends b to out as one line of clean UTF-8, cut to at most limit bytes, and returns where it lies.
// Runs of blanks, folds among them, become one space; other control characters vanish.
func (r *reader) line(b []byte, limit int) span {
	from := len(r.out)
	b = trim(b)
	gap := false
	for i := 0; i < len(b); {
		n := visible(b[i:])
		if n == 0 {
			var size int
			var blank bool
			if n, size, blank = oddity(b[i:]); n == 0 {
				gap = gap || blank
				for i += size; blank && i < len(b) && isBlank(b[i]); {
					i++
				}
				continue
			}
		}
		if gap && len(r.out) > from {
			r.out = append(r.out, ' ')
		}
		gap = false
		room := limit - (len(r.out) - from)
		if n > room {
			if b[i] < utf8.RuneSelf {
				r.out = append(r.out, b[i:i+max(room, 0)]...)
			}
			break
		}
		r.out = append(r.out, b[i:i+n]...)
		i += n
	}
	for len(r.out) > from && r.out[len(r.out)-1] == ' ' {
		r.out = r.out[:len(r.out)-1]
	}
	return span{int32(from), int32(len(r.out))}
}

// visible returns the length of the run of visible ASCII, single spaces included, at the beginning of b.
func visible(b []byte) int {
	i := 0
	for i+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[i:])
		ascii := x &^ tops
		blanks := equalTo(ascii, ' ')
		stop := x | ^((ascii & (0x60 * eachByte)) + 0x7f*eachByte) | (ascii + eachByte) | blanks&(blanks<<8)
		if i == 0 {
			stop |= blanks & 0x80
		}
		if stop&tops != 0 {
			i += max(bits.TrailingZeros64(stop&tops)>>3-1, 0)
			break
		}
		i += 8 - int(blanks>>63) // one at the end is looked at again
	}
	for i < len(b) && (b[i] > ' ' && b[i] < 0x7f || b[i] == ' ' && i > 0 && i+1 < len(b) && b[i+1] > ' ') {
		i++
	}
	return i
}

// oddity reads the character at the beginning of b, which is not of a visible run: keep is its length if it is to be
// kept, size its length anyway. Octets of no charset, controls, and what would turn the line around are not.
func oddity(b []byte) (keep, size int, blank bool) {
	if b[0] < utf8.RuneSelf {
		return 0, 1, isBlank(b[0])
	}
	char, size := utf8.DecodeRune(b)
	switch {
	case char > 0x3000 && char < utf8.RuneError: // no blank, no control
		return size, size, false
	case unicode.IsSpace(char):
		return 0, size, true
	case char == utf8.RuneError && size == 1, char < 0xa0, isBidi(char):
		return 0, size, false
	}
	return size, size, false
}

// token appends b without any blanks and control characters; nothing if that is longer than limit. One that is folded
// beyond measure is none either: a report of a thousand recipients may hold one value of a megabyte for all of them.
func (r *reader) token(b []byte, limit int) span {
	from := len(r.out)
	if len(b) > 4*limit {
		return span{int32(from), int32(from)}
	}
	if isPrintable(b) {
		if len(b) <= limit {
			r.out = append(r.out, b...)
		}
		return span{int32(from), int32(len(r.out))}
	}
	for _, c := range b {
		if c > ' ' && c != 0x7f {
			r.out = append(r.out, c)
		}
	}
	if len(r.out)-from > limit || !isClean(r.out[from:]) {
		r.out = r.out[:from]
	}
	return span{int32(from), int32(len(r.out))}
}

// isPrintable reports whether b is ASCII without blanks and controls.
func isPrintable(b []byte) bool {
	stop := uint64(0)
	for ; len(b) >= 8; b = b[8:] {
		x := binary.LittleEndian.Uint64(b)
		ascii := x &^ tops
		stop |= x | (ascii + eachByte) | ^(ascii + (0x80-'!')*eachByte)
	}
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return stop&tops == 0
}

// isClean reports whether b is UTF-8 without blanks and controls beyond ASCII; those of ASCII are gone already.
func isClean(b []byte) bool {
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			i++
			continue
		}
		char, size := utf8.DecodeRune(b[i:])
		if char == utf8.RuneError && size == 1 || unicode.IsSpace(char) || unicode.IsControl(char) || isBidi(char) {
			return false
		}
		i += size
	}
	return true
}

// isBidi reports whether char changes the direction of the text behind it.
func isBidi(char rune) bool {
	return char >= 0x202a && char <= 0x202e || char >= 0x2066 && char <= 0x2069
}

// lowerToken is token in lower case.
func (r *reader) lowerToken(b []byte, limit int) span {
	s := r.token(b, limit)
	toLower(r.out[s.from:s.to])
	return s
}

// address appends an address; nothing if it is none.
func (r *reader) address(b []byte) span {
	from := len(r.out)
	if isPrintable(b) && len(b) <= maxAddress && !hasPrefix(b, `"`) {
		r.out = append(r.out, b...)
		if at := bytes.LastIndexByte(b, '@'); at >= 0 {
			toLower(r.out[from+at:])
		}
		return span{int32(from), int32(len(r.out))}
	}
	r.out = appendAddress(r.out, b)
	if len(r.out)-from > maxAddress || !isClean(r.out[from:]) {
		r.out = r.out[:from]
	}
	return span{int32(from), int32(len(r.out))}
}
