package api

import (
	"strconv"
	"strings"

	"carom/edge/ref"
	"carom/pipeline/event"
)

// told facts: what other systems know and POST /v1/events takes. Opens and clicks are not among them: they are heard.
const toldKinds = "delivered delay bounce dropped reply auto_reply complaint unsubscribe completed"

// fact is what POST /v1/events takes.
type fact struct {
	kindName  string
	time      told
	account   string
	message   string
	sender    string
	sequence  string
	contact   string
	recipient string

	bounce       diagnosis
	reply        string // an SMTP reply, in place of bounce
	feedbackType string
	reportID     string
	from         string
	verdict      string

	kind event.Kind
}

func (f *fact) readMember(r *event.JSONReader, name string) bool {
	switch name {
	case "kind":
		f.kindName = r.String()
	case "time":
		f.time = readTime(r)
	case "account":
		f.account = r.String()
	case "message":
		f.message = r.String()
	case "sender":
		f.sender = r.String()
	case "sequence":
		f.sequence = r.String()
	case "contact":
		f.contact = r.String()
	case "recipient":
		f.recipient = r.String()
	case "bounce":
		f.bounce.set = true
		readMembers(r, f.bounce.readMember)
	case "reply":
		f.reply = r.String()
	case "feedback_type":
		f.feedbackType = strings.ToLower(r.String())
	case "report_id":
		f.reportID = event.CleanMessageID(r.String())
	case "from":
		f.from = r.String()
	case "verdict":
		f.verdict = r.String()
	default:
		return false
	}
	return true
}

// readFact makes an event of what POST /v1/events got, and appends the answer to dst.
func (s *Server) readFact(text string, now event.Millis, e *event.Event, dst []byte) ([]byte, *problem) {
	var f fact
	if p := readObject(text, f.readMember); p != nil {
		return dst, p
	}
	if p := f.check(); p != nil {
		return dst, p
	}
	at, p := f.time.or(now, "time")
	if p != nil {
		return dst, p
	}
	*e = event.Event{Kind: f.kind, Time: at, Recipient: f.recipient}
	f.identify(e)
	f.tellMail(e)
	if p := f.diagnose(e); p != nil {
		return dst, p
	}
	id, ok := event.IdentityOf(e)
	if !ok {
		panic("BUG: a told fact has no identity: " + f.kindName)
	}
	dst = append(dst, `{"id":"`...)
	dst = append(dst, id.String()...)
	return append(dst, `"}`...), nil
}

// check refuses what is missing, doubtful or in the wrong place.
func (f *fact) check() *problem {
	if f.account == "" {
		f.account = ref.DefaultAccount
	}
	if f.kindName == "" {
		return missingField("kind", "want one of "+toldKinds)
	}
	var ok bool
	if f.kind, ok = event.ParseKind(f.kindName); !ok || !isTold(f.kindName) {
		return badField("kind", quote(f.kindName)+" is none of "+toldKinds)
	}
	var c texts
	c.check("account", f.account, maxID)
	c.check("sender", f.sender, maxID)
	c.check("sequence", f.sequence, maxID)
	c.check("contact", f.contact, maxID)
	c.check("message", f.message, maxMessage)
	c.check("recipient", f.recipient, maxAddress)
	c.check("report_id", f.reportID, maxMessage)
	c.check("from", f.from, maxAddress)
	if c.problem != nil {
		return c.problem
	}
	if p := f.checkWhose(); p != nil {
		return p
	}
	return f.checkPlaces()
}

func isTold(kind string) bool {
	for k := range strings.SplitSeq(toldKinds, " ") {
		if k == kind {
			return true
		}
	}
	return false
}

// checkWhose wants either a message or an enrollment.
func (f *fact) checkWhose() *problem {
	enrollment := f.sender != "" || f.sequence != "" || f.contact != ""
	switch {
	case f.message != "" && enrollment:
		return badField("message", "is given together with sender, sequence or contact: want the message, or the other three in its place")
	case f.message != "":
		if f.message = event.CleanMessageID(f.message); f.message == "" {
			return badField("message", "is empty but for blanks and angle brackets")
		}
		return nil
	case !enrollment:
		return missingField("message", "want message, or sender, sequence and contact in its place")
	case f.sender == "":
		return missingField("sender", "want sender, sequence and contact, or message in their place")
	case f.contact == "":
		return missingField("contact", "want sender, sequence and contact, or message in their place")
	}
	return nil
}

// checkPlaces refuses members that say nothing about the kind: the client means something else than it would get.
func (f *fact) checkPlaces() *problem {
	k := f.kind
	diagnosed := k == event.Bounce || k == event.Delay || k == event.Delivered
	switch {
	case f.bounce.set && !diagnosed:
		return badField("bounce", "belongs to the kinds bounce, delay and delivered")
	case f.reply != "" && !diagnosed:
		return badField("reply", "belongs to the kinds bounce, delay and delivered")
	case f.feedbackType != "" && k != event.Complaint:
		return badField("feedback_type", "belongs to the kind complaint")
	case !isWord(f.feedbackType):
		return badField("feedback_type", "want a word of RFC 5965, such as abuse or not-spam")
	case f.verdict != "" && k != event.Reply:
		return badField("verdict", "belongs to the kind reply")
	case f.verdict != "" && f.verdict != event.Human.String() && f.verdict != event.Unknown.String():
		return badField("verdict", "want human or unknown")
	}
	return nil
}

// isWord reports whether s is empty or a short word of letters, digits and hyphens.
func isWord(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return len(s) <= 64
}

// identify says whose fact it is.
func (f *fact) identify(e *event.Event) {
	e.Account = f.account
	if f.message != "" {
		e.Message, e.KnownBy = f.message, event.ByKey
	} else {
		e.Sender, e.Sequence, e.Contact = f.sender, f.sequence, f.contact
		e.Message, e.KnownBy = event.EnrollmentID(f.account, f.sender, f.sequence, f.contact), event.ByRef
	}
	e.Key = event.KeyOf(e.Account, e.Message)
}

// tellMail fills in what a mail would have told. Who tells a reply here has seen it: it counts as a person's, whatever
// its From says, unless the verdict says otherwise.
func (f *fact) tellMail(e *event.Event) {
	e.Mail = event.Mail{ID: f.reportID, From: f.from, FeedbackType: f.feedbackType}
	switch e.Kind {
	case event.Reply:
		e.Mail.References = true
		e.Actor.Verdict = event.Human
		if v, ok := event.ParseVerdict(f.verdict); ok && v != event.NoVerdict {
			e.Actor.Verdict = v
		}
	case event.AutoReply:
		e.Mail.References = true
	case event.Complaint:
		if e.Mail.FeedbackType == "" {
			e.Mail.FeedbackType = "abuse"
		}
	case event.Delay:
	default:
		return
	}
	if e.Mail.ID == "" {
		e.Mail.ID = f.toldID(e)
	}
}

// toldID stands in for the id of a mail that nobody names. Kind and message are part of the identity already. The same
// call again must be the same fact, so our own clock must not be in it: a fact without a time is one a message.
func (f *fact) toldID(e *event.Event) string {
	id := "told"
	if f.time.set {
		id += "-at-" + strconv.FormatInt(int64(e.Time), 10)
	}
	if e.Kind == event.Complaint { // one that is taken back is another fact than the complaint
		id += "-" + e.Mail.FeedbackType
	}
	return id
}
