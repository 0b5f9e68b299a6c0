package report

import "bytes"

// Apache James, and Verizon's gateway to phones, which is built on it: the reason, then the message's envelope.
//
//	Error message below:
//	550 - Requested action not taken: no such user here
//
//	Message details:
//	  MAIL FROM: alice@example.org
//	  RCPT TO: bob@example.com
var (
	jamesNotice    = notice{intro: known("Error message below:")}
	jamesRecipient = []byte("RCPT TO: ")
	jamesDetails   = []byte("Message details:")
)

func readJames(r *reader) {
	text := r.words()
	_, said, _ := bytes.Cut(text, jamesNotice.intro.text)
	said, list, _ := bytes.Cut(said, jamesDetails)
	f := finding{charset: r.textCharset()}
	f.kind, f.action = r.outcome(text)
	for len(list) > 0 {
		var line []byte
		line, list = cutLine(list)
		if t := trim(line); bytes.HasPrefix(t, jamesRecipient) {
			if f.recipient, _ = findAddress(t[len(jamesRecipient):]); f.recipient != nil {
				r.addSaid(f, trim(said))
			}
		}
	}
}
