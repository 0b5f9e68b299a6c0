package mails

// agents are programs that write feedback reports.
var agents = []string{"ExampleFBL/1.0", "Feedback-Loop/2.3", "abuse-reporter/0.9"}

// AppendComplaint appends a feedback report (RFC 5965) about o, as the n-th of the programs that write them does. It has
// size bytes at least, of which the original's body makes up what is missing.
func AppendComplaint(dst []byte, o *Original, to string, n int, date []byte, size int) []byte {
	begin := len(dst)
	dst = appendHead(dst, "complaints@example.net", to, date)
	dst = appendAll(dst, "Message-ID: <feedback.", o.Message, ">\r\nSubject: FW: ", o.Subject,
		"\r\nContent-Type: multipart/report; report-type=feedback-report;\r\n\tboundary=\"=_feedback\"\r\n\r\n--=_feedback\r\n",
		"Content-Type: text/plain; charset=us-ascii\r\n\r\nThis is an email abuse report for a message that was received from 192.0.2.25.\r\n\r\n",
		"--=_feedback\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: ", agents[n%len(agents)],
		"\r\nVersion: 1\r\nOriginal-Mail-From: <", o.ReturnPath, ">\r\nOriginal-Rcpt-To: <", o.Recipient,
		">\r\nSource-IP: 192.0.2.25\r\nReported-Domain: example.com\r\nArrival-Date: ")
	dst = append(dst, date...)
	dst = appendAll(dst, "\r\n\r\n--=_feedback\r\nContent-Type: ")
	if missing := size - (len(dst) - begin) - 700; n%2 == 0 || missing > 0 {
		dst = appendAll(dst, "message/rfc822\r\n\r\n")
		dst = append(o.appendHeaders(dst, date), crlf...)
		dst = appendFiller(dst, max(size-(len(dst)-begin)-len("\r\n--=_feedback--\r\n"), len(filler[0])), "")
	} else {
		dst = appendAll(dst, "text/rfc822-headers\r\n\r\n")
		dst = o.appendHeaders(dst, date)
	}
	return append(dst, "\r\n--=_feedback--\r\n"...)
}
