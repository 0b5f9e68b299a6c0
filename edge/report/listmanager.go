package report

import "bytes"

// fml and managers like it refuse who is no member of the list, in a mail of their own that looks like a human's. The
// list's address is what could not be reached.
//
//	You alice@example.org are not a member of this mailing list <list@example.com>.
func detectListManager(r *reader) bool {
	return r.head.has(fListManager) && r.byListManager() && r.says(noticeRefusal, r.words())
}

// byListManager reports whether a list's manager wrote, not one of its members: his posts bear its headers too.
func (r *reader) byListManager() bool {
	return bytes.Contains(r.author(), []byte("-admin@")) || bytes.Contains(r.head.get(fMessageID), []byte(".FML")) ||
		r.nullPath() || r.bySystem() && !r.humanPath()
}

func readListManager(r *reader) {
	text := r.words()
	to, from := addrSpec(r.head.get(fTo)), r.author()
	f := finding{kind: Bounce, action: actionFailed, charset: r.textCharset()}
	f.recipient = strangerIn(text, to, from)
	if f.recipient == nil {
		f.recipient = from
	}
	r.addSaid(f, paragraph(text))
}
