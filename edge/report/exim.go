package report

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
