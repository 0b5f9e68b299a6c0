package report

import (
	"bytes"
	"unicode/utf8"
)

// detectAutoReply finds the answers of machines: receipts, calendar answers, vacations.
func detectAutoReply(r *reader) bool {
	if r.head.has(fChallenge) || r.part(partDisposition) != nil || isCalendarAnswer(r.part(partCalendar)) {
		return true
	}
	contentType := r.head.get(fContentType)
	switch {
	case hasFold(contentType, "multipart/report") && fold(parameter(contentType, "report-type"), "disposition-notification"),
		isAutoSubmitted(r.head.get(fAutoSubmitted)),
		r.head.has(fAutoHeader),
		isAutoPrecedence(r.head.get(fPrecedence)),
		hasFold(r.head.get(fMailer), "vacation"),
		r.nullPath() && r.author() != nil: // nobody's mail answers for nobody
		return !r.fromDaemon()
	}
	return r.isAutoSubject() || r.isAutoText()
}

// isForHuman reports whether a mail that a machine wrote is an answer in the name of a human: neither an empty envelope nor
// Auto-Submitted tells that from a bounce.
func (r *reader) isForHuman() bool {
	return r.head.has(fChallenge) || r.head.has(fAutoHeader) || r.part(partDisposition) != nil ||
		isCalendarAnswer(r.part(partCalendar)) || hasFold(r.head.get(fPrecedence), "auto") ||
		hasFold(r.head.get(fSubject), "re:") || r.isAutoSubject() || r.isAutoText()
}

// isAutoSubmitted reads RFC 3834 §5: anything but "no" means a machine. Parameters and comments may follow.
func isAutoSubmitted(value []byte) bool {
	end := 0
	for end < len(value) && (isAlnum(value[end]) || value[end] == '-') {
		end++
	}
	return end > 0 && !fold(value[:end], "no")
}

// isAutoPrecedence reads what vacation programs used before RFC 3834. "list" is not among them: it comes from
// people who write to a mailing list.
func isAutoPrecedence(value []byte) bool {
	for _, word := range [...]string{"auto_reply", "auto-reply", "autoreply", "bulk", "junk"} {
		if fold(value, word) {
			return true
		}
	}
	return false
}

// isCalendarAnswer reports whether a part answers an invitation (RFC 5546 §1.4, RFC 6047 §2.4). An
// invitation itself is sent by a human.
func isCalendarAnswer(p *part) bool {
	if p == nil {
		return false
	}
	method := parameter(p.contentType, "method")
	if method == nil { // RFC 6047 §2.4 asks for it; not all send it
		body := p.body[:min(len(p.body), 1<<10)]
		if i := indexFold(body, "method:"); i >= 0 {
			method, _ = cutLine(body[i+len("method:"):])
			method = trim(method)
		}
	}
	return fold(method, "reply") || fold(method, "counter")
}

// isAutoSubject reports whether the subject begins like that of an auto-reply in some language.
func (r *reader) isAutoSubject() bool {
	subject := r.subject()
	if len(subject) == 0 {
		return false
	}
	for _, begin := range r.tables.subjects {
		if hasPrefix(subject, begin) {
			return true
		}
	}
	return false
}

// What isAutoText reads of a text.
const (
	maxAutoLines = 6
	maxAutoText  = 600
)

// isAutoText reports whether the first lines of the text say that a machine wrote them. What is quoted there is another's.
func (r *reader) isAutoText() bool {
	text, ascii := trim(r.words()), !isEscaped(r.textCharset())
	r.match = r.match[:0]
	for lines := 0; lines < maxAutoLines && len(text) > 0 && len(r.match) < maxAutoText; lines++ {
		var line []byte
		line, text = cutLine(text)
		if line = trim(line); len(line) > 0 && line[0] == '>' {
			break
		}
		for _, c := range line[:min(len(line), maxAutoText)] {
			r.match = append(r.match, c)
			ascii = ascii && c < utf8.RuneSelf && c != '\x1b'
		}
		r.match = append(r.match, ' ')
	}
	said := r.match
	if ascii {
		for i, c := range said {
			said[i] = lower(c)
		}
	} else { // letters of ASCII are halves of characters in some charsets
		said = bytes.ToLower(toUTF8(said, r.textCharset()))
	}
	r.tables.sentences.scan(said[:min(len(said), maxMatch)], &r.hits)
	return r.hits.found != [maxPatterns / 64]uint64{}
}

// readAutoReply tells who answered. A receipt names him in its Final-Recipient field (RFC 8098 §3.2.4).
func readAutoReply(r *reader) {
	f := finding{kind: AutoReply, recipient: r.author()}
	if p := r.part(partDisposition); p != nil {
		s := fieldScanner{rest: p.encoding.decode(p.body, maxStatusPart, &r.scratch)}
		for {
			name, value, ok := s.next()
			if !ok {
				break
			}
			switch {
			case fold(name, "final-recipient"):
				if address := typedAddress(value, false, &r.scratch); address != nil {
					f.recipient = address
				}
			case fold(name, "original-message-id"):
				f.originalID = value
			}
		}
	}
	r.add(f)
}

// author returns the address of who wrote the mail: From, or Sender where From names none.
func (r *reader) author() []byte {
	r.readAuthor()
	return r.wrote
}

// fromDaemon reports whether a mail system wrote the mail, not a human.
func (r *reader) fromDaemon() bool {
	r.readAuthor()
	return r.daemon
}

// readAuthor finds out who wrote the mail when it is asked first.
func (r *reader) readAuthor() {
	if r.authorRead {
		return
	}
	r.authorRead = true
	if r.wrote = addrSpec(r.head.get(fFrom)); r.wrote == nil {
		r.wrote = addrSpec(r.head.get(fSender))
	}
	r.daemon = r.isDaemon()
}

func (r *reader) isDaemon() bool {
	from := r.wrote
	if from == nil {
		from = trim(r.head[fFrom][:min(len(r.head[fFrom]), maxAddress)])
	}
	if at := bytes.LastIndexByte(from, '@'); at >= 0 {
		from = from[:at]
	}
	if len(from) > 40 {
		return false
	}
	var stack [40]byte
	name := stack[:0]
	for _, c := range from {
		name = append(name, lower(c))
	}
	return r.tables.senders[string(name)]
}
