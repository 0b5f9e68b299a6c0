package report

import "bytes"

// Gmail's own bounces before it wrote delivery status, and those of Google Groups today. The recipient stands
// alone in a paragraph, the reason after a phrase; a group's bounce is in the reader's language and only its
// header names the recipient.
var gmailNotice = notice{
	intro: known("Delivery to the following recipient"),
	begin: []byte("Delivery to the following recipient"),
	reason: [][]byte{
		[]byte("other server returned was:"), []byte("Technical details of permanent failure:"), []byte("Technical details of temporary failure:"),
	},
	returned: []string{"----- Original message -----", "----- Message header follows -----"},
}

func detectGmail(r *reader) bool {
	return r.fromGoogle() && (gmailNotice.detect(r) || r.head.has(fFailedRecipients))
}

func (r *reader) fromGoogle() bool {
	from := r.author()
	at := bytes.LastIndexByte(from, '@')
	return at >= 0 && (fold(from[at+1:], "googlemail.com") || fold(from[at+1:], "google.com"))
}

func readGmail(r *reader) {
	if gmailNotice.detect(r) {
		gmailNotice.read(r)
	}
	if len(r.found) > 0 {
		return
	}
	text := gmailNotice.cutReturned(r, r.words())
	recipient, _ := findAddress(r.head.get(fFailedRecipients))
	f := finding{kind: Bounce, action: actionFailed, recipient: recipient, charset: r.textCharset()}
	r.addSaid(f, text)
}
