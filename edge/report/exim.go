package report

import "bytes"

// Exim's bounce and its warning of a delay. The text is a template that sites change and translate, so
// the header that Exim adds to each of them decides.
var eximNotice = notice{
	begin: []byte("ollowing address"),
	returned: []string{
		"------ This is a copy of ",
		"----- This is a copy of ",
		"------ The body of the message is ",
	},
}

func detectExim(r *reader) bool {
	return r.head.has(fFailedRecipients) && !hasPrefix(r.head.get(fSubject), "Delivery Status Notification")
}

func readExim(r *reader) { eximNotice.read(r) }

// What Exim says of a message that it would not take from a local program, by one of the texts of moan.c:
//
//	A message that you sent contained one or more recipient addresses that were
//	incorrectly constructed:
//
//	  bob@@example.com: malformed address
var eximSubmission = notice{
	daemon:   true,
	intro:    known("A message that you sent contained"),
	begin:    []byte("constructed:"),
	returned: []string{"------ This is a copy of ", "------ The headers of the message "},
}

func readEximSubmission(r *reader) {
	text := eximSubmission.cutReturned(r, r.words())
	f := finding{charset: r.textCharset(), kind: Bounce, action: actionFailed}
	_, text, _ = bytes.Cut(text, eximSubmission.begin)
	for text = bytes.TrimLeft(text, "\r\n"); len(text) > 0; {
		var line []byte
		if line, text = cutLine(text); len(trim(line)) == 0 {
			return
		}
		head, said, ok := bytes.Cut(line, []byte(": "))
		if !ok {
			continue
		}
		if f.recipient = addrSpec(head); f.recipient != nil {
			r.addSaid(f, trim(said))
		}
	}
}
