package report

import (
	"strings"
	"testing"
)

// postfixWords is a notice as it stands in a text.
const postfixWords = `This is the mail system at host mx.example.com.

<bob@example.net>: host mx.example.net[192.0.2.1] said: 550 5.1.1
    User unknown (in reply to RCPT TO command)
`

// statusPart is a delivery status as a part of a multipart with boundary b.
const statusPart = `--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.com

Final-Recipient: rfc822; bob@example.net
Action: failed
Status: 5.1.1

`

// TestWordsCountByTheirAuthor holds that nothing which a human quotes, pastes or attaches is a fact of its own, nor what a
// machine says in a human's name: the words and the parts of a bounce count where a mail system wrote them.
func TestWordsCountByTheirAuthor(t *testing.T) {
	const mixed = "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nLook at this.\n"
	for _, c := range []struct {
		name, mail string
		want       Kind
	}{
		{"a question with a notice", "From: carol@example.org\nSubject: Mail problem\n\nHello, what is this?\n\n" + postfixWords, Reply},
		{"a notice alone, pasted", "From: carol@example.org\nSubject: Mail problem\n\n" + postfixWords, Reply},
		{"an answer in German without ids", "From: carol@example.org\nSubject: AW: Undelivered Mail\n\nUnd nun?\n\n-----Original Message-----\n" + postfixWords, Reply},
		{"a greeting like qmail's", "From: carol@example.org\nSubject: contacts\n\nHi. This is the list of people:\n\nbob@example.net\n", Reply},
		{"words like Exchange's", "From: carol@example.org\nSubject: party\n\nMy mail did not reach him. Try the following recipient(s):\n\nbob@example.net\n\nuser unknown\n", Reply},
		{"a status part in a question", "From: carol@example.org\nSubject: look\n" + mixed + statusPart + "--b--\n", Reply},
		{"a postmaster answers", "From: postmaster@example.org\nSubject: Re: Undelivered Mail\nIn-Reply-To: <1@example.com>\n\nMended.\n\n-----Original Message-----\n" + postfixWords, Reply},
		{"a postmaster quotes", "From: postmaster@example.org\nSubject: Re: Undelivered Mail\nIn-Reply-To: <1@example.com>\n\nMended.\n\n> " + strings.ReplaceAll(postfixWords, "\n", "\n> "), Reply},
		{"a postmaster answers with fields", "From: postmaster@example.org\nSubject: Re: Undelivered Mail\nIn-Reply-To: <1@example.com>\n\nMended.\n\nFinal-Recipient: rfc822; bob@example.net\nAction: failed\nStatus: 5.1.1\n", Reply},
		{"a notification of SES in an answer", "From: carol@example.org\nSubject: Re: hi\nIn-Reply-To: <1@example.com>\n\n" +
			`{"notificationType":"Bounce","bounce":{"bouncedRecipients":[{"emailAddress":"bob@example.net","action":"failed","status":"5.1.1"}]}}`, Reply},
		{"a mail of Hotmail in an answer", "From: carol@example.org\nSubject: Re: hi\nIn-Reply-To: <1@example.com>\n" + mixed + "--b\nContent-Type: message/rfc822\n\nX-HmXmrOriginalRecipient: bob@example.net\n\nx\n--b--\n", Reply},
		{"a post to a list of fml", "From: carol@example.org\nX-MLServer: fml [fml 4.0]\nSubject: permission denied\n\nUser unknown, why? Ask dan@example.net.\n", Reply},
		{"a digest", "From: list-request@example.org\nSubject: list digest\nContent-Type: multipart/digest; boundary=b\n\n--b\n\nFrom: carol@example.org\n\n" + postfixWords + "--b--\n", Reply},
		{"a newsletter", "From: news@example.org\nPrecedence: bulk\nSubject: What bounces say\n\nThis:\n\n" + postfixWords, AutoReply},

		{"a vacation about delivery", "Return-Path: <>\nFrom: bob@example.net\nAuto-Submitted: auto-generated\nSubject: Automatic reply: delivery problem\n\nI no longer work here. This mailbox is disabled, nothing will be delivered. Ask carol@example.net.\n", AutoReply},
		{"a vacation without a sign but the envelope", "Return-Path: <>\nFrom: bob@example.net\nSubject: Gone\n\nThis account has been disabled, mail will not be delivered. Ask carol@example.net.\n", AutoReply},
		{"a vacation that quotes a notice", "Return-Path: <>\nFrom: bob@example.net\nAuto-Submitted: auto-replied\nIn-Reply-To: <1@example.com>\nSubject: Re: What bounces say\n\nBack on Monday.\n\n" + postfixWords, AutoReply},
		{"a vacation of a full mailbox", "Return-Path: <>\nFrom: bob@example.net\nX-Autoreply: yes\nSubject: Out\n\nMy mailbox is full, your mail was not delivered. Ask carol@example.net.\n", AutoReply},
		{"a receipt for a bounce", "Return-Path: <>\nFrom: bob@example.net\nSubject: Read: Undeliverable: hello\nContent-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n--b\n\nYour message to bob@example.net, user unknown, was read by carol@example.net.\n" +
			"--b\nContent-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; bob@example.net\nDisposition: manual-action/MDN-sent-manually; displayed\n\n--b--\n", AutoReply},
		{"a calendar answer", "Return-Path: <>\nFrom: bob@example.net\nSubject: Accepted: mail delivery project\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\nBob accepts, carol@example.net too.\n--b\nContent-Type: text/calendar; method=REPLY\n\nBEGIN:VCALENDAR\n--b--\n", AutoReply},

		{"a mail system", "From: mailer-daemon@example.com\n\n" + postfixWords, Bounce},
		{"a mail system that answers", "From: mailer-daemon@example.com\nIn-Reply-To: <1@example.com>\n\n" + postfixWords, Bounce},
		{"a postmaster's notice that refers", "From: postmaster@example.com\nReferences: <1@example.com>\nSubject: Undelivered\n\n" + postfixWords, Bounce},
		{"no address", "From: MAILER-DAEMON <>\n\n" + postfixWords, Bounce},
		{"a name that says it", "From: Mail Delivery Subsystem <mds@example.com>\n\n" + postfixWords, Bounce},
		{"an empty envelope", "Return-Path: <>\nFrom: mx17@example.com\n\n" + postfixWords, Bounce},
		{"nobody there", "From: noreply@example.com\n" + mixed + statusPart + "--b--\n", Bounce},
		{"a list's manager", "From: list-admin@example.org\nX-MLServer: fml [fml 4.0]\nSubject: You carol@example.net are not member\n\nYou are not member.\n", Bounce},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Read([]byte(c.mail))
			check(t, r)
			if f := r.Facts[0]; f.Kind != c.want || len(r.Facts) != 1 {
				t.Errorf("%d facts, the first a %s by %s: %q, want a %s", len(r.Facts), f.Kind, f.Decoder, f.Recipient, c.want)
			}
		})
	}
}

// TestActionIsNoWordOfTheStandard holds that a report whose Action is none of RFC 3464 §2.3.3 is read by its status: what
// waits is no bounce.
func TestActionIsNoWordOfTheStandard(t *testing.T) {
	for fields, want := range map[string]Kind{
		"Action: deferred\nStatus: 4.2.2":                               Delay,
		"Action: delay\nDiagnostic-Code: smtp; 451 4.7.1 try again":     Delay,
		"Action: success\nStatus: 2.0.0":                                Delivered,
		"Action: undeliverable\nStatus: 5.1.1":                          Bounce,
		"Action: FAILED (gone)\nStatus: 4.4.7":                          Bounce,
		"Action: unknown\nDiagnostic-Code: smtp; something was no good": Bounce,
	} {
		r := Read([]byte("From: mailer-daemon@example.com\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.com\n\nFinal-Recipient: rfc822; bob@example.net\n" + fields + "\n"))
		if f := r.Facts[0]; f.Kind != want {
			t.Errorf("%q: a %s, want a %s", fields, f.Kind, want)
		}
	}
}

// TestStatusIsNoProof holds that a status of class 5 about the address makes none bad where the words tell of a state that
// passes, a limit or a block.
func TestStatusIsNoProof(t *testing.T) {
	for _, reply := range []string{
		"550 5.2.1 The account is temporarily disabled",
		"550 5.1.1 mailbox temporarily suspended",
		"550 5.1.2 Host unknown (temporary failure in name resolution)",
		"550 5.4.4 Host not found, try again",
		"550 5.1.1 The user has exceeded his receiving limit",
		"550 5.1.1 Message blocked",
		"550 5.1.1 Rate limit exceeded",
		"550 5.1.1 mailbox full",
		"550 5.1.1 Sender verify failed: no such user",
		"550 5.1.1 greylisted",
		"450 4.1.1 user unknown",
	} {
		if f := ReadReply(reply); f.Hard {
			t.Errorf("%q is hard: %s by %s", reply, f.Category, f.Rule)
		}
	}
	for _, reply := range []string{
		"550 5.2.1 The account is disabled. Please check the address and try again.",
		"550 5.1.2 Host unknown",
		"550 5.1.1",
		"550 No such user here",
	} {
		if f := ReadReply(reply); !f.Hard {
			t.Errorf("%q is not hard: %s by %s", reply, f.Category, f.Rule)
		}
	}
}
