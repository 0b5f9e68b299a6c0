package report

// A provider's words in the form of qmail's bounce (X4 in the literature).
//
//	Your mail message to the following address(es) could not be delivered. …
//
//	<bob@example.com>:
//	550 5.1.1 User unknown
//
//	--- Below this line is a copy of the message.
var x4Notice = notice{
	intro:    known("Your mail message to the following address(es) could not be delivered"),
	returned: qmailNotice.returned,
}
