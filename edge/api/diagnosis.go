package api

import (
	"strings"

	"carom/edge/report"
	"carom/pipeline/event"
)

// diagnosis is the object "bounce" of POST /v1/events: that of a refined event, where "reply" may take the place of all.
type diagnosis struct {
	event.Diagnosis
	recipient string
	reply     string
	hardSet   bool
	set       bool
}

func (d *diagnosis) readMember(r *event.JSONReader, name string) bool {
	switch name {
	case "hard":
		d.Hard, d.hardSet = r.Bool(), true
	case "category":
		d.Category = r.String()
	case "status":
		d.Status = r.String()
	case "reply_code":
		d.ReplyCode = r.String()
	case "action":
		d.Action = strings.ToLower(r.String())
	case "recipient":
		d.recipient = r.String()
	case "remote_mta":
		d.RemoteMTA = r.String()
	case "diagnostic":
		d.Diagnostic = r.String()
	case "provider":
		d.Provider = r.String()
	case "rule":
		d.Rule = r.String()
	case "reply":
		d.reply = r.String()
	default:
		return false
	}
	return true
}

// Bounds in bytes. RFC 5321 §4.5.3.1.5 allows 512 a reply line; a reply may have several.
const (
	maxReply      = 8 << 10
	maxDiagnostic = 4 << 10
	maxHostName   = 255
	maxProvider   = 64 // of a rule's name too
)

// categories are those of DESIGN §7.
var categories = wordSet(`invalid_recipient bad_domain mailbox_full inactive blocked reputation auth_failure policy
	spam_content virus content_format content_too_big rate_limited greylisted timeout dns tls relay protocol
	sender_rejected filtered remote_system local_system delivered other`)

// actions are those of RFC 3464 §2.3.3.
var actions = wordSet("failed delayed delivered relayed expanded")

func wordSet(words string) map[string]bool {
	set := make(map[string]bool)
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}

// usualAction is what a kind's report says where it says nothing.
var usualAction = map[event.Kind]string{event.Bounce: "failed", event.Delay: "delayed", event.Delivered: "delivered"}

// diagnose fills in e.Bounce, from the object or from an SMTP reply.
func (f *fact) diagnose(e *event.Event) *problem {
	d := &f.bounce
	if f.reply != "" && d.set && (d.reply != "" || d.judges()) {
		return badField("reply", "is given together with bounce: want one of them, or no more in bounce than remote_mta and recipient")
	}
	reply, field := f.reply, "reply"
	if d.reply != "" {
		reply, field = d.reply, "bounce.reply"
		if d.judges() {
			return badField(field, "stands in place of the other members: want it alone, or with remote_mta and recipient")
		}
	}
	if p := f.addressee(e); p != nil {
		return p
	}
	switch {
	case reply != "":
		return d.classify(e, field, reply)
	case d.says():
		return d.take(e)
	case e.Kind == event.Bounce:
		return missingField("bounce", `want "bounce" with what is known of it, or "reply" with the SMTP reply: 550 5.1.1 ...`)
	}
	return nil
}

// addressee takes the recipient that the object names.
func (f *fact) addressee(e *event.Event) *problem {
	named := f.bounce.recipient
	if wrong := checkText(named, maxAddress); wrong != "" {
		return badField("bounce.recipient", wrong)
	}
	if named != "" && e.Recipient != "" && event.FoldDomain(named) != event.FoldDomain(e.Recipient) {
		return badField("bounce.recipient", "is another address than recipient")
	}
	if e.Recipient == "" {
		e.Recipient = named
	}
	return nil
}

// wantReply says which replies go with a kind. A bounce may be of 4xx: a sender that has given up.
var wantReply = map[event.Kind]struct{ digits, words string }{
	event.Bounce:    {"45", "want an SMTP reply of 4xx or 5xx: 550 5.1.1 ..."},
	event.Delay:     {"4", "want an SMTP reply of 4xx: 451 4.7.1 ..."},
	event.Delivered: {"2", "want an SMTP reply of 2xx: 250 2.1.5 ..."},
}

// classify reads an SMTP reply, for which it matters who said it of whom.
func (d *diagnosis) classify(e *event.Event, field, reply string) *problem {
	want := wantReply[e.Kind]
	if len(reply) > maxReply {
		return badField(field, "is longer than 8192 bytes")
	}
	if p := d.check(); p != nil {
		return p
	}
	got := d.attempt(e).ReadReply(reply)
	if !isReplyCode(got.ReplyCode) || !strings.Contains(want.digits, got.ReplyCode[:1]) {
		return badField(field, want.words)
	}
	e.Bounce = event.Diagnosis{
		Hard: got.Hard, Category: got.Category, Status: got.Status, ReplyCode: got.ReplyCode,
		Action: usualAction[e.Kind], RemoteMTA: got.RemoteMTA, Diagnostic: got.Diagnostic, Provider: got.Provider,
	}
	if e.Kind != event.Delivered { // of which there is but one rule
		e.Bounce.Rule = got.Rule
	}
	return nil
}

// attempt is what the object tells of the dialogue beside what was said.
func (d *diagnosis) attempt(e *event.Event) report.Attempt {
	return report.Attempt{Host: d.RemoteMTA, Recipient: e.Recipient}
}

// says reports whether the object has more than a recipient.
func (d *diagnosis) says() bool { return d.hardSet || d.Diagnosis != event.Diagnosis{} }

// judges reports whether it has more than the names of the dialogue's two sides.
func (d *diagnosis) judges() bool {
	return d.hardSet || d.Diagnosis != event.Diagnosis{RemoteMTA: d.RemoteMTA}
}

// take checks the object and puts in what follows from the rest of it: a category from status, code and text, and from
// the category whether the address is bad.
func (d *diagnosis) take(e *event.Event) *problem {
	if p := d.check(); p != nil {
		return p
	}
	if d.Action == "" {
		d.Action = usualAction[e.Kind]
	}
	if d.Category == "" && e.Kind != event.Delivered {
		got := d.attempt(e).ReadReply(d.asReply())
		d.Category = got.Category
		if d.Provider == "" {
			d.Provider = got.Provider
		}
		if d.Rule == "" {
			d.Rule = got.Rule
		}
		if !d.hardSet {
			d.Hard, d.hardSet = got.Hard, true
		}
	}
	if !d.hardSet {
		d.Hard = d.Category == "invalid_recipient" || d.Category == "bad_domain" || d.Category == "inactive" && !d.temporary()
	}
	e.Bounce = d.Diagnosis
	return nil
}

// asReply joins what is known to the SMTP reply that it may have come from.
func (d *diagnosis) asReply() string {
	code := d.ReplyCode
	if code == "" {
		if code = "550"; d.temporary() {
			code = "450"
		}
	}
	return strings.Join(strings.Fields(code+" "+d.Status+" "+d.Diagnostic), " ")
}

// temporary reports whether status or reply code say so.
func (d *diagnosis) temporary() bool {
	return strings.HasPrefix(d.Status, "4") || d.Status == "" && strings.HasPrefix(d.ReplyCode, "4")
}

func (d *diagnosis) check() *problem {
	var c texts
	c.check("bounce.remote_mta", d.RemoteMTA, maxHostName)
	c.check("bounce.provider", d.Provider, maxProvider)
	c.check("bounce.rule", d.Rule, maxProvider)
	c.check("bounce.diagnostic", oneLine(d.Diagnostic), maxDiagnostic)
	switch {
	case c.problem != nil:
		return c.problem
	case d.Category != "" && !categories[d.Category]:
		return badField("bounce.category", quote(d.Category)+" is no category")
	case d.Status != "" && !isStatus(d.Status):
		return badField("bounce.status", "want an enhanced status such as 5.1.1 (RFC 3463)")
	case d.ReplyCode != "" && !isReplyCode(d.ReplyCode):
		return badField("bounce.reply_code", "want three digits such as 550")
	case d.Action != "" && !actions[d.Action]:
		return badField("bounce.action", quote(d.Action)+" is none of failed delayed delivered relayed expanded")
	}
	d.Diagnostic = oneLine(d.Diagnostic)
	return nil
}

// oneLine joins the lines of a text, as edge/report does it with diagnostics.
func oneLine(s string) string {
	if !strings.ContainsAny(s, "\r\n\t") {
		return s
	}
	return strings.Join(strings.Fields(s), " ")
}

// isReplyCode reports whether s is a final SMTP reply code, RFC 5321 §4.2.1.
func isReplyCode(s string) bool {
	return len(s) == 3 && strings.Contains("245", s[:1]) && isDigits(s[1:], 2)
}

// isStatus reports whether s is an enhanced status, RFC 3463 §2: class.subject.detail.
func isStatus(s string) bool {
	parts := strings.Split(s, ".")
	return len(parts) == 3 && len(parts[0]) == 1 && strings.Contains("245", parts[0]) && isDigits(parts[1], 3) && isDigits(parts[2], 3)
}

func isDigits(s string, most int) bool {
	return s != "" && len(s) <= most && strings.Trim(s, "0123456789") == ""
}
