package main

import (
	"fmt"
	"strings"
)

// mail is a mail under construction: fields in order, then a body.
type mail struct {
	fields []string
	body   string
	from   string
}

func newMail(fields ...string) *mail { return &mail{fields: append(fields, "MIME-Version: 1.0")} }

// by makes from the return path; without it, that is the empty one of what machines write.
func (m *mail) by(from string) *mail {
	m.from = from
	return m
}

func (m *mail) text(body string) *mail {
	m.fields = append(m.fields, "Content-Type: text/plain; charset=utf-8")
	m.body = body
	return m
}

// parts makes the mail a multipart of the given type.
func (m *mail) parts(contentType string, parts ...string) *mail {
	m.fields = append(m.fields, "Content-Type: "+contentType+`; boundary="=_b"`)
	m.body = "--=_b\n" + strings.Join(parts, "\n--=_b\n") + "\n--=_b--\n"
	return m
}

func part(contentType, body string) string { return "Content-Type: " + contentType + "\n\n" + body }

// String is the mail as it goes over the wire, but for the dots.
func (m *mail) String() string {
	return strings.ReplaceAll(strings.Join(m.fields, "\n")+"\n\n"+m.body, "\n", "\r\n")
}

// block is what a delivery status notification says of one recipient.
type block struct {
	recipient, action, status, diagnostic string
}

// Kinds of blocks, as large receivers write them.
func unknownUser(to string) block {
	return block{to, "failed", "5.1.1", "smtp; 550 5.1.1 <" + to + ">: Recipient address rejected: User unknown"}
}

func fullMailbox(to string) block {
	return block{to, "failed", "5.2.2", "smtp; 552 5.2.2 mailbox full"}
}

func noAnswer(to string) block {
	return block{to, "delayed", "4.4.1", "smtp; 451 4.4.1 connection timed out"}
}

func arrived(to string) block { return block{to, "delivered", "2.1.5", "smtp; 250 2.1.5 ok"} }

// returned is what comes back of the original: its header, in full or cut down to the Message-ID.
func returned(l *letter, withRef bool) string {
	header := "From: " + l.sender + "@example.org\nTo: " + l.recipient + "\nSubject: hello\nMessage-ID: <" + l.name + ">\n"
	if withRef {
		header += "X-Carom-Ref: " + l.minted.Headers["X-Carom-Ref"] + "\n"
	}
	return part("text/rfc822-headers", header)
}

// statusMail is a delivery status notification, RFC 3464. original may be empty.
func statusMail(id, to, original string, blocks ...block) *mail {
	status := "Reporting-MTA: dns; mx.example.net\nArrival-Date: Fri, 6 Nov 2026 10:00:00 +0000\n"
	for _, b := range blocks {
		status += fmt.Sprintf("\nFinal-Recipient: rfc822; %s\nAction: %s\nStatus: %s\nRemote-MTA: dns; mx.example.com\nDiagnostic-Code: %s\n",
			b.recipient, b.action, b.status, b.diagnostic)
	}
	parts := []string{part("text/plain", "This is the mail system at mx.example.net.\n"), part("message/delivery-status", status)}
	if original != "" {
		parts = append(parts, original)
	}
	return newMail("From: MAILER-DAEMON@mx.example.net (Mail Delivery System)", "To: "+to, "Message-ID: <"+id+">",
		"Subject: Delivery Status Notification", "Auto-Submitted: auto-replied",
	).parts("multipart/report; report-type=delivery-status", parts...)
}

// feedbackMail is a feedback report, RFC 5965.
func feedbackMail(id, to, feedbackType, original string) *mail {
	return newMail("From: feedback@example.net", "To: "+to, "Message-ID: <"+id+">", "Subject: complaint").parts(
		"multipart/report; report-type=feedback-report",
		part("text/plain", "This is an abuse report.\n"),
		part("message/feedback-report", "Feedback-Type: "+feedbackType+"\nUser-Agent: FBL/1.0\nVersion: 1\nOriginal-Mail-From: <x@example.org>\n"),
		original)
}

// replyMail is what a person writes.
func replyMail(id, from, to string, more ...string) *mail {
	return newMail(append([]string{"From: Somebody <" + from + ">", "To: " + to, "Message-ID: <" + id + ">", "Subject: Re: hello"}, more...)...).
		text("Thank you, let us talk on Monday.\n\nKind regards\n").by(from)
}

// vacationMail is what a mailbox answers while its owner is away, RFC 3834.
func vacationMail(id, from, to string) *mail {
	return newMail("From: "+from, "To: "+to, "Message-ID: <"+id+">", "Subject: Out of office: hello", "Auto-Submitted: auto-replied").
		text("I am away until Monday.\n")
}

// readMail is a disposition notification, RFC 8098.
func readMail(id, from, to, original string) *mail {
	return newMail("From: "+from, "To: "+to, "Message-ID: <"+id+">", "Subject: Read: hello").parts(
		"multipart/report; report-type=disposition-notification",
		part("text/plain", "Your message was displayed.\n"),
		part("message/disposition-notification", "Reporting-UA: mail.example.com; Example 1.0\nFinal-Recipient: rfc822; "+from+
			"\nOriginal-Message-ID: <"+original+">\nDisposition: manual-action/MDN-sent-manually; displayed\n"))
}
