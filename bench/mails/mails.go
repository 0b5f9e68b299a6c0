package mails

import (
	"fmt"
	"strings"
	"time"
)

// About is the message that a mail is about.
type About struct {
	Message    string // its Message-ID, without brackets
	Sender     string // who sent it, as the local part of an address
	Contact    string // a token of the boundaries, so without blanks and quotes
	Recipient  string
	ReturnPath string // where reports go
	ReplyTo    string // where answers go
	Ref        string // X-Carom-Ref
}

// Status is what a status report tells.
type Status struct {
	Action     string // failed, delayed
	Code       string // enhanced status, 5.1.1
	Diagnostic string // what the other server said
}

const mailDate = "Mon, 02 Jan 2006 15:04:05 -0700"

// StatusReport returns a delivery status notification (RFC 3464) about m.
func StatusReport(m *About, s Status, now time.Time) string {
	return crlf(fmt.Sprintf(`From: MAILER-DAEMON@mx.example.net
To: <%[1]s>
Date: %[2]s
Message-ID: <%[3]s.%[4]s@mx.example.net>
Subject: Delivery Status Notification
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b-%[3]s"

--b-%[3]s
Content-Type: text/plain; charset=utf-8

The mail system could not deliver your message to %[5]s as you might expect:
%[7]s

--b-%[3]s
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net
Arrival-Date: %[2]s

Final-Recipient: rfc822; %[5]s
Action: %[4]s
Status: %[6]s
Remote-MTA: dns; mail.example.net
Diagnostic-Code: smtp; %[7]s

--b-%[3]s
Content-Type: text/rfc822-headers

From: %[8]s@example.com
To: %[5]s
Message-ID: <%[9]s>
X-Carom-Ref: %[10]s

--b-%[3]s--
`, m.ReturnPath, now.Format(mailDate), m.Contact, s.Action, m.Recipient, s.Code, s.Diagnostic,
		m.Sender, m.Message, m.Ref))
}

// Reply returns a person's answer to m.
func Reply(m *About, now time.Time) string {
	return crlf(fmt.Sprintf(`From: %[1]s
To: <%[2]s>
Date: %[3]s
Message-ID: <re.%[4]s>
In-Reply-To: <%[4]s>
References: <%[4]s>
Subject: Re: your mail
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

Thank you, that sounds good. When would it suit you?

> We wondered whether ...
`, m.Recipient, m.ReplyTo, now.Format(mailDate), m.Message))
}

// Vacation returns the answer of a mailbox whose owner is away (RFC 3834).
func Vacation(m *About, now time.Time) string {
	return crlf(fmt.Sprintf(`From: %[1]s
To: <%[2]s>
Date: %[3]s
Message-ID: <away.%[4]s>
In-Reply-To: <%[4]s>
Auto-Submitted: auto-replied
Precedence: bulk
Subject: Out of office: your mail
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

I am away until Monday.
`, m.Recipient, m.ReplyTo, now.Format(mailDate), m.Message))
}

// Complaint returns a feedback report (RFC 5965) about m.
func Complaint(m *About, to string, now time.Time) string {
	return crlf(fmt.Sprintf(`From: feedback@example.net
To: <%[1]s>
Date: %[2]s
Message-ID: <fbl.%[3]s>
Subject: FW: your mail
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="f-%[4]s"

--f-%[4]s
Content-Type: text/plain; charset=utf-8

This is an email abuse report for an email message received from 192.0.2.1.

--f-%[4]s
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: ExampleFBL/1.0
Version: 1
Original-Rcpt-To: <%[5]s>

--f-%[4]s
Content-Type: text/rfc822-headers

From: %[6]s@example.com
To: %[5]s
Message-ID: <%[3]s>
X-Carom-Ref: %[7]s

--f-%[4]s--
`, to, now.Format(mailDate), m.Message, m.Contact, m.Recipient, m.Sender, m.Ref))
}

func crlf(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }
