package event

import (
	"encoding/hex"
	"strconv"
)

// AppendJSON appends the raw event as a JSON object to dst, without a line end: how `carom events` and GET /v1/journal
// show the journal. "sequence" is the campaign; "offset" is the record's number in the journal, at its log time. For
// people and tests; it is not read back, and what is empty is left out.
//
//	{"node","incarnation","offset","log_time","kind","time","known_by","key",
//	 "account","sender","sequence","contact","message", the members of a refined event that apply,
//	 "recipient","links":[url...],"mail":{"id","from","feedback_type","reply_address","references"},"body":{...}}
func (e *Event) AppendJSON(dst []byte, offset int64, at Millis, src Source) []byte {
	dst = appendString(append(dst, `{"node":`...), src.Node)
	dst = append(dst, `,"incarnation":"`...)
	dst = hex.AppendEncode(dst, src.Incarnation[:])
	dst = append(dst, `","offset":`...)
	dst = strconv.AppendInt(dst, offset, 10)
	dst = appendTime(append(dst, `,"log_time":`...), at)
	dst = append(dst, `,"kind":"`...)
	dst = append(dst, e.Kind.String()...)
	dst = append(dst, '"')
	dst = appendTime(append(dst, `,"time":`...), e.Time)
	if e.Kind == Tick {
		return append(dst, '}')
	}
	dst = appendMember(dst, `,"known_by":`, e.KnownBy.String())
	dst = append(dst, `,"key":"`...)
	dst = hex.AppendEncode(dst, e.Key[:])
	dst = append(dst, '"')
	dst = e.Ref.appendNames(dst)
	dst = e.Flags.appendJSON(dst)
	dst = appendFlag(dst, `,"untracked":true`, e.Flags.Has(Untracked))
	dst = appendFlag(dst, `,"not_sent":true`, e.Flags.Has(NotSent))
	if e.SentAt != 0 {
		dst = appendTime(append(dst, `,"sent_at":`...), e.SentAt)
	}
	if e.Kind == Click {
		dst = e.Ref.appendLink(dst)
	}
	dst = e.Actor.appendJSON(dst)
	dst = e.Client.appendJSON(dst)
	if e.Bounce != (Diagnosis{}) {
		dst = e.Bounce.appendJSON(dst, "")
	}
	dst = appendMember(dst, `,"recipient":`, e.Recipient)
	dst = appendStrings(dst, `,"links":`, e.Links)
	dst = e.Mail.appendJSON(dst)
	if len(e.Body) > 0 {
		dst = appendBody(append(dst, `,"body":`...), e.Body)
	}
	return append(dst, '}')
}

func (m *Mail) appendJSON(dst []byte) []byte {
	if *m == (Mail{}) {
		return dst
	}
	dst = append(dst, `,"mail":{"reply_address":`...)
	dst = strconv.AppendBool(dst, m.ReplyAddress)
	dst = append(dst, `,"references":`...)
	dst = strconv.AppendBool(dst, m.References)
	dst = appendMember(dst, `,"id":`, m.ID)
	dst = appendMember(dst, `,"from":`, m.From)
	dst = appendMember(dst, `,"feedback_type":`, m.FeedbackType)
	return append(dst, '}')
}

// appendStrings appends name, which brings its comma and colon, and the list; nothing if the list is empty.
func appendStrings(dst []byte, name string, list []string) []byte {
	if len(list) == 0 {
		return dst
	}
	dst = append(append(dst, name...), '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, s)
	}
	return append(dst, ']')
}
