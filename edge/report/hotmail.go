package report

// Hotmail's junk mail reports: the mail that a user called junk, attached, with a field that names the user. They
// are no feedback reports of RFC 5965.
func detectHotmail(r *reader) bool {
	return r.hasReturned && r.returned.has(fOriginalRecipient) && r.part(partStatus) == nil && !r.quotes()
}

func readHotmail(r *reader) {
	r.add(finding{
		kind:         Complaint,
		recipient:    addrSpec(r.returned.get(fOriginalRecipient)),
		feedbackType: []byte("abuse"),
		sourceIP:     r.returned.get(fReporter),
	})
}
