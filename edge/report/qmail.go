package report

// qmail's bounce, the qmail-send bounce message format: an introduction that begins with "Hi. This is the",
// then a paragraph for each recipient, which begins with the address in brackets and a colon.
var qmailNotice = notice{
	intro: known("Hi. This is the "),
	returned: []string{
		"--- Below this line is ", // a copy of the message; the headers of it
		"--- Enclosed is a copy of the message",
		"--- Undelivered message follows ---",
	},
}
