package event

import (
	"fmt"
	"math"
	"net/netip"
	"time"
)

// DecodeJSON reads what AppendJSON wrote into r, replacing all of it; unknown members are passed over. A kind or a
// verdict that this Carom does not know is an error. r keeps no part of src. After an error r holds nothing of use.
func (r *Refined) DecodeJSON(src []byte) error {
	*r = Refined{}
	in := NewJSONReader(string(src)) // one copy serves all strings
	r.readJSON(&in)
	if err := in.End(); err != nil {
		return fmt.Errorf("event: refined event: %w", err)
	}
	if r.Kind == Sent && r.SentAt == 0 {
		r.SentAt = r.Time
	}
	return nil
}

func (r *Refined) readJSON(in *JSONReader) {
	for name := range in.Members() {
		switch name {
		case "id":
			r.ID = readID(in)
		case "revision":
			r.Revision = uint32(in.Uint(math.MaxUint32))
		case "kind":
			r.Kind = readKind(in)
		case "time":
			r.Time = readTime(in)
		case "first":
			r.First = in.Bool()
		case "inferred":
			r.Inferred = in.Bool()
		case "actor":
			r.Actor.readJSON(in)
		case "client":
			r.Client.readJSON(in)
		case "bounce":
			r.Bounce.readJSON(in, &r.Recipient)
		case "feedback_type":
			r.FeedbackType = in.String()
		case "provider":
			r.Provider = in.String()
		case "alert":
			r.Alert = readBody(in)
		case "erased":
			r.Erased = in.Bool()
		case "contact_key":
			r.ContactKey = in.String()
		case "messages":
			for range in.Elements() {
				r.Messages = append(r.Messages, in.String())
			}
		case "origin":
			r.Origin.readJSON(in)
		default:
			r.Ref.readMember(in, name)
		}
	}
}

func (r *Ref) readMember(in *JSONReader, name string) {
	switch name {
	case "account":
		r.Account = in.String()
	case "sender":
		r.Sender = in.String()
	case "sequence":
		r.Sequence = in.String()
	case "contact":
		r.Contact = in.String()
	case "message":
		r.Message = in.String()
	case "sent_at":
		r.SentAt = readTime(in)
	case "link":
		r.readLink(in)
	case "transactional":
		r.Flags |= readFlag(in, Transactional)
	case "anonymous":
		r.Flags |= readFlag(in, Anonymous)
	case "shared":
		r.Flags |= readFlag(in, Shared)
	case "honeypot":
		r.Flags |= readFlag(in, Honeypot)
	default:
		in.Skip()
	}
}

func (r *Ref) readLink(in *JSONReader) {
	for name := range in.Members() {
		switch name {
		case "index":
			r.Link = uint32(in.Uint(math.MaxUint32))
		case "url":
			r.URL = in.String()
		default:
			in.Skip()
		}
	}
}

func (a *Actor) readJSON(in *JSONReader) {
	for name := range in.Members() {
		switch name {
		case "verdict":
			a.Verdict = readVerdict(in)
		case "reasons":
			for range in.Elements() {
				a.Reasons = append(a.Reasons, in.String())
			}
		case "via":
			a.Via = in.String()
		default:
			in.Skip()
		}
	}
}

func (c *Client) readJSON(in *JSONReader) {
	for name := range in.Members() {
		switch name {
		case "ip":
			c.IP = readIP(in)
		case "user_agent":
			c.UserAgent = in.String()
		default:
			in.Skip()
		}
	}
}

func (d *Diagnosis) readJSON(in *JSONReader, recipient *string) {
	for name := range in.Members() {
		switch name {
		case "hard":
			d.Hard = in.Bool()
		case "recipient":
			*recipient = in.String()
		default:
			d.readText(in, name)
		}
	}
}

func (d *Diagnosis) readText(in *JSONReader, name string) {
	switch name {
	case "category":
		d.Category = in.String()
	case "status":
		d.Status = in.String()
	case "reply_code":
		d.ReplyCode = in.String()
	case "action":
		d.Action = in.String()
	case "remote_mta":
		d.RemoteMTA = in.String()
	case "diagnostic":
		d.Diagnostic = in.String()
	case "provider":
		d.Provider = in.String()
	case "rule":
		d.Rule = in.String()
	default:
		in.Skip()
	}
}

func (o *Origin) readJSON(in *JSONReader) {
	for name := range in.Members() {
		switch name {
		case "node":
			o.Node = in.String()
		case "partition":
			o.Partition = int32(in.Uint(math.MaxInt32))
		case "offset":
			o.Offset = in.Int()
		case "n":
			o.N = int32(in.Uint(math.MaxInt32))
		default:
			in.Skip()
		}
	}
}

func readFlag(in *JSONReader, f Flags) Flags {
	if in.Bool() {
		return f
	}
	return 0
}

// ID reads the text of an ID.
func (r *JSONReader) ID() ID { return readID(r) }

func readID(in *JSONReader) ID {
	id, err := ParseID(in.String())
	if err != nil {
		in.Fail("want 26 characters of a-z and 2-7")
	}
	return id
}

func readKind(in *JSONReader) Kind {
	k, ok := ParseKind(in.String())
	if !ok {
		in.Fail("unknown kind")
	}
	return k
}

func readAddressKind(in *JSONReader) Kind {
	k, ok := parseAddressKind(in.String())
	if !ok {
		in.Fail("unknown kind")
	}
	return k
}

func readBody(in *JSONReader) []byte {
	text := in.Raw()
	if text == "" || text == "null" {
		return nil
	}
	body, err := CleanBody([]byte(text))
	if err != nil {
		in.Fail(err.Error())
	}
	return body
}

func readVerdict(in *JSONReader) Verdict {
	v, ok := ParseVerdict(in.String())
	if !ok {
		in.Fail("unknown verdict")
	}
	return v
}

// Millis reads a time as RFC 3339 writes it, or as milliseconds since 1970.
func (r *JSONReader) Millis() Millis {
	if r.peek() == '"' {
		return readTime(r)
	}
	return Millis(r.Int())
}

func readTime(in *JSONReader) Millis {
	t, err := time.Parse(time.RFC3339, in.String())
	if err != nil {
		in.Fail("want a time as RFC 3339 writes it")
		return 0
	}
	return Millis(t.UnixMilli())
}

func readIP(in *JSONReader) netip.Addr {
	ip, err := netip.ParseAddr(in.String())
	if err != nil {
		in.Fail("want an IP address")
	}
	return ip
}
