package report

import "bytes"

// Trustwave MailMarshal: the reason first, then those whom it hit.
//
//	Could not be delivered because of
//
//	550 5.1.1 User unknown
//
//	The following recipients were affected:
//	    bob@example.com
var mailmarshalNotice = notice{
	intro: known("Could not be delivered because of"),
	begin: []byte("The following recipients were affected:"),
}

func readMailMarshal(r *reader) {
	text := r.words()
	_, said, _ := bytes.Cut(text, mailmarshalNotice.intro.text)
	said, list, _ := bytes.Cut(said, mailmarshalNotice.begin)
	f := finding{charset: r.textCharset()}
	f.kind, f.action = r.outcome(text)
	for list = trim(list); len(list) > 0; {
		var line []byte
		line, list = cutLine(list)
		if f.recipient, _ = listed(line); f.recipient == nil {
			break
		}
		r.addSaid(f, trim(said))
	}
}
