package report

// detectReply finds what a human wrote: a mail with an author that answers something, or that has a text.
func detectReply(r *reader) bool {
	author := r.author()
	switch {
	case author == nil:
		return false
	case r.fromDaemon():
		// A postmaster may write himself; the rest of those addresses have nobody behind them.
		return hasFold(author, "postmaster@") && r.answers() && !r.nullPath()
	}
	return r.answers() || len(trim(r.body[:min(len(r.body), maxText)])) > 0
}

// answers reports whether the mail names another one, by id or by its subject (RFC 5322 §3.6.4, §3.6.5).
func (r *reader) answers() bool {
	return len(r.head.get(fInReplyTo)) > 0 || len(r.head.get(fReferences)) > 0 || hasFold(r.head.get(fSubject), "re:")
}

func readReply(r *reader) {
	r.add(finding{kind: Reply, recipient: r.author()})
}

// readOther says why a mail tells nothing.
func readOther(r *reader) {
	f := finding{kind: Other}
	switch {
	case len(trim(r.raw[:min(len(r.raw), maxText)])) == 0:
		f.why = "an empty mail"
	case r.fields == 0:
		f.why = "no mail: it has no header"
	case r.author() == nil && !r.fromDaemon():
		f.why = "a mail without an author"
	case r.fromDaemon():
		f.why = "a notice of a mail system in a form that is not known"
	default:
		f.why = "a mail without a text that answers nothing"
	}
	r.add(f)
}
