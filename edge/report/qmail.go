package report

// qmail's bounce, the qmail-send bounce message format: an introduction that begins with "Hi. This is the",
// then a paragraph for each recipient, which begins with the address in brackets and a colon.
var qmailNotice = notice{
	intro: []byte("Hi. This is the "),
	returned: []string{
		"--- Below this line is ", // a copy of the message; the headers of it
		"--- Enclosed is a copy of the message",
		"--- Undelivered message follows ---",
	},
}

// A provider's words in the same form (X4 in the literature).
var qmailKin = notice{intro: []byte("Your mail message to the following address(es) could not be delivered")}

func detectQmail(r *reader) bool { return qmailNotice.detect(r) || qmailKin.detect(r) }

func readQmail(r *reader) { qmailNotice.read(r) }
