package report

import "testing"

// replies are bare SMTP replies as MTAs give them, and what is none.
var replies = []struct {
	text, status, code, category string
	kind                         Kind
	hard                         bool
}{
	{"550 5.1.1 <bob@example.com>: Recipient address rejected: User unknown", "5.1.1", "550", "invalid_recipient", Bounce, true},
	{"550-5.1.1 The email account that you tried to reach does not exist. Please\r\n550-5.1.1 try double-checking it.\r\n550 5.1.1 Learn more - gsmtp\r\n", "5.1.1", "550", "invalid_recipient", Bounce, true},
	{"550-5.1.1 The email account that you tried to reach\n550 5.1.1 does not exist", "5.1.1", "550", "invalid_recipient", Bounce, true},
	{"550 5.1.1", "5.1.1", "550", "invalid_recipient", Bounce, true},
	{"550 User unknown", "", "550", "invalid_recipient", Bounce, true},
	{"550 #5.1.0 Address rejected.", "5.1.0", "550", "invalid_recipient", Bounce, true},
	{"550", "", "550", "other", Bounce, false},
	{"550 Requested action not taken", "", "550", "other", Bounce, false},
	{"553 5.1.3 Bad address syntax", "5.1.3", "553", "invalid_recipient", Bounce, true},
	{"550 5.1.2 Host unknown", "5.1.2", "550", "bad_domain", Bounce, true},
	{"556 5.1.10 Recipient domain has a null MX", "5.1.10", "556", "bad_domain", Bounce, true},
	{"521 5.3.2 This host does not accept mail", "5.3.2", "521", "bad_domain", Bounce, true},
	{"550 5.2.1 The email account that you tried to reach is disabled", "5.2.1", "550", "inactive", Bounce, true},
	{"450 4.2.1 The mailbox is disabled for now", "4.2.1", "450", "inactive", Delay, false},
	{"552 5.2.2 <bob@example.com>: user is over quota", "5.2.2", "552", "mailbox_full", Bounce, false},
	{"452 4.2.2 Mailbox full", "4.2.2", "452", "mailbox_full", Delay, false},
	{"552 5.3.4 Message size exceeds fixed limit", "5.3.4", "552", "content_too_big", Bounce, false},
	{"550 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", "5.7.1", "550", "blocked", Bounce, false},
	{"554 5.7.1 Relay access denied", "5.7.1", "554", "relay", Bounce, false},
	{"550 5.7.26 Unauthenticated email from example.com is not accepted due to domain's DMARC policy", "5.7.26", "550", "auth_failure", Bounce, false},
	{"550 5.7.23 rejected", "5.7.23", "550", "auth_failure", Bounce, false},
	{"550 5.7.25 x", "5.7.25", "550", "reputation", Bounce, false},
	{"554 5.7.1 Message rejected as spam", "5.7.1", "554", "spam_content", Bounce, false},
	{"550 5.7.1 Virus found in message", "5.7.1", "550", "virus", Bounce, false},
	{"550 5.1.8 Sender address rejected: Domain not found", "5.1.8", "550", "sender_rejected", Bounce, false},
	{"550 5.4.1 [bob@example.com]: Recipient address rejected: Access denied [AM.eop.prod.protection.outlook.com]", "5.4.1", "550", "invalid_recipient", Bounce, true},
	{"450 4.7.1 <bob@example.com>: Recipient address rejected: Greylisted for 5 minutes", "4.7.1", "450", "greylisted", Delay, false},
	{"421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints", "4.7.0", "421", "reputation", Delay, false},
	{"421 4.4.2 Connection timed out", "4.4.2", "421", "timeout", Delay, false},
	{"451 4.3.0 Temporary server error", "4.3.0", "451", "remote_system", Delay, false},
	{"454 4.7.0 TLS not available due to local problem", "4.7.0", "454", "tls", Delay, false},
	{"530 5.7.0 Must issue a STARTTLS command first", "5.7.0", "530", "tls", Bounce, false},
	{"501 5.5.4 Syntax error in parameters", "5.5.4", "501", "protocol", Bounce, false},
	{"250 2.1.5 Delivered", "2.1.5", "250", "delivered", Delivered, false},
	{"250 OK id=1kgX-0001", "", "250", "delivered", Delivered, false},
	{"  550 5.1.1 with blanks around  \r\n", "5.1.1", "550", "invalid_recipient", Bounce, true},
	{"smtp; 550 5.1.1 user unknown", "5.1.1", "550", "invalid_recipient", Bounce, true},
	// A hard status under words that are none: the words decide.
	{"550 5.1.1 Our system has detected an unusual rate of unsolicited mail", "5.1.1", "550", "rate_limited", Bounce, false},
	{"550 5.1.1 Mail from 192.0.2.1 refused, see https://www.spamhaus.org/", "5.1.1", "550", "blocked", Bounce, false},
	{"550 5.1.1 Blocked", "5.1.1", "550", "blocked", Bounce, false},
	{"550 5.1.1 <bob@example.com>: blocked", "5.1.1", "550", "blocked", Bounce, false},
	{"550 5.1.1 You are banned", "5.1.1", "550", "blocked", Bounce, false},
	{"550 5.1.1 Temporarily deferred", "5.1.1", "550", "remote_system", Bounce, false},
	{"550 5.1.1 sending too fast", "5.1.1", "550", "rate_limited", Bounce, false},
	// An unknown user who is the sender says nothing about the recipient.
	{"550 5.1.1 sender user unknown", "5.1.1", "550", "sender_rejected", Bounce, false},
	{"550 5.1.1 sender bob@example.com is unknown", "5.1.1", "550", "sender_rejected", Bounce, false},
	{"550 5.1.1 Sender <bob@example.com> unknown", "5.1.1", "550", "sender_rejected", Bounce, false},
	{"550 5.1.1 sender <bob@example.com> does not exist", "5.1.1", "550", "sender_rejected", Bounce, false},
	{"550 5.1.1 The sender does not exist", "5.1.1", "550", "sender_rejected", Bounce, false},
	{"550 5.1.1 The sender's mailbox does not exist", "5.1.1", "550", "sender_rejected", Bounce, false},
	{"550 5.1.1 No such sender", "5.1.1", "550", "sender_rejected", Bounce, false},
	{"550 5.1.1 Callout to mx.example.com failed: sender verify, user unknown", "5.1.1", "550", "sender_rejected", Bounce, false},
	{"550 5.1.1 Could not verify sender: user unknown", "5.1.1", "550", "sender_rejected", Bounce, false},
	{"550 5.1.1 Sender could not be verified", "5.1.1", "550", "sender_rejected", Bounce, false},
	{"550 5.1.1 Verification of sender failed: no such user", "5.1.1", "550", "sender_rejected", Bounce, false},
	{"550 5.1.1 MAIL FROM address unknown", "5.1.1", "550", "sender_rejected", Bounce, false},
	{"550 5.1.1 MAIL FROM user unknown", "5.1.1", "550", "sender_rejected", Bounce, false},
	{"550 5.1.1 Return-Path user unknown", "5.1.1", "550", "sender_rejected", Bounce, false},
	{"550 5.1.1 return path does not exist", "5.1.1", "550", "sender_rejected", Bounce, false},
	{"550 5.1.1 Reverse-path address unknown", "5.1.1", "550", "sender_rejected", Bounce, false},
	{"550 5.1.1 Originator unknown", "5.1.1", "550", "sender_rejected", Bounce, false},
	{"550 5.1.1 User unknown (sender: bob@example.com)", "5.1.1", "550", "invalid_recipient", Bounce, true},
	{"550 5.1.1 The recipient does not exist, please tell the sender", "5.1.1", "550", "invalid_recipient", Bounce, true},
	{"550 5.1.1 Mail from bob@example.com to carol@example.net failed: user unknown", "5.1.1", "550", "invalid_recipient", Bounce, true},
	{"550 5.1.1 Recipient verify failed: user unknown", "5.1.1", "550", "invalid_recipient", Bounce, true},
	// All lines have one code (RFC 5321 §4.2.1). Where they don't, the last decides, and a line that will be tried again
	// makes no address bad.
	{"550-5.1.1 User unknown\r\n450 4.2.1 Try later", "4.2.1", "450", "invalid_recipient", Delay, false},
	{"450-4.2.1 Try later\r\n550 5.1.1 User unknown", "5.1.1", "550", "invalid_recipient", Bounce, false},
	{"450-4.2.1 Try later\n550-5.1.1 User unknown\n550 5.1.1 <bob@example.com>\n", "5.1.1", "550", "invalid_recipient", Bounce, false},
	{"550-5.1.1 User unknown\r451-4.2.1 Try later\r550 5.1.1 User unknown", "5.1.1", "550", "invalid_recipient", Bounce, false},
	{"550-5.1.1 User unknown 450 4.2.1 Try later", "4.2.1", "450", "invalid_recipient", Delay, false},
	{"450-4.2.1 Try later 550 5.1.1 User unknown", "5.1.1", "550", "invalid_recipient", Bounce, false},
	{"250-2.1.5 fine\r\n550 5.1.1 User unknown", "5.1.1", "550", "invalid_recipient", Bounce, true},
	{"550-5.1.1 User unknown\r\n250 2.1.5 fine", "2.1.5", "250", "delivered", Delivered, false},
	{"550-User unknown\r\n550 wait 450 seconds", "", "550", "invalid_recipient", Bounce, true},
	{"550-User unknown. Wait\r\n450 seconds and more\r\n550 fine", "", "550", "invalid_recipient", Bounce, false},
	{"550-5.1.1 User unknown\r\n354 4.x what", "5.1.1", "550", "invalid_recipient", Bounce, true},
	{"550 5.1.1 User unknown\r\n450 4.2.1 Try later", "4.2.1", "450", "invalid_recipient", Delay, false},
	{"550 5.1.1 User unknown, before: 450 4.2.1 Try later", "5.1.1", "550", "invalid_recipient", Bounce, true},
	// A name in an address is no reason.
	{"550 5.1.1 <mailboxfull.spam@virus.example.com>: no such user", "5.1.1", "550", "invalid_recipient", Bounce, true},
	// The status of another class than the code's is not the server's.
	{"550 4.4.7 QUEUE.Expired; message expired", "", "550", "timeout", Bounce, false},
	{"550 host 192.0.2.25 version 5.5.1960.3 says no such user", "", "550", "invalid_recipient", Bounce, true},

	{"", "", "", "", Other, false},
	{"   \r\n", "", "", "", Other, false},
	{"user unknown", "", "", "", Other, false},
	{"5.1.1 user unknown", "", "", "", Other, false},
	{"354 Start mail input", "", "", "", Other, false},
	{"199 what", "", "", "", Other, false},
	{"650 what", "", "", "", Other, false},
	{"5501 what", "", "", "", Other, false},
	{"55", "", "", "", Other, false},
	{"550\x005.1.1", "", "", "", Other, false},
}

func TestReadReply(t *testing.T) {
	for _, c := range replies {
		f := ReadReply(c.text)
		checkFact(t, &f)
		if f.Kind != c.kind || f.Status != c.status || f.ReplyCode != c.code || f.Category != c.category || f.Hard != c.hard {
			t.Errorf("%q:\ngot  %s %q %q %s %v by %s\nwant %s %q %q %s %v", c.text,
				f.Kind, f.Status, f.ReplyCode, f.Category, f.Hard, f.Rule, c.kind, c.status, c.code, c.category, c.hard)
		}
	}
}
