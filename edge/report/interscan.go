package report

import "bytes"

// Trend Micro InterScan: the dialogue with its own marks, or a sentence.
//
//	Sent <<< RCPT TO:<bob@example.com>
//	Received >>> 550 5.1.1 user unknown
var interscanNotice = notice{
	intro:    known("Received >>> "),
	sentence: []byte("Unable to deliver message to <"),
}

var interscanSite = known("Message from InterScan")

func detectInterscan(r *reader) bool {
	if interscanNotice.detect(r) {
		return true
	}
	return r.introHas(interscanSite) && !r.isHuman()
}

func readInterscan(r *reader) {
	f := finding{charset: r.textCharset()}
	text := r.words()
	f.kind, f.action = r.outcome(text)
	for rest := text; len(rest) > 0; {
		var line []byte
		line, rest = cutLine(rest)
		switch t := trim(line); {
		case hasPrefix(t, "Sent <<< RCPT TO:"):
			f.recipient, _ = findAddress(t)
			f.command = commandRcpt
		case hasPrefix(t, "Sent <<< "):
			f.command = commandUnknown
			if hasPrefix(t[9:], "DATA") {
				f.command = commandData
			}
		case hasPrefix(t, "Received >>> ") && f.recipient != nil:
			if said := t[len("Received >>> "):]; len(said) > 0 && (said[0] == '4' || said[0] == '5') {
				r.addSaid(f, said)
				f.recipient = nil
			}
		}
	}
	if i := bytes.Index(text, interscanNotice.sentence); len(r.found) == 0 && i >= 0 {
		f.recipient, _ = findAddress(text[i+len(interscanNotice.sentence):])
		f.command = commandUnknown
		r.addSaid(f, paragraph(text[i:]))
	}
}
