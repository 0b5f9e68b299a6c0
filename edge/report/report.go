package report

import "time"

// Kind is what a mail says, in the words of DESIGN §3 and "other" for a mail that tells nothing.
type Kind string

// The kinds of fact.
const (
	Bounce      Kind = "bounce"      // delivery failed for good
	Delay       Kind = "delay"       // delivery is late; the other side keeps trying
	Delivered   Kind = "delivered"   // the mail arrived, or went on to a system that reports no further
	Complaint   Kind = "complaint"   // the recipient called it spam; FeedbackType "not-spam" takes that back
	Unsubscribe Kind = "unsubscribe" // the recipient opted out through a feedback loop or by mail
	AutoReply   Kind = "auto_reply"  // a machine answered: vacation, receipt, calendar
	Reply       Kind = "reply"       // a human wrote
	Other       Kind = "other"       // nothing that Carom counts; Why says why
)

// Fact is one thing that a mail or an SMTP reply says about one recipient. Its strings are valid UTF-8
// without control characters.
type Fact struct {
	Kind      Kind
	Recipient string // addr-spec, decoded; "" where the mail names none. Who wrote, of replies and auto-replies
	Status    string // enhanced status, RFC 3463: "5.1.1"
	ReplyCode string // SMTP reply code: "550"
	Action    string // RFC 3464 §2.3.3, lower case: failed delayed delivered relayed expanded
	Category  string // why, in the list of DESIGN §7; set for bounces, delays and deliveries only
	Hard      bool   // the address is bad and must not be mailed again

	Diagnostic   string // the other side's words: one line, at most 1,024 bytes
	RemoteMTA    string // the host that refused, as the report names it
	Provider     string // mailbox provider: "google", "microsoft", ...; "" if not known
	FeedbackType string // RFC 5965 §3.1, lower case

	OriginalMessageID string // of the mail that this is about, without brackets; of a reply or an auto-reply, that it answers
	OriginalRef       string // of the report: the sealed reference of the mail that this is about
	ArrivalDate       time.Time
	LastAttempt       time.Time
	SourceIP          string // RFC 5965 §3.2: where the mail had come from

	Decoder string // which decoder read it
	Rule    string // which rule gave Category: "text:user-unknown", "status:5.1.1", ...
	Why     string // of kind other: why nothing was told
}

// Report is all that a mail says.
type Report struct {
	// Facts holds at least one: one of kind Other if the mail tells nothing.
	Facts []Fact
	// MessageID is the mail's own, without brackets; "" if it has none.
	MessageID string
	// Digest identifies a mail that has no Message-ID: a hash of its body and of those headers that do not
	// change when it is sent again. It is zero where MessageID is set.
	Digest [16]byte
	// From is the address of the mail's author, its domain in lower case; "" if it names none.
	From string
	// References holds the ids of In-Reply-To and References, nearest first, each once.
	References []string
	// OriginalMessageID is that of the returned message; "" if none was returned.
	OriginalMessageID string
	// OriginalRef is the token of the X-Carom-Ref header of the returned message, or of the mail itself.
	OriginalRef string
	// Subject is decoded, one line, at most 256 bytes.
	Subject string
	// ByMachine says that no human wrote the mail: its envelope was empty, its author is a mail system, or it calls itself
	// automatic.
	ByMachine bool
}

// Read tells what a mail says. It takes any bytes, never fails and keeps nothing of mail. Its time is
// linear in the mail's size, its memory bounded by a constant. It may be called from several goroutines.
func Read(mail []byte) Report { return Envelope{}.Read(mail) }

// Envelope is what who took a mail over SMTP knows beside it. Without it, only a Return-Path that the mail bears counts.
type Envelope struct {
	// ReversePath is that of MAIL FROM (RFC 5321 §4.1.1.2), with or without its angle brackets: NullPath of bounces and
	// auto-replies (§4.5.5), "" if not known.
	ReversePath string
}

// NullPath is the reverse path that only machines give.
const NullPath = "<>"

// Read is the function of that name, of a mail that came in this envelope.
func (e Envelope) Read(mail []byte) Report {
	r := getReader()
	defer r.put()
	r.envelope = e.ReversePath
	return r.read(mail)
}

// ReadInto is Read without garbage: the strings and slices of what it returns lie in the room, and are valid until it is
// used or cleared again.
func (e Envelope) ReadInto(room *Room, mail []byte) Report {
	room.Clear()
	r := getReader()
	defer r.put()
	r.envelope = e.ReversePath
	// The buffers change places, so that nothing of the room stays with the reader.
	r.room, r.out, room.text = room, room.text[:0], r.out
	defer func() { r.room, r.out, room.text = nil, room.text, r.out }()
	return r.read(mail)
}

// Room is memory for one report at a time. Who is done with it clears it: then it keeps nothing of a mail, and no more
// than most mails need.
type Room struct {
	text  []byte
	facts []Fact
}

// Clear ends the use of what lies in the room.
func (m *Room) Clear() {
	if cap(m.text) > maxRoomText || cap(m.facts) > maxRoomFacts {
		*m = Room{}
		return
	}
	clear(m.facts)
	m.text, m.facts = m.text[:0], m.facts[:0]
}

// read is the order of decision of DESIGN §7.
func (r *reader) read(raw []byte) Report {
	r.raw = withLF(raw)
	r.body, r.fields = r.head.parseMessage(r.raw)
	r.walk(r.head[fContentType], r.head[fEncoding], r.body, 0)
	r.findReturned()
	for i := range decoders {
		d := &decoders[i]
		detected := d.detect(r)
		if detected {
			d.read(r)
		}
		r.asked(d, detected)
		if len(r.found) > 0 {
			for j := range r.found {
				if r.found[j].decoder == "" {
					r.found[j].decoder = d.name
				}
			}
			break
		}
	}
	for i := range r.found {
		r.classify(&r.found[i])
	}
	return r.report()
}

// findReturned reads the header of the returned message, if a part holds it.
func (r *reader) findReturned() {
	for i := range r.parts {
		p := &r.parts[i]
		if p.typ != partReturned && p.typ != partReturnedHeaders {
			continue
		}
		// RFC 2046 §5.2.1 allows no encoding here; some gateways encode it all the same.
		b := p.encoding.decode(p.body, maxText, &r.scratch)
		if p.encoding == encodingPlain {
			b = p.body
		}
		if r.returnedHeader(b) {
			return
		}
	}
}

// returnedHeader takes b for the returned message, of which there was none yet, and reports whether it begins with a header.
func (r *reader) returnedHeader(b []byte) bool {
	// Where there is no field, parseMessage leaves the header as empty as it is.
	_, n := r.returned.parseMessage(b)
	r.hasReturned = n > 0
	return r.hasReturned
}
