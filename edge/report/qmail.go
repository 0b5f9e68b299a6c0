package report

import "bytes"

// qmail's bounce, the qmail-send bounce message format: an introduction that begins with "Hi. This is the",
// then a paragraph for each recipient, which begins with the address in brackets and a colon.
var qmailNotice = notice{
	returned: []string{
		"--- Below this line is ", // a copy of the message; the headers of it
		"--- Enclosed is a copy of the message",
		"--- Undelivered message follows ---",
	},
}

var qmailIntroduction = []byte("Hi. This is the ")

func detectQmail(r *reader) bool {
	words := r.words()
	return bytes.Contains(words[:min(len(words), 200)], qmailIntroduction)
}

func readQmail(r *reader) { qmailNotice.read(r) }
