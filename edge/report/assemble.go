package report

import (
	"bytes"
	"io"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// report makes the answer: all strings are laid into one buffer, which becomes one string that the facts
// are cut from.
func (r *reader) report() Report {
	r.layFacts()
	subject := r.line(r.rawSubject(), maxSubject)
	r.layReferences()
	if len(r.refs) > 0 && r.found[0].kind == Reply {
		// A human who answers says what to by reference. What he attaches may be any mail.
		r.returned = header{}
	}
	messageID := r.messageID(r.head[fMessageID])
	from := r.address(r.author())
	originalID := r.messageID(r.returned[fMessageID])
	ref := r.token(r.ref(), maxRef)

	all := r.laid()
	out := Report{
		Facts:             r.cutFacts(all),
		MessageID:         messageID.in(all),
		From:              from.in(all),
		OriginalMessageID: originalID.in(all),
		OriginalRef:       ref.in(all),
		Subject:           subject.in(all),
		ByMachine:         r.byMachine(),
	}
	if len(r.refs) > 0 {
		out.References = make([]string, len(r.refs))
		for i, s := range r.refs {
			out.References[i] = s.in(all)
		}
	}
	for i := range out.Facts {
		f := &out.Facts[i]
		if f.OriginalMessageID == "" {
			f.OriginalMessageID = out.OriginalMessageID
		}
		if out.OriginalMessageID == "" {
			out.OriginalMessageID = f.OriginalMessageID
		}
	}
	for i := range out.Facts {
		f := &out.Facts[i]
		f.OriginalRef = out.OriginalRef
		if f.OriginalMessageID == "" && len(out.References) > 0 && (f.Kind == Reply || f.Kind == AutoReply) {
			f.OriginalMessageID = out.References[0]
		}
	}
	if out.MessageID == "" {
		out.Digest = r.digest()
	}
	return out
}

// facts makes the facts alone, for a reply that is no mail.
func (r *reader) facts() []Fact {
	r.layFacts()
	return r.cutFacts(r.laid())
}

// laid returns all that was laid into out, to which nothing is added any more.
func (r *reader) laid() string {
	if r.room != nil {
		return unsafe.String(unsafe.SliceData(r.out), len(r.out))
	}
	return string(r.out)
}

// layFacts lays the strings of all findings into out.
func (r *reader) layFacts() {
	for i := range r.found {
		f := &r.found[i]
		s := findingSpans{
			recipient:    r.address(f.recipient),
			status:       r.token(f.status, 11),
			code:         r.token(f.code, 3),
			action:       r.lowerToken(f.action, 32),
			remoteMTA:    r.lowerToken(f.remoteMTA, maxHost),
			feedbackType: r.lowerToken(f.feedbackType, 64),
			sourceIP:     r.token(f.sourceIP, 64),
			originalID:   r.messageID(f.originalID),
		}
		if f.kind == Other {
			// It tells nothing.
		} else if i > 0 && sameBytes(f.said, r.found[i-1].said) && bytes.Equal(f.charset, r.found[i-1].charset) && r.found[i-1].kind != Other {
			s.said = r.spans[i-1].said // a notice may say the same words about a thousand recipients
		} else {
			s.said = r.line(toUTF8(f.said[:min(len(f.said), 4*maxDiagnostic)], f.charset), maxDiagnostic)
		}
		r.spans = append(r.spans, s)
	}
}

// cutFacts cuts the facts from the string that out became.
func (r *reader) cutFacts(all string) []Fact {
	var facts []Fact
	if r.room != nil {
		facts = slices.Grow(r.room.facts[:0], len(r.found))[:len(r.found)]
		r.room.facts = facts
	} else {
		facts = make([]Fact, len(r.found))
	}
	for i := range facts {
		f, s := &r.found[i], &r.spans[i]
		facts[i] = Fact{
			Kind:              f.kind,
			Recipient:         s.recipient.in(all),
			Status:            s.status.in(all),
			ReplyCode:         s.code.in(all),
			Action:            s.action.in(all),
			Category:          f.category,
			Hard:              f.hard,
			Diagnostic:        s.said.in(all),
			RemoteMTA:         s.remoteMTA.in(all),
			Provider:          f.provider,
			FeedbackType:      s.feedbackType.in(all),
			OriginalMessageID: s.originalID.in(all),
			ArrivalDate:       f.arrival,
			LastAttempt:       f.lastAttempt,
			SourceIP:          s.sourceIP.in(all),
			Decoder:           f.decoder,
			Rule:              f.rule,
			Why:               f.why,
		}
	}
	return facts
}

// messageID lays an id without brackets and blanks: of several the first. What is far too long is not even searched.
func (r *reader) messageID(value []byte) span {
	value = trim(value)
	if len(value) > 4*maxMessageID {
		value = nil
	}
	if open := bytes.IndexByte(value, '<'); open >= 0 {
		value = value[open+1:]
		if end := bytes.IndexByte(value, '>'); end >= 0 {
			value = value[:end]
		}
	}
	return r.token(value, maxMessageID)
}

// layReferences lays the ids that the mail answers, nearest first: In-Reply-To, then References from its
// end, where the parent stands (RFC 5322 §3.6.4).
func (r *reader) layReferences() {
	for _, f := range [...]field{fInReplyTo, fReferences} {
		b := r.head[f]
		if bytes.IndexByte(b, '<') < 0 {
			r.layBareReferences(b)
			continue
		}
		for len(r.refs) < maxReferences {
			end := bytes.LastIndexByte(b, '>')
			if end < 0 {
				break
			}
			open := bytes.LastIndexByte(b[:end], '<')
			if open < 0 {
				break
			}
			r.layReference(b[open+1 : end])
			b = b[:open]
		}
	}
}

// layBareReferences lays ids without brackets, as some clients write them.
func (r *reader) layBareReferences(b []byte) {
	for len(r.refs) < maxReferences && len(b) > 0 {
		b = trim(b)
		i := len(b)
		for i > 0 && !isBlank(b[i-1]) {
			i--
		}
		if bytes.IndexByte(b[i:], '@') > 0 {
			r.layReference(b[i:])
		}
		b = b[:i]
	}
}

func (r *reader) layReference(id []byte) {
	s := r.token(id, maxMessageID)
	if s.from == s.to || bytes.ContainsAny(id, "<>") {
		return
	}
	for _, other := range r.refs {
		if bytes.Equal(r.out[other.from:other.to], r.out[s.from:s.to]) {
			r.out = r.out[:s.from]
			return
		}
	}
	r.refs = append(r.refs, s)
}

// ref returns the sealed reference that the returned message, or the mail itself, bears.
func (r *reader) ref() []byte {
	if v := r.returned.get(fRef); v != nil {
		return v
	}
	return r.head.get(fRef)
}

// rawSubject returns the subject with its encoded words undone (RFC 2047).
func (r *reader) rawSubject() []byte {
	value := r.head.get(fSubject)
	value = value[:min(len(value), 4*maxSubject)]
	if !bytes.Contains(value, []byte("=?")) {
		return toUTF8(value, nil)
	}
	decoder := mime.WordDecoder{CharsetReader: charsetReader}
	s, err := decoder.DecodeHeader(strings.ToValidUTF8(string(value), "\ufffd"))
	if err != nil {
		return value
	}
	return []byte(s)
}

// subject returns the subject in lower case, valid until the next text is matched.
func (r *reader) subject() []byte {
	raw := trim(r.rawSubject())
	r.match = r.match[:0]
	for _, c := range raw {
		if c >= utf8.RuneSelf {
			return bytes.ToLower(raw)
		}
		r.match = append(r.match, lower(c))
	}
	return r.match
}

// charsetReader converts an encoded word; mime.WordDecoder knows only UTF-8, Latin 1 and ASCII itself.
func charsetReader(charset string, input io.Reader) (io.Reader, error) {
	word, err := io.ReadAll(io.LimitReader(input, 4*maxSubject))
	if err != nil {
		return nil, err
	}
	return bytes.NewReader(toUTF8(word, []byte(charset))), nil
}
