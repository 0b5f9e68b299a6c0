package demo

import (
	"fmt"
	"strings"
	"time"
)

// The mails that come back. Every one is a whole RFC 5322 message with CRLF line ends.

const mailDate = "Mon, 02 Jan 2006 15:04:05 -0700"

// statusReport returns a delivery status notification (RFC 3464) about m.
func statusReport(m *message, action, status, diagnostic string, now time.Time) string {
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
`, m.links.ReturnPath, now.Format(mailDate), m.contact, action, m.recipient, status, diagnostic,
		m.sender.name, m.id, m.links.Headers["X-Carom-Ref"]))
}

// reply returns a person's answer to m.
func reply(m *message, now time.Time) string {
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
`, m.recipient, m.links.ReplyTo, now.Format(mailDate), m.id))
}

// vacation returns the answer of a mailbox whose owner is away (RFC 3834).
func vacation(m *message, now time.Time) string {
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
`, m.recipient, m.links.ReplyTo, now.Format(mailDate), m.id))
}

// complaint returns a feedback report (RFC 5965) about m.
func complaint(m *message, to string, now time.Time) string {
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
`, to, now.Format(mailDate), m.id, m.contact, m.recipient, m.sender.name, m.links.Headers["X-Carom-Ref"]))
}

func crlf(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }
