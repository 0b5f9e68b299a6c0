package report

import "bytes"

// ReadReply tells what one SMTP reply says, single or multi-line, with or without its line ends:
//
//	550-5.1.1 The email account that you tried to reach does not exist.
//	550 5.1.1 Learn more at https://support.example.com/
//
// 2yz is a delivery, 4yz a delay, 5yz a bounce (RFC 5321 §4.2.1); what is no reply, and 3yz, tells nothing. Where lines
// differ, the last one's code counts, and a line of 4yz keeps the reply from being hard.
func ReadReply(text string) Fact { return Attempt{}.ReadReply(text) }

// Attempt is what who got an SMTP reply knows beside it. Each may be "".
type Attempt struct {
	// Host is the name of the host that replied, with or without an address behind it. It tells the provider, whose
	// own rules then come first.
	Host string
	// Recipient is the address that the mail was for: it tells the provider where the host does not, and whether a
	// domain that the reply calls unknown is the recipient's.
	Recipient string
}

// ReadReply is the function of that name, of a reply to this attempt.
func (a Attempt) ReadReply(text string) Fact {
	r := getReader()
	defer r.put()
	return r.readReply(text, a)
}

func (r *reader) readReply(text string, a Attempt) Fact {
	said := trim([]byte(text[:min(len(text), maxReply)]))
	f := finding{kind: Other, said: said, decoder: "smtp-reply", bare: true}
	if a.Host != "" {
		f.remoteMTA = hostField([]byte(a.Host))
	}
	if a.Recipient != "" {
		f.recipient = addrSpec([]byte(a.Recipient))
	}
	code, last, waits := lastReplyLine(said)
	f.waits = waits
	switch {
	case len(said) == 0:
		f.why = "an empty reply"
	case code == nil:
		f.why = "no SMTP reply: it does not begin with a reply code"
	case code[0] == '2':
		f.kind, f.action = Delivered, actionDelivered
	case code[0] == '4':
		f.kind, f.action = Delay, actionDelayed
	case code[0] == '5':
		f.kind, f.action = Bounce, actionFailed
	default:
		f.why = "an SMTP reply that asks for more"
	}
	if f.kind != Other {
		f.code = code
		for _, text := range [...][]byte{last, said} {
			if _, status := scanReply(text); status != nil && status[0] == code[0] {
				f.status = status
				break
			}
		}
	}
	r.add(f)
	r.classify(&r.found[0])
	return r.facts()[0]
}

// lastReplyLine returns the last line of a reply that begins with a code, that code, and whether any line is of class 4.
// All lines have the same code (RFC 5321 §4.2.1), and clients go by the last where a server breaks that. A log may have
// put the lines into one: then the code of a further line counts if a status of its class follows. The code is nil if
// the reply begins with none.
func lastReplyLine(said []byte) (code, last []byte, waits bool) {
	if code = replyCode(said); code == nil {
		return nil, nil, false
	}
	last, waits = said, code[0] == '4'
	start := bytes.Index(said, code)
	oneLine := start+3 < len(said) && said[start+3] == '-' && !bytes.ContainsAny(said, "\r\n")
	for i := start + 4; i < len(said); i++ {
		if c := said[i-1]; c != '\n' && c != '\r' && !(oneLine && c == ' ') {
			continue
		}
		next := replyCode(said[i:])
		if next == nil || next[0] == '3' || oneLine && (len(said) < i+5 || said[i+4] != next[0] || statusAt(said, i+4) == 0) {
			continue
		}
		code, last = next, said[i:]
		waits = waits || code[0] == '4'
	}
	return code, last, waits
}

// replyCode returns the code that a reply begins with (RFC 5321 §4.2); nil if it begins otherwise. A reply
// may be only a code (§4.2: "SHOULD" have a text), and some loggers put "SMTP; " or a quote before it.
func replyCode(said []byte) []byte {
	for _, prefix := range [...]string{"smtp;", "\"", "'"} {
		if hasFold(said, prefix) {
			said = trim(said[len(prefix):])
		}
	}
	if len(said) < 3 || said[0] < '2' || said[0] > '5' || !isReplyDigit(said[1]) || !isDigit(said[2]) {
		return nil
	}
	if len(said) > 3 && bytes.IndexByte([]byte(" -\t\r\n:;,"), said[3]) < 0 {
		return nil
	}
	return said[:3]
}
