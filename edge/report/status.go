package report

import (
	"bytes"
	"unicode/utf8"
)

// detectStatus finds a delivery status: the part that RFC 3464 §2 defines, or its fields in the text of
// a mail that says it is a report but lost its structure.
func detectStatus(r *reader) bool {
	if r.part(partStatus) != nil {
		return !r.isHuman()
	}
	return r.isReport() && !r.quotes() && looseStatus(r.words()) != nil
}

// quotes reports whether a mail is a human's answer, so that a report among its parts is what he answers to.
// A report itself may have In-Reply-To too; its type tells.
func (r *reader) quotes() bool {
	return r.answers() && (!r.isReport() || r.postmasterAnswers()) && !isAutoSubmitted(r.head.get(fAutoSubmitted))
}

// postmasterAnswers reports whether the human behind a postmaster's address writes: a mail system answers nothing, and it
// leaves the envelope empty.
func (r *reader) postmasterAnswers() bool {
	return hasFold(r.head.get(fSubject), "re:") && hasFold(r.author(), "postmaster@") && !r.nullPath() &&
		!hasFold(r.head.get(fContentType), "multipart/report") && !r.head.has(fFailedRecipients)
}

// isHuman reports whether a human wrote the mail, or a machine in his name, so that a report among its parts or in its
// words is one that he quotes, attaches or asks about.
func (r *reader) isHuman() bool {
	switch {
	case r.quotes():
		return !r.nullPath() || r.part(partStatus) == nil // its own, for who answers from an empty envelope attaches none
	case r.isReport():
		return false
	case r.humanPath():
		return true
	case r.bySystem():
		return false
	case r.nullPath(), isAutoSubmitted(r.head.get(fAutoSubmitted)):
		return r.isForHuman()
	}
	return true
}

// systemWords are what senders of notices have in their names that tables/daemons.tsv does not list.
var systemWords = [...]string{"daemon", "postmaster", "reply", "delivery", "system", "administrator", "mailer", "gateway", "bounce"}

// bySystem reports whether the author calls himself a mail system, or gives no address.
func (r *reader) bySystem() bool {
	if r.author() == nil {
		return true
	}
	return namesSystem(r.head.get(fFrom))
}

func namesSystem(from []byte) bool {
	from = from[:min(len(from), maxAddress)]
	for _, word := range systemWords {
		if indexFold(from, word) >= 0 {
			return true
		}
	}
	return false
}

// nullPath reports whether the envelope was empty: only machines write so (RFC 5321 §4.5.5). A Return-Path that came along
// is that of an earlier hop, before somebody had it sent on.
func (r *reader) nullPath() bool {
	return r.envelope == NullPath || fold(r.head.get(fReturnPath), NullPath)
}

// humanPath reports whether the envelope has the address of a human, as far as one can tell: neither a mail system's nor
// one made to take bounces. Only the envelope itself says so, because what delivers a mail may write a Return-Path of its own.
func (r *reader) humanPath() bool {
	return r.envelope != "" && !r.nullPath() && !isAutoSubmitted(r.head.get(fAutoSubmitted)) && !namesSystem([]byte(r.envelope))
}

// byMachine is Report.ByMachine.
func (r *reader) byMachine() bool {
	return r.nullPath() || isAutoSubmitted(r.head.get(fAutoSubmitted)) || r.fromDaemon() && r.found[0].kind != Reply
}

// isReport reports whether a mail says of itself that it is a report, so that fields in its text are its own
// and not quoted by a human.
func (r *reader) isReport() bool {
	return hasFold(r.head.get(fContentType), "multipart/report") && r.part(partDisposition) == nil || r.head.has(fFailedRecipients) || r.fromDaemon()
}

// looseStatus returns a text from the first line that looks like a recipient field of a delivery status.
func looseStatus(text []byte) []byte {
	for start := 0; start < len(text); start = nextLine(text, start) {
		if b := text[start:]; lower(b[0]) == 'f' && hasFold(b, "final-recipient:") && hasPrefix(b[1:], "inal-") {
			if i := bytes.LastIndex(text[:start], []byte("\nReporting-MTA:")); i >= 0 {
				return text[i+1:] // the fields about the whole message, which a blank line parts from the recipients'
			}
			return text[blockStart(text, start):]
		}
	}
	return nil
}

// blockStart returns where the block of lines begins that holds offset i.
func blockStart(text []byte, i int) int {
	if start := bytes.LastIndex(text[:i], []byte("\n\n")); start >= 0 {
		return start + 2
	}
	if start := bytes.LastIndex(text[:i], []byte("\r\n\r\n")); start >= 0 {
		return start + 4
	}
	return 0
}

// statusGroup holds the fields about one recipient (RFC 3464 §2.3).
type statusGroup struct {
	final, original, action, status, remoteMTA, diagnostic, lastAttempt []byte
	any                                                                 bool
}

// readStatus reads all recipient groups of all delivery status parts. Fields come in any order.
func readStatus(r *reader) {
	status := false
	for i := range r.parts {
		if p := &r.parts[i]; p.typ == partStatus {
			status = true
			r.readGroups(p.encoding.decode(p.body, maxStatusPart, &r.scratch), parameter(p.contentType, "charset"))
		}
	}
	if !status {
		r.readGroups(looseStatus(r.words()), nil)
	}
	kept := r.found[:0]
	for i := range r.found {
		r.completeFinding(i)
		// A group that was torn off behind its recipient tells nothing.
		if f := &r.found[i]; len(f.action) > 0 || len(f.status) > 0 || len(f.code) > 0 || hasLetters(f.said) {
			if i == len(kept) {
				kept = kept[:i+1] // it stands there already
			} else {
				kept = append(kept, *f)
			}
		}
	}
	r.found = kept
}

// readGroups adds a finding for each recipient group of b.
func (r *reader) readGroups(b, charset []byte) {
	s := fieldScanner{rest: b}
	base := finding{charset: charset}
	var g statusGroup
	first := len(r.found)
	for {
		name, value, ok := s.next()
		if name == nil {
			if g.any {
				r.addGroup(&g, &base, first)
				g = statusGroup{}
			}
			if !ok {
				break
			}
			continue
		}
		g.set(r, name, value, &base, first)
	}
	for i := first; i < len(r.found); i++ {
		r.found[i].arrival, r.found[i].originalID = base.arrival, base.originalID
	}
}

// set takes one field. A second recipient in the same group begins another one: a blank line is missing.
func (g *statusGroup) set(r *reader, name, value []byte, base *finding, first int) {
	put := func(to *[]byte) {
		if *to == nil {
			*to = value
		}
		g.any = true
	}
	switch len(name) {
	case 6:
		if fold(name, "action") {
			put(&g.action)
		} else if fold(name, "status") {
			put(&g.status)
		}
	case 10:
		if fold(name, "remote-mta") {
			put(&g.remoteMTA)
		}
	case 12:
		if fold(name, "arrival-date") {
			base.arrival = parseDate(value)
		}
	case 15:
		if fold(name, "diagnostic-code") {
			if hasFold(value, "smtp") && !hasFold(g.diagnostic, "smtp") {
				g.diagnostic = nil // of several, what was said in the dialogue
			}
			put(&g.diagnostic)
		} else if fold(name, "final-recipient") {
			if g.final != nil {
				r.addGroup(g, base, first)
				*g = statusGroup{}
			}
			put(&g.final)
		}
	case 17:
		if fold(name, "last-attempt-date") {
			put(&g.lastAttempt)
		}
	case 18:
		if fold(name, "original-recipient") {
			if g.original != nil {
				r.addGroup(g, base, first)
				*g = statusGroup{}
			}
			put(&g.original)
		}
	case 19:
		if fold(name, "original-message-id") {
			base.originalID = value
		}
	case 21:
		if fold(name, "x-original-message-id") {
			base.originalID = value
		}
	}
}

// addGroup adds the finding of a group. A group without a recipient is the torn-off rest of the one before it.
func (r *reader) addGroup(g *statusGroup, base *finding, first int) {
	f := finding{
		charset:     base.charset,
		action:      actionWord(g.action),
		status:      statusField(g.status),
		said:        diagnosticField(g.diagnostic),
		local:       hasFold(g.diagnostic, "x-unix"),
		remoteMTA:   hostField(g.remoteMTA),
		lastAttempt: parseDate(g.lastAttempt),
	}
	if !hasLetters(f.said) {
		f.comment = statusComment(g.status)
	}
	if f.recipient = typedAddress(g.final, false, &r.scratch); f.recipient == nil {
		f.recipient = typedAddress(g.original, true, &r.scratch)
	}
	if f.recipient == nil {
		f.recipient = localName(g.final)
	}
	if f.recipient == nil && g.final == nil && g.original == nil && len(r.found) > first {
		r.found[len(r.found)-1].merge(&f)
		return
	}
	r.add(f)
}

// actionWord returns the word of an Action field, which may have a comment (RFC 3464 §2.3.3).
func actionWord(value []byte) []byte {
	if end := bytes.IndexByte(value, ')'); end > 0 && value[0] == '(' {
		value = trim(value[end+1:])
	}
	end := 0
	for end < len(value) && (isAlnum(value[end]) || value[end] == '-' || value[end] == '_') {
		end++
	}
	return value[:end]
}

// merge takes from g what f lacks.
func (f *finding) merge(g *finding) {
	for _, pair := range [...]struct{ to, from *[]byte }{
		{&f.action, &g.action}, {&f.status, &g.status}, {&f.said, &g.said}, {&f.remoteMTA, &g.remoteMTA},
	} {
		if *pair.to == nil {
			*pair.to = *pair.from
		}
	}
	if f.lastAttempt.IsZero() {
		f.lastAttempt = g.lastAttempt
	}
}

// localName returns the recipient of a local delivery, which has no domain; nil for a path or a command.
func localName(value []byte) []byte {
	if i := bytes.IndexByte(value, ';'); i >= 0 {
		value = value[i+1:]
	}
	value = bytes.Trim(trim(value), "<>")
	for _, c := range value {
		if !isAlnum(c) && c != '.' && c != '-' && c != '_' && c != '+' {
			return nil
		}
	}
	if len(value) == 0 || len(value) > 64 || fold(value, "rfc822") || fold(value, "utf-8") {
		return nil
	}
	return value
}

// diagnosticField removes the type of a Diagnostic-Code: "smtp; 550 ...".
func diagnosticField(value []byte) []byte {
	value = trim(value)
	if i := bytes.IndexByte(value[:min(len(value), 40)], ';'); i >= 0 && !bytes.ContainsAny(value[:i], " \t") {
		value = trim(value[i+1:])
	}
	return value
}

// hostField removes the type of an MTA name and its comment: "dns; mx.example.com. (192.0.2.1, the server ...)",
// "mx.example.com[192.0.2.1]:25".
func hostField(value []byte) []byte {
	value = trim(value)
	if i := bytes.IndexByte(value[:min(len(value), 40)], ';'); i >= 0 {
		value = trim(value[i+1:])
	}
	if i := bytes.IndexAny(value, " \t\r\n(["); i > 0 {
		value = value[:i]
	}
	return trimDot(value)
}

// completeFinding decides what a recipient group means and fills its gaps from the rest of the mail.
func (r *reader) completeFinding(i int) {
	f := &r.found[i]
	if f.recipient == nil {
		f.recipient = r.failedRecipient()
	}
	if i < maxSearches {
		f.said = r.completeSaid(f)
	}
	if f.charset == nil && !utf8.Valid(f.said) { // the part that it stands in names no charset (RFC 3464 §2.1)
		f.charset = r.textCharset()
	}
	code, said := scanReply(lastReply(f.said))
	f.code = code
	f.status = chooseStatus(f.status, said)
	f.kind = kindOf(f.action, f.status, f.code)
	switch {
	case len(r.found) == 1:
		f.inWords = true
	case i < maxSearches:
		f.aroundName = true
	}
}

// kindOf decides by the action (RFC 3464 §2.3.3), and without one by the class of the status or the code.
func kindOf(action, status, code []byte) Kind {
	switch {
	case fold(action, "failed"):
		return Bounce
	case fold(action, "delayed"):
		return Delay
	case fold(action, "delivered"), fold(action, "relayed"), fold(action, "expanded"):
		return Delivered
	}
	class := code
	if len(status) > 0 {
		class = status
	}
	if len(class) > 0 {
		switch class[0] {
		case '2':
			return Delivered
		case '4':
			return Delay
		}
	}
	return Bounce
}
