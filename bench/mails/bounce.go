package mails

import "strings"

// Diagnosis is why a mail could not be delivered.
type Diagnosis struct {
	Action string // failed or delayed
	Status string // RFC 3463
	// Text is what the server said, without its reply code's line: "550 5.1.1 User unknown". A %s stands for the recipient.
	Text string
	Hard bool // the address is bad
}

// Style is the manner of one kind of mail server.
type Style struct {
	Name    string
	daemon  string // who writes
	subject string
	// opening and closing stand around the diagnosis in the part for people.
	opening, closing string
	html             bool // the part for people comes as HTML too
	remote           bool // the report names the server that said no
	whole            bool // all of the mail is returned, not its header alone
	extra            string
}

// Styles are the manners of servers that write delivery status notifications (RFC 3464): those of the large free MTAs, of
// a groupware server and of a mailbox provider.
var Styles = []Style{
	{
		Name: "plain", daemon: "MAILER-DAEMON@mx.example.net (Mail Delivery System)", subject: "Undelivered mail",
		opening: "This is the mail system at host mx.example.net.\r\n\r\nYour message could not be delivered to the recipient below.\r\n\r\n",
		closing: "\r\n", remote: true, whole: true,
		extra: "X-Queue-ID: 4XyZ\r\n",
	},
	{
		Name: "terse", daemon: "Mail Delivery System <Mailer-Daemon@relay.example.net>", subject: "Mail delivery failed",
		opening: "A message that you sent has not reached its recipient. The address below failed:\r\n\r\n  ",
		closing: "\r\n", remote: true, extra: "X-Failed-Host: relay.example.net\r\n",
	},
	{
		Name: "sections", daemon: "Mail Delivery Subsystem <MAILER-DAEMON@smtp.example.net>", subject: "Returned mail: see transcript",
		opening: "The original message was received from out.example.com [192.0.2.25]\r\n\r\n   ----- These addresses had fatal errors -----\r\n",
		closing: "\r\n   ----- Transcript of session follows -----\r\n>>> talking to mail.example.net\r\n", remote: true, whole: true,
	},
	{
		Name: "groupware", daemon: "postmaster@example.net", subject: "Undeliverable mail",
		opening: "Delivery has failed to these recipients or groups:\r\n\r\n",
		closing: "\r\nDiagnostic information for administrators:\r\nGenerating server: hub.example.net\r\n", html: true, whole: true,
	},
	{
		Name: "provider", daemon: "Mail Delivery Subsystem <mailer-daemon@example.net>", subject: "Delivery Status Notification",
		opening: "** Message not delivered **\r\n\r\nThere was a problem. The response from the remote server was:\r\n\r\n",
		closing: "\r\n", html: true, remote: true,
	},
}

// Diagnoses are what mail servers say: bad addresses first, then what passes, then what is only late.
var Diagnoses = []Diagnosis{
	{"failed", "5.1.1", "550 5.1.1 <%s>: Recipient address rejected: User unknown in virtual mailbox table", true},
	{"failed", "5.1.1", "550-5.1.1 The email account that you tried to reach does not exist. Please check <%s>", true},
	{"failed", "5.1.10", "550 5.1.10 Recipient not found: <%s>", true},
	{"failed", "5.1.2", "550 5.1.2 <%s>: Host unknown (Name server: host not found)", true},
	{"failed", "5.2.1", "550 5.2.1 <%s>: mailbox disabled, not accepting messages", true},
	{"failed", "5.2.2", "552 5.2.2 <%s>: mailbox full, user is over quota", false},
	{"failed", "4.2.2", "452 4.2.2 The recipient's inbox is out of storage space", false},
	{"failed", "5.7.1", "550 5.7.1 Message rejected: sending address [192.0.2.25] is on a block list", false},
	{"failed", "5.7.1", "554 5.7.1 Message content rejected as spam", false},
	{"failed", "4.4.1", "421 4.4.1 Connection timed out while talking to mail.example.net", false},
	{"failed", "5.3.4", "552 5.3.4 Message size exceeds fixed limit", false},
}

// Delays are what servers say that go on trying.
var Delays = []Diagnosis{
	{"delayed", "4.4.1", "421 4.4.1 Connection timed out, will try again", false},
	{"delayed", "4.7.1", "451 4.7.1 <%s>: Recipient address rejected: Greylisted, try again later", false},
	{"delayed", "4.2.2", "452 4.2.2 <%s>: mailbox full, try again later", false},
}

// AppendReport appends a delivery status notification about o. It has size bytes at least; where that takes more than the
// report, the original's body is returned.
func AppendReport(dst []byte, o *Original, s *Style, why *Diagnosis, date []byte, size int) []byte {
	begin := len(dst)
	dst = appendHead(dst, s.daemon, o.ReturnPath, date)
	dst = appendAll(dst, "Message-ID: <", why.Action, ".", o.Message, ">\r\nSubject: ", s.subject, "\r\nAuto-Submitted: auto-replied\r\n",
		"Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"=_report\"\r\n\r\n--=_report\r\n")
	dst = appendForPeople(dst, o, s, why)
	dst = appendAll(dst, "--=_report\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n", s.extra, "Arrival-Date: ")
	dst = append(dst, date...)
	dst = appendAll(dst, "\r\n\r\nFinal-Recipient: rfc822; ", o.Recipient, "\r\nOriginal-Recipient: rfc822;", o.Recipient,
		"\r\nAction: ", why.Action, "\r\nStatus: ", why.Status, "\r\n")
	if s.remote {
		dst = appendAll(dst, "Remote-MTA: dns; mail.example.net\r\n")
	}
	dst = appendDiagnosis(appendAll(dst, "Diagnostic-Code: smtp; "), why, o.Recipient)
	dst = appendAll(dst, "\r\n\r\n--=_report\r\nContent-Type: ")
	if missing := size - (len(dst) - begin) - 700; s.whole || missing > 0 {
		dst = appendAll(dst, "message/rfc822\r\n\r\n")
		dst = append(o.appendHeaders(dst, date), crlf...)
		dst = appendFiller(dst, max(size-(len(dst)-begin)-len("\r\n--=_report--\r\n"), len(filler[0])), "")
	} else {
		dst = appendAll(dst, "text/rfc822-headers\r\n\r\n")
		dst = o.appendHeaders(dst, date)
	}
	return append(dst, "\r\n--=_report--\r\n"...)
}

// appendForPeople appends the first part of a report.
func appendForPeople(dst []byte, o *Original, s *Style, why *Diagnosis) []byte {
	if !s.html {
		dst = appendAll(dst, "Content-Type: text/plain; charset=us-ascii\r\n\r\n", s.opening)
		return append(appendSaid(dst, o, s, why), crlf...)
	}
	dst = appendAll(dst, "Content-Type: multipart/alternative; boundary=\"=_people\"\r\n\r\n--=_people\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n", s.opening)
	dst = appendSaid(dst, o, s, why)
	dst = appendAll(dst, "\r\n--=_people\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><body><p>", s.opening, "</p><p><b>", o.Recipient, "</b></p><p>")
	dst = appendAll(dst, why.Status, "</p></body></html>\r\n\r\n--=_people--\r\n\r\n")
	return dst
}

func appendSaid(dst []byte, o *Original, s *Style, why *Diagnosis) []byte {
	dst = appendAll(dst, "<", o.Recipient, ">: ")
	return append(appendDiagnosis(dst, why, o.Recipient), s.closing...)
}

// appendDiagnosis appends what the server said.
func appendDiagnosis(dst []byte, why *Diagnosis, recipient string) []byte {
	for i := 0; i < len(why.Text); i++ {
		if strings.HasPrefix(why.Text[i:], "%s") {
			dst = append(dst, recipient...)
			i++ // the s
			continue
		}
		dst = append(dst, why.Text[i])
	}
	return dst
}

const crlf = "\r\n"

// appendHead appends what all mails begin with.
func appendHead(dst []byte, from, to string, date []byte) []byte {
	dst = appendAll(dst, "Received: from mail.example.net (mail.example.net [198.51.100.7])\r\n\tby mx.example.net with ESMTP; ")
	dst = append(dst, date...)
	dst = appendAll(dst, "\r\nDate: ")
	dst = append(dst, date...)
	return appendAll(dst, "\r\nFrom: ", from, "\r\nTo: <", to, ">\r\nMIME-Version: 1.0\r\n")
}
