package report

// A mail client that unsubscribes by mail (RFC 2369 §3.2) writes a mail whose whole subject is the word; a human
// who writes that means the same. Apple Mail calls its mail auto-replied, so
// only an empty envelope tells a machine that repeats a subject from one that was told to opt out.
func detectUnsubscribe(r *reader) bool {
	return fold(r.head.get(fSubject), "unsubscribe") && !r.answers() && r.author() != nil && !r.fromDaemon() && !r.nullPath()
}

func readUnsubscribe(r *reader) {
	r.add(finding{kind: Unsubscribe, recipient: r.author()})
}
