package report

import "bytes"

// A system that is not known by name (X6 in the literature): a sentence for each recipient.
//
//	SMTP Server <mx.example.com> rejected recipient <bob@example.com> (Error following RCPT command).
//	It responded as follows: [550 5.1.1 User unknown]
var x6Notice = notice{intro: known("> rejected recipient <"), begin: []byte("We had trouble delivering your message")}

func readX6(r *reader) {
	f := finding{kind: Bounce, action: actionFailed, charset: r.textCharset()}
	for text := r.words(); ; {
		i := bytes.Index(text, x6Notice.intro.text)
		if i < 0 {
			return
		}
		host := text[bytes.LastIndexByte(text[:i], '<')+1 : i]
		f.recipient, text = findAddress(text[i+len(x6Notice.intro.text):])
		if f.recipient == nil {
			return
		}
		r.addSaid(f, trim(bytes.TrimPrefix(paragraph(text[:min(len(text), maxMatch)]), []byte(">"))))
		r.found[len(r.found)-1].remoteMTA = host
	}
}
