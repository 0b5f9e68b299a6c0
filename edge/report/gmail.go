package report

import "bytes"

// Gmail's own bounces before it wrote delivery status, and those of Google Groups today. The recipient stands
// alone in a paragraph, the reason after a phrase; a group's bounce is in the reader's language and only its
// header names the recipient.
var gmailNotice = notice{
	intro:    "Delivery to the following recipient",
	begin:    "Delivery to the following recipient",
	reason:   []string{"Technical details of "},
	returned: []string{"----- Original message -----", "----- Message header follows -----"},
}

func detectGmail(r *reader) bool {
	return gmailNotice.detect(r) || r.head.has(fFailedRecipients) && bytes.HasPrefix(r.head.get(fSubject), []byte("Delivery Status Notification"))
}

func readGmail(r *reader) {
	gmailNotice.read(r)
	if len(r.found) > 0 {
		return
	}
	text := gmailNotice.cutReturned(r, r.words())
	recipient, _ := findAddress(r.head.get(fFailedRecipients))
	f := finding{kind: Bounce, action: []byte("failed"), recipient: recipient, said: text, charset: r.textCharset()}
	f.code, f.status = scanReply(text)
	r.add(f)
}
