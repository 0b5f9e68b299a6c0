package report

import (
	"strings"
	"testing"
)

// TestWhoseDomainIsUnknown holds that a domain by itself, called unknown, makes the address bad where it is the recipient's.
func TestWhoseDomainIsUnknown(t *testing.T) {
	const mail = "From: MAILER-DAEMON@mx.example.com\r\nTo: alice@mail.example.com\r\nSubject: failure notice\r\n\r\n" +
		"Hi. This is the qmail-send program at mx.example.com.\r\n\r\n<bob@Example.NET>:\r\n"
	for _, c := range []struct {
		said, category string
		hard           bool
	}{
		{"553 example.net does not exist", "bad_domain", true},
		{"553 EXAMPLE.net doesn't exist", "bad_domain", true},
		{"550 'example.net' not found here", "bad_domain", true},
		{"550 <example.net> unknown", "bad_domain", true},
		{"450 example.net is unknown", "bad_domain", false}, // of class 4: nobody calls it permanent
		{"553 mail.example.com does not exist", "sender_rejected", false},
		{"553 sub.example.net does not exist", "filtered", false}, // another domain: nothing says whose
		{"553 myexample.net does not exist", "filtered", false},
		{"553 example.org does not exist", "filtered", false},
		{"550 5.1.1 bob@example.net does not exist", "invalid_recipient", true},
		{"550 5.1.1 <bob@example.net> not found", "invalid_recipient", true},
	} {
		if f := Read([]byte(mail + c.said + "\r\n")).Facts[0]; f.Category != c.category || f.Hard != c.hard {
			t.Errorf("%s: %s, hard %t by %s, want %s, hard %t", c.said, f.Category, f.Hard, f.Rule, c.category, c.hard)
		}
	}
}

// TestAttempt holds that what is known beside a reply is used.
func TestAttempt(t *testing.T) {
	for _, c := range []struct {
		attempt                                       Attempt
		reply, recipient, remoteMTA, provider, reason string
	}{
		{Attempt{}, "550 Mailbox unavailable or access denied", "", "", "", "invalid_recipient"},
		{Attempt{Host: "MX3.QQ.com."}, "550 Mailbox unavailable or access denied", "", "mx3.qq.com", "tencent", "rate_limited"},
		{Attempt{Host: "mx3.qq.com[192.0.2.1]:25"}, "550 Mailbox unavailable or access denied", "", "mx3.qq.com", "tencent", "rate_limited"},
		{Attempt{Host: "dns; mx3.qq.com (192.0.2.1)"}, "550 Mailbox unavailable or access denied", "", "mx3.qq.com", "tencent", "rate_limited"},
		{Attempt{Recipient: "Bob@QQ.com"}, "550 Mailbox unavailable or access denied", "Bob@qq.com", "", "tencent", "rate_limited"},
		{Attempt{Host: "mx.example.net", Recipient: "bob@qq.com"}, "550 Mailbox unavailable or access denied", "bob@qq.com", "mx.example.net", "tencent", "rate_limited"},
		{Attempt{Host: "gmail-smtp-in.l.google.com"}, "250 2.0.0 OK", "", "gmail-smtp-in.l.google.com", "google", "delivered"},
		{Attempt{Recipient: "bob@example.net"}, "553 example.net does not exist", "bob@example.net", "", "", "bad_domain"},
		{Attempt{Recipient: "no address"}, "550 5.1.1 no", "", "", "", "invalid_recipient"},
		{Attempt{Host: strings.Repeat("a.", 200)}, "550 5.1.1 no", "", "", "", "invalid_recipient"},
		{Attempt{Host: "mx.example.net"}, "no reply", "", "mx.example.net", "", ""},
	} {
		f := c.attempt.ReadReply(c.reply)
		if f.Recipient != c.recipient || f.RemoteMTA != c.remoteMTA || f.Provider != c.provider || f.Category != c.reason {
			t.Errorf("%+v %s: recipient %q, host %q, provider %q, %s by %s", c.attempt, c.reply, f.Recipient, f.RemoteMTA, f.Provider, f.Category, f.Rule)
		}
		if told, why := c.attempt.ExplainReply(c.reply); told != f || len(why.Decisions) != 1 {
			t.Errorf("%+v %s: explained %+v", c.attempt, c.reply, told)
		}
	}
}
