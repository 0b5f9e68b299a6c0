package inbound

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"carom/edge/ref"
	"carom/edge/report"
	"carom/pipeline/event"
)

// maxEvents bounds what one mail can put into the journal: all recipients of the largest report, told to one address.
const maxEvents = 1000

// Why a fact makes no event.
const (
	ignoredOther       = "other"       // the mail tells nothing
	ignoredUnmatched   = "unmatched"   // it came to a fixed address, and nothing says which message it is about
	ignoredMisdirected = "misdirected" // a reply to an address for feedback
	ignoredExcess      = "excess"      // more than maxEvents
)

// eventsOf makes events of what a mail says: one for each fact and each recipient of the mail whose message it can be
// about. They are t's. header is what the returned header X-Carom-Ref proves, nil if none came back. ignored counts the
// facts that make none.
func (t *telling) eventsOf(r *report.Report, header *ref.Opened, targets []target, now event.Millis) (events []*event.Event, ignored map[string]int) {
	ignore := func(why string) {
		if ignored == nil {
			ignored = map[string]int{}
		}
		ignored[why]++
	}
	e := &t.first
	for _, to := range targets {
		if to.role == toOperator {
			continue
		}
		facts := factsFor(r, to)
		for i := range facts {
			if e == nil {
				e = new(event.Event)
			}
			switch why := makeEvent(e, r, &facts[i], header, to, now); {
			case why != "":
				ignore(why)
			case len(t.events) >= maxEvents:
				ignore(ignoredExcess)
			default:
				t.events, e = append(t.events, e), nil
			}
		}
	}
	return t.events, ignored
}

// factsFor returns what the mail says to one of its recipients. To write to an unsubscribe address is to unsubscribe
// (RFC 2369 §3.2), whatever the mail says, unless a machine wrote it: then it says what its facts say, often nothing.
func factsFor(r *report.Report, t target) []report.Fact {
	if t.role != toUnsubscribe || r.ByMachine {
		return r.Facts
	}
	for i := range r.Facts {
		switch r.Facts[i].Kind {
		case report.Bounce, report.Delay, report.Delivered, report.Complaint, report.AutoReply:
			return r.Facts
		}
	}
	return []report.Fact{{Kind: report.Unsubscribe}}
}

var kinds = map[report.Kind]event.Kind{
	report.Bounce: event.Bounce, report.Delay: event.Delay, report.Delivered: event.Delivered,
	report.Complaint: event.Complaint, report.Unsubscribe: event.Unsubscribe,
	report.Reply: event.Reply, report.AutoReply: event.AutoReply,
}

// makeEvent makes e the event of one fact told to one recipient, or says why there is none.
func makeEvent(e *event.Event, r *report.Report, f *report.Fact, header *ref.Opened, t target, now event.Millis) (ignored string) {
	kind, ok := kinds[f.Kind]
	if !ok {
		return ignoredOther
	}
	if t.role == toFeedback && (kind == event.Reply || kind == event.AutoReply) {
		return ignoredMisdirected
	}
	*e = event.Event{
		Kind: kind, Time: now, Recipient: text(f.Recipient),
		Mail: event.Mail{ID: mailID(r), From: text(r.From), ReplyAddress: t.role == toReply},
	}
	if !identify(e, r, f, header, t) {
		return ignoredUnmatched
	}
	switch kind {
	case event.Bounce, event.Delay, event.Delivered:
		e.Bounce = event.Diagnosis{
			Hard: f.Hard, Category: f.Category, Status: text(f.Status), ReplyCode: text(f.ReplyCode), Action: text(f.Action),
			RemoteMTA: text(f.RemoteMTA), Diagnostic: text(f.Diagnostic), Provider: f.Provider,
		}
		if kind != event.Delivered { // of which there is but one rule
			e.Bounce.Rule = f.Rule
		}
	case event.Complaint, event.Unsubscribe:
		e.Mail.FeedbackType = text(f.FeedbackType)
	}
	return ""
}

// identify says whose event it is, DESIGN §4: by address token, then by returned header, then by Message-ID.
func identify(e *event.Event, r *report.Report, f *report.Fact, header *ref.Opened, t target) bool {
	byToken := t.role == toReturnPath || t.role == toReply || t.role == toUnsubscribe
	switch {
	case header != nil && (!byToken || header.Key == t.key):
		e.Key, e.KnownBy, e.Ref = header.Key, event.ByRef, header.Ref
		e.Mail.References = true
	case byToken:
		e.Key, e.KnownBy = t.key, event.ByKey
		e.Mail.References = references(r, f, t.key)
	default:
		id := originalID(r, f)
		if id == "" {
			return false
		}
		e.Key, e.KnownBy, e.Ref.Message = event.PartialKey(id), event.ByMessageID, id
		e.Mail.References = true
	}
	return true
}

// references reports whether the mail names the message of a key. A key doesn't tell its message or account, so this
// compares what the key has of the message id alone, its first four bytes: enough against chance (1 in 4 billion), and
// of no use to forge, because who can write to a token's address has had the message in hand.
func references(r *report.Report, f *report.Fact, key event.Key) bool {
	names := func(id string) bool {
		id = event.CleanMessageID(id)
		k := event.PartialKey(id)
		return id != "" && [4]byte(k[:4]) == [4]byte(key[:4])
	}
	for _, id := range r.References {
		if names(id) {
			return true
		}
	}
	return names(f.OriginalMessageID) || names(r.OriginalMessageID)
}

// originalID returns the id of the message that a mail to a fixed address is about: that of the returned message, or
// the nearest one that the mail refers to. Farther ones are other mails of the conversation; to count the fact for each
// of them would count it twice.
func originalID(r *report.Report, f *report.Fact) string {
	candidates := []string{f.OriginalMessageID, r.OriginalMessageID}
	if len(r.References) > 0 {
		candidates = append(candidates, r.References[0])
	}
	for _, id := range candidates {
		if id = text(event.CleanMessageID(id)); id != "" && !event.IsEnrollmentID(id) {
			return id
		}
	}
	return ""
}

// mailID is the identity of the mail itself.
func mailID(r *report.Report) string {
	if id := text(event.CleanMessageID(r.MessageID)); id != "" {
		return id
	}
	return hex.EncodeToString(r.Digest[:])
}

// text makes sure that what a mail said can be stored as text.
func text(s string) string {
	if utf8.ValidString(s) { // as nearly all are; this is the faster look
		return s
	}
	return strings.ToValidUTF8(s, "�")
}
