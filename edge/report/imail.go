package report

import "bytes"

// IMail: a line for each recipient, the reason before the address. Its header says who wrote.
//
//	Unknown user: bob@example.com
//
//	Original message follows.
var imailNotice = notice{returned: []string{"Original message follows", "Body of message generated response"}}

func detectIMail(r *reader) bool { return hasPrefix(r.head.get(fMailer), "<SMTP32") && !r.isHuman() }

func readIMail(r *reader) {
	text := imailNotice.cutReturned(r, r.words())
	f := finding{charset: r.textCharset()}
	f.kind, f.action = r.outcome(text)
	for len(text) > 0 {
		var line []byte
		line, text = cutLine(text)
		var after []byte
		if f.recipient, after = findAddress(line); f.recipient != nil && len(trim(bytes.Trim(after, ">.)"))) == 0 {
			r.addSaid(f, trim(line))
		}
	}
}
