package event

import (
	"strconv"
	"time"
)

// AppendJSON appends the refined event as the JSON object of DESIGN §9 to dst, without a line end. Equal events give
// equal bytes. It does not allocate when dst has room.
//
// Not published: Client.Hash, the flags Untracked (such hits are not recorded) and NotSent (such messages have none), the link of what is no click, the
// diagnosis of what is no bounce, delay or delivery, and SentAt of a sent event, which is its time.
func (r *Refined) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"id":"`...)
	dst = r.ID.appendText(dst)
	dst = append(dst, `","revision":`...)
	dst = strconv.AppendUint(dst, uint64(r.Revision), 10)
	dst = append(dst, `,"kind":"`...)
	dst = append(dst, r.Kind.String()...)
	dst = append(dst, `","time":`...)
	dst = appendTime(dst, r.Time)
	dst = r.Ref.appendNames(dst)
	dst = append(dst, `,"first":`...)
	dst = strconv.AppendBool(dst, r.First)
	dst = appendFlag(dst, `,"inferred":true`, r.Inferred)
	dst = r.Flags.appendJSON(dst)
	if r.SentAt != 0 && r.Kind != Sent {
		dst = appendTime(append(dst, `,"sent_at":`...), r.SentAt)
	}
	if r.Kind == Click {
		dst = r.Ref.appendLink(dst)
	}
	dst = r.Actor.appendJSON(dst)
	dst = r.Client.appendJSON(dst)
	if r.diagnosed() {
		dst = r.Bounce.appendJSON(dst, r.Recipient)
	}
	if r.Kind == Complaint {
		dst = appendMember(dst, `,"feedback_type":`, r.FeedbackType)
	}
	if r.Kind == Sent {
		dst = appendMember(dst, `,"provider":`, r.Provider)
	}
	if r.Kind == Alert && len(r.Alert) > 0 {
		dst = append(append(dst, `,"alert":`...), r.Alert...)
	}
	dst = appendFlag(dst, `,"erased":true`, r.Erased)
	if r.Kind == Erase {
		dst = appendMember(dst, `,"contact_key":`, r.ContactKey)
		dst = appendStrings(dst, `,"messages":`, r.Messages)
	}
	dst = append(dst, `,"origin":`...)
	dst = r.Origin.appendJSON(dst)
	return append(dst, '}')
}

// diagnosed reports whether the event has a "bounce" member.
func (r *Refined) diagnosed() bool {
	switch r.Kind {
	case Bounce, Delay, Delivered:
		return r.Bounce != Diagnosis{} || r.Recipient != ""
	}
	return false
}

// appendNames appends the members that every event has.
func (r *Ref) appendNames(dst []byte) []byte {
	dst = appendString(append(dst, `,"account":`...), r.Account)
	dst = appendString(append(dst, `,"sender":`...), r.Sender)
	dst = appendString(append(dst, `,"sequence":`...), r.Sequence)
	dst = appendString(append(dst, `,"contact":`...), r.Contact)
	return appendString(append(dst, `,"message":`...), r.Message)
}

func (r *Ref) appendLink(dst []byte) []byte {
	dst = append(dst, `,"link":{"index":`...)
	dst = strconv.AppendUint(dst, uint64(r.Link), 10)
	dst = appendString(append(dst, `,"url":`...), r.URL)
	return append(dst, '}')
}

func (f Flags) appendJSON(dst []byte) []byte {
	dst = appendFlag(dst, `,"transactional":true`, f.Has(Transactional))
	dst = appendFlag(dst, `,"anonymous":true`, f.Has(Anonymous))
	dst = appendFlag(dst, `,"shared":true`, f.Has(Shared))
	return appendFlag(dst, `,"honeypot":true`, f.Has(Honeypot))
}

func (a *Actor) appendJSON(dst []byte) []byte {
	if a.Verdict == NoVerdict {
		return dst
	}
	dst = append(dst, `,"actor":{"verdict":"`...)
	dst = append(dst, a.Verdict.String()...)
	dst = append(dst, `","reasons":[`...)
	for i, reason := range a.Reasons {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, reason)
	}
	dst = append(dst, ']')
	dst = appendMember(dst, `,"via":`, a.Via)
	return append(dst, '}')
}

func (c *Client) appendJSON(dst []byte) []byte {
	if !c.IP.IsValid() && c.UserAgent == "" {
		return dst
	}
	dst = append(dst, `,"client":{`...)
	if c.IP.IsValid() {
		dst = c.IP.WithZone("").AppendTo(append(dst, `"ip":"`...))
		dst = append(dst, '"')
		if c.UserAgent != "" {
			dst = append(dst, ',')
		}
	}
	dst = appendMember(dst, `"user_agent":`, c.UserAgent)
	return append(dst, '}')
}

func (d *Diagnosis) appendJSON(dst []byte, recipient string) []byte {
	dst = append(dst, `,"bounce":{"hard":`...)
	dst = strconv.AppendBool(dst, d.Hard)
	dst = appendMember(dst, `,"category":`, d.Category)
	dst = appendMember(dst, `,"status":`, d.Status)
	dst = appendMember(dst, `,"reply_code":`, d.ReplyCode)
	dst = appendMember(dst, `,"action":`, d.Action)
	dst = appendMember(dst, `,"recipient":`, recipient)
	dst = appendMember(dst, `,"remote_mta":`, d.RemoteMTA)
	dst = appendMember(dst, `,"diagnostic":`, d.Diagnostic)
	dst = appendMember(dst, `,"provider":`, d.Provider)
	dst = appendMember(dst, `,"rule":`, d.Rule)
	return append(dst, '}')
}

func (o *Origin) appendJSON(dst []byte) []byte {
	dst = appendString(append(dst, `{"node":`...), o.Node)
	dst = append(dst, `,"partition":`...)
	dst = strconv.AppendInt(dst, int64(o.Partition), 10)
	dst = append(dst, `,"offset":`...)
	dst = strconv.AppendInt(dst, o.Offset, 10)
	dst = append(dst, `,"n":`...)
	dst = strconv.AppendInt(dst, int64(o.N), 10)
	return append(dst, '}')
}

func appendFlag(dst []byte, member string, set bool) []byte {
	if !set {
		return dst
	}
	return append(dst, member...)
}

// appendMember appends name, which brings its comma and colon, and value; nothing if value is empty.
func appendMember(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendString(append(dst, name...), value)
}

// RFC 3339 knows the years 0 to 9999.
const (
	minMillis Millis = -62167219200000
	maxMillis Millis = 253402300799999
)

// appendTime appends m as "2006-01-02T15:04:05.000Z" in quotes.
func appendTime(dst []byte, m Millis) []byte {
	return append(m.AppendRFC3339(append(dst, '"')), '"')
}

// AppendRFC3339 appends m in UTC, with milliseconds, as the JSON forms have it between quotes.
func (m Millis) AppendRFC3339(dst []byte) []byte {
	m = min(max(m, minMillis), maxMillis)
	t := time.UnixMilli(int64(m)).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = appendDigits(dst, year, 4)
	dst = appendDigits(append(dst, '-'), int(month), 2)
	dst = appendDigits(append(dst, '-'), day, 2)
	dst = appendDigits(append(dst, 'T'), hour, 2)
	dst = appendDigits(append(dst, ':'), minute, 2)
	dst = appendDigits(append(dst, ':'), second, 2)
	dst = appendDigits(append(dst, '.'), t.Nanosecond()/int(time.Millisecond), 3)
	return append(dst, 'Z')
}

// appendDigits appends v with n digits, at most 4.
func appendDigits(dst []byte, v, n int) []byte {
	dst = append(dst, "0000"[:n]...)
	for i := len(dst) - 1; v > 0; i-- {
		dst[i] += byte(v % 10)
		v /= 10
	}
	return dst
}
