package report

import "bytes"

// notice reads the texts in which older MTAs tell a human what failed. They differ in words and agree in shape:
//
//	introduction
//
//	  bob@example.com:                    an address at the beginning of a line
//	    host mx.example.com said: 550 …   what was said about it, up to a blank line or the next address
//
//	------ a ruler and the returned message
type notice struct {
	// daemon says that a human might write the intro, so that the mail must come from a mail system.
	daemon bool
	// intro is a phrase near the beginning by which the notice is known.
	intro phrase
	// begin is a phrase behind which the addresses come; without it all of the text is searched.
	begin []byte
	// sentence is what stands right before the only address, where it does not begin a line.
	sentence []byte
	// reason are phrases behind which stands what was said about all addresses together.
	reason [][]byte
	// returned are beginnings of the line behind which the returned message comes.
	returned []string
	// ruler are words of a ruler's line behind which the returned message comes, in lower case.
	ruler []string
}

// maxIntro is how far from its beginning a text is searched for the phrase that it is known by.
const maxIntro = 4 << 10

// detect reports whether the text has the phrase by which the notice is known.
func (n *notice) detect(r *reader) bool {
	if !r.introHas(n.intro) || r.isHuman() {
		return false
	}
	return !n.daemon || r.isReport() || r.nullPath()
}

// read adds a finding for each address of the text.
func (n *notice) read(r *reader) {
	text := n.cutReturned(r, r.words())
	intro := text
	if i := bytes.Index(text, n.begin); i > 0 {
		intro, text = text[:min(len(text), i+400)], text[i+len(n.begin):]
	}
	f := finding{charset: r.textCharset()}
	f.kind, f.action = r.outcome(intro)
	if n.sentence != nil {
		if i := bytes.Index(text, n.sentence); i >= 0 {
			var rest []byte
			f.recipient, rest = findAddress(text[i+len(n.sentence):])
			_, rest = cutLine(rest)
			r.addSaid(f, trim(rest))
		}
		return
	}
	common, commonSaid := n.commonReason(text), []byte(nil)
	if common != nil {
		text, commonSaid = text[:len(text)-len(common)], beforeRuler(common)
	}
	for rest := text; len(rest) > 0; {
		var said []byte
		f.recipient, said, rest = nextListed(rest)
		if f.recipient == nil {
			break
		}
		if common != nil {
			said = commonSaid
		}
		r.addSaid(f, said)
		if common != nil && len(r.found) > 0 {
			r.found[len(r.found)-1].context = common
		}
	}
}

// addSaid adds a finding with all that can be told from what was said.
func (r *reader) addSaid(f finding, said []byte) {
	f.said, f.context = said, said
	if n := len(r.found); n > 0 && sameBytes(r.found[n-1].said, said) {
		last := &r.found[n-1]
		f.code, f.status, f.remoteMTA = last.code, last.status, last.remoteMTA
	} else {
		f.code, f.status = scanReply(said)
		f.remoteMTA = hostIn(said)
	}
	r.add(f)
}

// sameBytes reports whether a and b are the same bytes of the same mail, not only equal ones.
func sameBytes(a, b []byte) bool {
	return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0]
}

// commonReason returns what follows the first of the phrases that the text has, to its end; nil if it has none.
func (n *notice) commonReason(text []byte) []byte {
	for _, phrase := range n.reason {
		if i := bytes.Index(text, phrase); i >= 0 {
			return text[i+len(phrase):]
		}
	}
	return nil
}

// beforeRuler returns text up to a ruler once something was said.
func beforeRuler(text []byte) []byte {
	for rest, said := text, false; len(rest) > 0; {
		line, next := cutLine(rest)
		if t := trim(line); said && isRuler(t) {
			return trim(text[:len(text)-len(rest)])
		} else if hasLetters(t) {
			said = true
		}
		rest = next
	}
	return trim(text)
}

// cutReturned returns the text before the returned message and takes what follows for that, if no part held it.
func (n *notice) cutReturned(r *reader, text []byte) []byte {
	for from := 0; from < len(text); {
		line, rest := cutLine(text[from:])
		if n.beginsReturned(line) {
			if !r.hasReturned {
				r.returnedHeader(rest)
			}
			return text[:from]
		}
		from = len(text) - len(rest)
	}
	return text
}

// beginsReturned reports whether the returned message comes behind a line.
func (n *notice) beginsReturned(line []byte) bool {
	for _, phrase := range n.returned {
		if hasPrefix(line, phrase) {
			return true
		}
	}
	if line = trim(line); len(n.ruler) == 0 || !isRuler(line) && (len(line) == 0 || line[0] != '|') {
		return false
	}
	for _, words := range n.ruler {
		if indexFold(line[:min(len(line), 128)], words) >= 0 {
			return true
		}
	}
	return false
}

// nextListed returns the next address that begins a line, what is said about it and the text behind that.
func nextListed(text []byte) (address, said, rest []byte) {
	for len(text) > 0 {
		line, next := cutLine(text)
		a, tail := listed(line)
		if a == nil {
			text = next
			continue
		}
		start := len(line) - len(tail)
		end := saidEnd(text, start, a)
		return a, trim(text[start:end]), text[end:]
	}
	return nil, nil, nil
}

// listed returns the address that a line lists and what follows it to the end of the line: the line is the
// address alone, in brackets or quotes or not, or a colon follows it.
func listed(line []byte) (address, tail []byte) {
	t := bytes.TrimLeft(line, " \t*")
	open := len(t) > 0 && (t[0] == '<' || t[0] == '"')
	if open {
		t = t[1:]
	}
	if len(t) == 0 || addressEnd(t[0]) {
		return nil, nil
	}
	a, after := findAddress(t)
	if a == nil || &a[0] != &t[0] {
		return nil, nil
	}
	if open && len(after) > 0 && (after[0] == '>' || after[0] == '"') {
		after = after[1:]
	}
	after = bytes.TrimLeft(after, " \t<")
	end := after[len(after):]
	switch {
	case len(after) == 0:
		return a, end
	case after[0] == ':':
		return a, after[1:]
	case hasPrefix(after, "on "): // Exchange: a date follows
		return a, end
	case hasPrefix(after, "mailto:"): // Outlook: the address as a link
		return a, end
	case open && hasPrefix(after, "..."): // Sendmail
		return a, after[3:]
	case after[0] == '[' && after[len(after)-1] == ']': // X1
		return a, after
	}
	return nil, nil
}

// saidEnd returns where the words about an address end that begin at start: before another address, at
// a ruler, or at a blank line once something was said.
func saidEnd(text []byte, start int, address []byte) int {
	pos, said := start, false
	for pos < len(text) {
		line, rest := cutLine(text[pos:])
		t := trim(line)
		if len(t) == 0 && said || isRuler(t) {
			break
		}
		if a, _ := listed(line); a != nil && pos > start && !bytes.EqualFold(a, address) {
			break
		}
		said = said || hasLetters(t)
		pos = len(text) - len(rest)
	}
	return pos
}

// noticeKind is what a notice says of itself.
type noticeKind uint8

const (
	noticeDelay noticeKind = iota
	noticeFailure
	noticeRefusal // of a list's manager
	numNoticeKinds
)

// maxSelf is how much of a subject or of the beginning of a text is searched for what a notice says of itself.
const maxSelf = 1 << 10

// says reports whether the subject of the mail or the beginning of a text says it.
func (r *reader) says(kind noticeKind, text []byte) bool {
	for _, text := range [...][]byte{r.head.get(fSubject), text} {
		r.match = normalize(r.match[:0], text[:min(len(text), maxSelf)], nil)
		if r.tables.notices[kind].scan(r.match, &r.hits); r.hits.first(0, maxPatterns) >= 0 {
			return true
		}
	}
	return false
}

// The actions (RFC 3464 §2.3.3) that notices imply.
var (
	actionFailed    = []byte("failed")
	actionDelayed   = []byte("delayed")
	actionDelivered = []byte("delivered")
)

// outcome returns the kind of fact and the action of a notice: failed, unless it says that it is about a delay.
func (r *reader) outcome(intro []byte) (Kind, []byte) {
	if r.says(noticeDelay, intro) {
		return Delay, actionDelayed
	}
	return Bounce, actionFailed
}

// hostIn returns the host that a text says refused: "host mx.example.com [192.0.2.1] said: …".
func hostIn(said []byte) []byte {
	said = said[:min(len(said), maxMatch)]
	for from := 0; ; {
		i := bytes.Index(said[from:], []byte("host"))
		if i < 0 {
			return nil
		}
		from += i + 4
		name := bytes.TrimLeft(said[from:], ": ")
		if len(name) == len(said)-from {
			continue
		}
		end := bytes.IndexAny(name, " \t\r\n[(:,")
		if end < 0 {
			end = len(name)
		}
		name = trimDot(name[:end])
		if bytes.IndexByte(name, '.') > 0 && len(name) <= maxHost {
			return name
		}
	}
}
