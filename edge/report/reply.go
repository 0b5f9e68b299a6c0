package report

import "bytes"

// ReadReply tells what one SMTP reply says, single or multi-line, with or without its line ends:
//
//	550-5.1.1 The email account that you tried to reach does not exist.
//	550 5.1.1 Learn more at https://support.example.com/
//
// 2yz is a delivery, 4yz a delay, 5yz a bounce (RFC 5321 §4.2.1); what is no reply, and 3yz, tells nothing.
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
	code := replyCode(said)
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
		if _, status := scanReply(said); status != nil && status[0] == code[0] {
			f.status = status
		}
	}
	r.add(f)
	r.classify(&r.found[0])
	return r.facts()[0]
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
