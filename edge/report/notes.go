package report

import "bytes"

// The SMTP gateway of Notes 4 puts each reason above its address:
//
//	------- Failure Reasons  --------
//
//	User not listed in public Name & Address Book
//	bob@example.com
//
//	------- Returned Message --------
var notesNotice = notice{
	intro:    known("------- Failure Reasons "),
	begin:    []byte("------- Failure Reasons "),
	returned: []string{"------- Returned Message"},
}

func readNotes(r *reader) {
	text := notesNotice.cutReturned(r, r.words())
	f := finding{charset: r.textCharset()}
	f.kind, f.action = r.outcome(text)
	_, text, _ = bytes.Cut(text, notesNotice.begin)
	_, text = cutLine(text)
	for reason := text; len(text) > 0; {
		line, rest := cutLine(text)
		if a, _ := listed(line); a != nil {
			f.recipient = a
			said := trim(reason[:len(reason)-len(text)])
			if len(said) == 0 && len(r.found) > 0 {
				said = r.found[len(r.found)-1].said // several addresses for one reason
			}
			r.addSaid(f, said)
			reason = rest
		}
		text = rest
	}
}
