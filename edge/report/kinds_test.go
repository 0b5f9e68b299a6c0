package report

import (
	"strings"
	"testing"
)

// TestFeedbackTypes holds what each feedback type tells (DESIGN §7): those of the IANA registry "Feedback Report Types",
// the ones that lists of opt-outs use, and none.
func TestFeedbackTypes(t *testing.T) {
	for _, c := range []struct {
		feedbackType string
		kind         Kind
	}{
		{"abuse", Complaint},
		{"Abuse", Complaint},
		{"fraud", Complaint},
		{"not-spam", Complaint}, // takes one back
		{"opt-out", Unsubscribe},
		{"opt-out-list", Unsubscribe},
		{"virus", Other},
		{"other", Other},
		{"auth-failure", Other},
		{"miscategorized", Other},
		{"x-invented", Other},
		{"", Other},
	} {
		mail := "From: fbl@example.net\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n" +
			"--b\r\n\r\nThis is an email abuse report.\r\n--b\r\nContent-Type: message/feedback-report\r\n\r\n" +
			"Feedback-Type: " + c.feedbackType + "\r\nUser-Agent: Example/1\r\nVersion: 1\r\nSource-IP: 192.0.2.10\r\n" +
			"Original-Rcpt-To: <bob@example.net>\r\nArrival-Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n\r\n" +
			"--b\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <m-1@example.com>\r\nX-Carom-Ref: AQH_token\r\n\r\nHello\r\n--b--\r\n"
		f := Read([]byte(mail)).Facts[0]
		if f.Kind != c.kind || f.FeedbackType != strings.ToLower(c.feedbackType) || f.Decoder != "feedback" || (f.Kind == Other) != (f.Why != "") {
			t.Errorf("%q: %+v, want %s", c.feedbackType, f, c.kind)
		}
		if f.Recipient != "bob@example.net" || f.SourceIP != "192.0.2.10" || f.OriginalMessageID != "m-1@example.com" ||
			f.OriginalRef != "AQH_token" || f.ArrivalDate.IsZero() || f.Hard || f.Category != "" {
			t.Errorf("%q: %+v", c.feedbackType, f)
		}
	}
}

// TestBouncesAndReplies holds that a reply that quotes a bounce is a reply, and a bounce that quotes a reply a bounce,
// however either is put together.
func TestBouncesAndReplies(t *testing.T) {
	const (
		human  = "From: Bob <bob@example.net>\r\nTo: alice@example.com\r\nSubject: Re: Undelivered Mail Returned to Sender\r\nIn-Reply-To: <m-1@example.com>\r\n"
		daemon = "From: MAILER-DAEMON@mx.example.net\r\nTo: alice@example.com\r\nSubject: Undelivered Mail Returned to Sender\r\n"
		notice = "This is the mail system at host mx.example.net.\r\n\r\n<carol@example.net>: host mx.example.org[192.0.2.1] said: 550 5.1.1 User unknown\r\n" +
			"    (in reply to RCPT TO command)\r\n"
		status = "Reporting-MTA: dns; mx.example.net\r\n\r\nFinal-Recipient: rfc822; carol@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n"
		answer = "From: Bob <bob@example.net>\r\nSubject: Re: The spring\r\nIn-Reply-To: <m-1@example.com>\r\nMessage-ID: <a-1@example.net>\r\n\r\nGladly.\r\n"
		mixed  = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
		report = "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\r\n"
	)
	for name, c := range map[string]struct {
		mail string
		kind Kind
	}{
		"a reply above a quoted notice":    {human + "\r\nDid you mean Karol?\r\n\r\n> " + strings.ReplaceAll(notice, "\r\n", "\r\n> "), Reply},
		"a reply above an unquoted notice": {human + "\r\nDid you mean Karol?\r\n\r\n-----Original Message-----\r\n" + notice, Reply},
		"a reply below a quoted notice":    {human + "\r\n> " + strings.ReplaceAll(notice, "\r\n", "\r\n> ") + "\r\nDid you mean Karol?\r\n", Reply},
		"a reply with quoted fields":       {human + "\r\nSee:\r\n\r\n> " + strings.ReplaceAll(status, "\r\n", "\r\n> "), Reply},
		"a reply with a report attached":   {human + mixed + "See the attachment.\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n" + daemon + report + notice + "--b2--\r\n--b--\r\n", Reply},
		"a reply with a report's part":     {human + mixed + "See the attachment.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n" + status + "\r\n--b--\r\n", Reply},
		"a bounce of a reply":              {daemon + report + notice + "--b\r\nContent-Type: message/delivery-status\r\n\r\n" + status + "\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n" + answer + "\r\n--b--\r\n", Bounce},
		"a bounce that answers":            {daemon + "In-Reply-To: <a-1@example.net>\r\nReferences: <a-1@example.net>\r\n" + report + notice + "--b\r\nContent-Type: message/delivery-status\r\n\r\n" + status + "\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n" + answer + "\r\n--b--\r\n", Bounce},
		"a notice with a reply in it":      {daemon + "\r\n" + notice + "\r\n------ This is a copy of the message. ------\r\n\r\n" + answer, Bounce},
		"qmail's notice with a reply": {
			daemon + "\r\nHi. This is the qmail-send program at mx.example.net.\r\n\r\n<carol@example.net>:\r\n550 5.1.1 User unknown\r\n\r\n" +
				"--- Below this line is a copy of the message.\r\n\r\n" + answer, Bounce,
		},
	} {
		f := Read([]byte(c.mail)).Facts[0]
		want := "bob@example.net"
		if c.kind == Bounce {
			want = "carol@example.net"
		}
		if f.Kind != c.kind || f.Recipient != want {
			t.Errorf("%s: %s of %s by %s, want %s of %s", name, f.Kind, f.Recipient, f.Decoder, c.kind, want)
		}
	}
}

// TestMachinesAnswer holds what is an auto-reply by its structure or header, and what is none.
func TestMachinesAnswer(t *testing.T) {
	const from = "From: Bob <bob@example.net>\r\nTo: alice@example.com\r\nIn-Reply-To: <m-1@example.com>\r\nMIME-Version: 1.0\r\n"
	receipt := func(disposition string) string {
		return from + "Subject: Read: The spring\r\nContent-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n\r\n--b\r\n\r\nRead.\r\n" +
			"--b\r\nContent-Type: message/disposition-notification\r\n\r\nFinal-Recipient: rfc822; bob@example.net\r\n" +
			"Original-Message-ID: <m-1@example.com>\r\nDisposition: " + disposition + "\r\n\r\n--b--\r\n"
	}
	calendar := func(method string) string {
		return from + "Subject: Accepted: The spring\r\nContent-Type: text/calendar; method=" + method + "; charset=utf-8\r\n\r\nBEGIN:VCALENDAR\r\nMETHOD:" + method + "\r\nEND:VCALENDAR\r\n"
	}
	text := func(header string) string { return from + header + "\r\n\r\nI am away until Monday.\r\n" }
	for name, c := range map[string]struct {
		mail string
		kind Kind
	}{
		"read":                      {receipt("manual-action/MDN-sent-manually; displayed"), AutoReply},
		"deleted unread":            {receipt("automatic-action/MDN-sent-automatically; deleted"), AutoReply},
		"calendar: accepted":        {calendar("REPLY"), AutoReply},
		"calendar: other time":      {calendar("COUNTER"), AutoReply},
		"calendar: invitation":      {calendar("REQUEST"), Reply},
		"auto-replied":              {text("Subject: Re: The spring\r\nAuto-Submitted: auto-replied (vacation)"), AutoReply},
		"auto-generated":            {text("Subject: Re: The spring\r\nAuto-Submitted: Auto-Generated"), AutoReply},
		"not auto-submitted":        {text("Subject: Re: The spring\r\nAuto-Submitted: no"), Reply},
		"not auto-submitted, said":  {text("Subject: Re: The spring\r\nAuto-Submitted: no; by hand"), Reply},
		"precedence":                {text("Subject: Re: The spring\r\nPrecedence: auto_reply"), AutoReply},
		"suppress is no sign":       {text("Subject: Re: The spring\r\nX-Auto-Response-Suppress: All"), Reply},
		"autoreply header":          {text("Subject: Re: The spring\r\nX-Autoreply: yes"), AutoReply},
		"autorespond header":        {text("Subject: Re: The spring\r\nX-Autorespond: The spring"), AutoReply},
		"empty envelope":            {"Return-Path: <>\r\n" + text("Subject: Re: The spring"), AutoReply},
		"a subject":                 {text("Subject: Automatic reply: The spring"), AutoReply},
		"a human about his absence": {text("Subject: Re: The spring"), Reply},
	} {
		f := Read([]byte(c.mail)).Facts[0]
		if f.Kind != c.kind || f.Recipient != "bob@example.net" || f.OriginalMessageID != "m-1@example.com" {
			t.Errorf("%s: %s of %q about %q by %s, want %s", name, f.Kind, f.Recipient, f.OriginalMessageID, f.Decoder, c.kind)
		}
	}
}
