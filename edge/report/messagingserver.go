package report

import "bytes"

// Oracle (Sun, iPlanet) Messaging Server, where its delivery status is lost: a block for each recipient.
//
//	Your message cannot be delivered to the following recipients:
//
//	  Recipient address: bob@example.com
//	  Reason: Remote SMTP server has rejected address
//	  Diagnostic code: smtp;550 5.1.1 User unknown
//	  Remote system: dns;mx.example.com (TCP|192.0.2.1|…)
var messagingServerNotice = notice{intro: known("  Recipient address: ")}

func readMessagingServer(r *reader) {
	text := r.words()
	f := finding{charset: r.textCharset()}
	f.kind, f.action = r.outcome(text)
	for {
		i := bytes.Index(text, messagingServerNotice.intro.text)
		if i < 0 {
			return
		}
		text = text[i+len(messagingServerNotice.intro.text):]
		block := paragraph(text[:min(len(text), maxMatch)])
		if f.recipient, _ = findAddress(block); f.recipient == nil {
			continue
		}
		_, said := cutLine(block)
		if i := bytes.Index(said, []byte("Diagnostic code: ")); i >= 0 {
			said = diagnosticField(said[i+len("Diagnostic code: "):])
		}
		said, host, _ := bytes.Cut(said, []byte("Remote system: "))
		r.addSaid(f, trim(said))
		if len(host) > 0 {
			r.found[len(r.found)-1].remoteMTA = hostField(host)
		}
	}
}
