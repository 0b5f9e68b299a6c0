package report

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// Amazon SES tells a topic of Amazon SNS what became of a mail, which can be mailed on, as the JSON object alone or
// inside the notification of SNS.
//
// Described in the SES developer guide, "Amazon SNS notification contents".
type sesNotification struct {
	NotificationType string `json:"notificationType"`
	EventType        string `json:"eventType"`
	Bounce           struct {
		BounceType        string
		ReportingMTA      string
		BouncedRecipients []sesRecipient
	}
	Complaint struct {
		ComplaintFeedbackType string
		ComplainedRecipients  []sesRecipient
	}
	Delivery struct {
		Recipients   []string
		SMTPResponse string
		RemoteMtaIP  string
	}
	Mail struct {
		CommonHeaders struct{ MessageID string }
	}
}

type sesRecipient struct{ EmailAddress, Action, Status, DiagnosticCode string }

var sesMark = []byte("otificationType")

func detectSES(r *reader) bool {
	words := trim(r.words())
	return len(words) > 0 && words[0] == '{' && bytes.Contains(words[:min(len(words), maxIntro)], sesMark) && !r.isHuman()
}

func readSES(r *reader) {
	n, ok := parseSES(r.words())
	if !ok {
		return
	}
	id := []byte(n.Mail.CommonHeaders.MessageID)
	for _, to := range n.Bounce.BouncedRecipients {
		f := finding{
			action: []byte(to.Action), status: statusField([]byte(to.Status)), recipient: []byte(to.EmailAddress),
			said: diagnosticField([]byte(to.DiagnosticCode)), originalID: id,
		}
		code, said := scanReply(f.said)
		f.code, f.status = code, chooseStatus(f.status, said)
		f.kind = kindOf(f.action, f.status, f.code)
		r.add(f)
	}
	for _, to := range n.Complaint.ComplainedRecipients {
		r.add(finding{
			kind: Complaint, recipient: []byte(to.EmailAddress), feedbackType: []byte(n.Complaint.ComplaintFeedbackType), originalID: id,
		})
	}
	for _, to := range n.Delivery.Recipients {
		f := finding{
			kind: Delivered, action: actionDelivered, recipient: []byte(to), said: []byte(n.Delivery.SMTPResponse), originalID: id,
		}
		f.code, f.status = scanReply(f.said)
		r.add(f)
	}
}

// parseSES reads the first JSON object of a text, whose lines some MTA may have broken.
func parseSES(text []byte) (n sesNotification, ok bool) {
	text = bytes.ReplaceAll(bytes.ReplaceAll(trim(text), []byte("\r"), nil), []byte("\n"), nil)
	var envelope struct{ Type, Message string }
	if mayBeEnvelope(text) && json.NewDecoder(bytes.NewReader(text)).Decode(&envelope) == nil && envelope.Message != "" {
		text = []byte(envelope.Message)
	}
	if json.NewDecoder(bytes.NewReader(text)).Decode(&n) != nil {
		return n, false
	}
	return n, n.NotificationType != "" || n.EventType != ""
}

// mayBeEnvelope reports whether a JSON text may have a member "Message". Its name may be escaped, or have a letter that
// only folds to one of ASCII.
func mayBeEnvelope(text []byte) bool {
	for _, c := range text {
		if c == '\\' || c >= utf8.RuneSelf {
			return true
		}
	}
	for from := 0; ; {
		i := bytes.IndexByte(text[from:], '"')
		if i < 0 {
			return false
		}
		from += i + 1
		if hasFold(text[from:], `message"`) {
			return true
		}
	}
}
