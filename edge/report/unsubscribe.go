package report

// A mail client that unsubscribes by mail (RFC 2369 §3.2) writes a mail whose whole subject is the word; a human
// who writes that means the same.
func detectUnsubscribe(r *reader) bool {
	return fold(r.head.get(fSubject), "unsubscribe") && !r.answers() && r.author() != nil && !r.fromDaemon()
}

func readUnsubscribe(r *reader) {
	r.add(finding{kind: Unsubscribe, recipient: r.author()})
}
