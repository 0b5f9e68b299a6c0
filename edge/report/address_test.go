package report

import (
	"strings"
	"testing"
	"time"
)

func TestAddrSpec(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{"bob@example.com", "bob@example.com"},
		{"Bob <bob@Example.COM>", "bob@example.com"},
		{"\"b@d, Bob\" <Bob@example.com>", "Bob@example.com"},
		{"bob@example.com (Bob the <b>)", "bob@example.com"},
		{"<bob@example.com>", "bob@example.com"},
		{" Bob <\r\n bob@example.com >", "bob@example.com"},
		{"<@relay.example.org:bob@example.com>", "bob@example.com"},
		{"\"bob smith\"@example.com", "\"bob smith\"@example.com"},
		{"<\"bob..smith\"@example.com>", "bob..smith@example.com"},
		{"Bob <>", ""},
		{"<>", ""},
		{"MAILER-DAEMON", ""},
		{"", ""},
		{"@example.com", ""},
		{"bob@", ""},
		{"<" + strings.Repeat("b", 400) + "@example.com>", ""},
		{"用户@例子.example.com", "用户@例子.example.com"},
		{"a <b@example.com>, c <d@example.com>", "d@example.com"},
	} {
		if got := string(appendAddress(nil, addrSpec([]byte(c.value)))); got != c.want {
			t.Errorf("%q: %q, want %q", c.value, got, c.want)
		}
	}
}

func TestTypedAddress(t *testing.T) {
	for _, c := range []struct {
		value    string
		original bool
		want     string
	}{
		{"rfc822; bob@example.com", false, "bob@example.com"},
		{"RFC822;<bob@example.com>", false, "bob@example.com"},
		{"bob@example.com", false, "bob@example.com"},
		{"<bob@example.com>", false, "bob@example.com"},
		{"rfc822;bob@example.com (relayed)", false, "bob@example.com"},
		{"utf-8; b\\x{F6}b@example.com", false, "böb@example.com"},
		{"UTF-8;\\x{1F4E7}@example.com", false, "📧@example.com"},
		{"utf-8; b\\x{}b\\x{110000}\\x{D800}@example.com", false, "b\\x{}b\\x{110000}\\x{D800}@example.com"},
		{"utf-8; böb@example.com", false, "böb@example.com"},
		{"rfc822; b\\x{F6}b@example.com", false, "b\\x{F6}b@example.com"},
		{"rfc822; bob+2Bx@example.com", true, "bob+x@example.com"},
		{"rfc822; bob+40example.com", true, "bob@example.com"},
		{"rfc822; bob+tag@example.com", true, "bob+tag@example.com"},
		{"rfc822; bob+2bx@example.com", true, "bob+2bx@example.com"},
		{"rfc822; bob+2Bx+tag@example.com", true, "bob+2Bx+tag@example.com"},
		{"rfc822; bob+2Bx@example.com", false, "bob+2Bx@example.com"},
		{"rfc822; |/bin/sh -c bob@example.com x", false, "bob@example.com"},
		{"x400; /c=us/", false, ""},
		{"rfc822;", false, ""},
		{";;;", false, ""},
		{"", false, ""},
	} {
		var scratch []byte
		if got := string(typedAddress([]byte(c.value), c.original, &scratch)); got != c.want {
			t.Errorf("%q: %q, want %q", c.value, got, c.want)
		}
	}
}

func TestFindAddress(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"mail to <bob@example.com>: no", "bob@example.com"},
		{"mail to bob@example.com. Sorry", "bob@example.com"},
		{"a@ b@c", "b@c"},
		{"code x@$y, then bob@example.com", "bob@example.com"},
		{"(\"bob smith\"@example.com)", "\"bob smith\"@example.com"},
		{"@@@ @", ""},
		{"no address", ""},
		{"", ""},
	} {
		address, _ := findAddress([]byte(c.text))
		if string(address) != c.want {
			t.Errorf("%q: %q, want %q", c.text, address, c.want)
		}
	}
}

func TestParseDate(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Sat, 21 Nov 2026 10:00:05 +0000", "2026-11-21T10:00:05Z"},
		{"Sat, 21 Nov 2026 10:00:05 +0200 (CEST)", "2026-11-21T08:00:05Z"},
		{"21 nov 2026 10:00 -0530", "2026-11-21T15:30:00Z"},
		{" Sat,  1 Nov 26 10:00:05 EST", "2026-11-01T15:00:05Z"},
		{"Sat, 21-Nov-1999 10:00:05 GMT", "1999-11-21T10:00:05Z"},
		{"21 November 2026 10:00:05 JST", "2026-11-21T10:00:05Z"},
		{"Sat, 21 Nov 2026 10:00:05 +9999", "2026-11-21T10:00:05Z"},
		{"2026-11-21T10:00:05Z", ""},
		{"Sat, 32 Nov 2026 10:00:05 +0000", ""},
		{"Sat, 21 Nov 2026 25:00:05 +0000", ""},
		{"Sat, 21 Nov 2026", ""},
		{"yesterday", ""},
		{"", ""},
	} {
		got := ""
		if at := parseDate([]byte(c.in)); !at.IsZero() {
			got = at.Format(time.RFC3339)
		}
		if got != c.want {
			t.Errorf("%q: %s, want %s", c.in, got, c.want)
		}
	}
}

func TestScanReply(t *testing.T) {
	for _, c := range []struct{ text, code, status string }{
		{"550 5.1.1 no", "550", "5.1.1"},
		{"550-5.1.1 no", "550", "5.1.1"},
		{"550 no (#5.1.1)", "550", "5.1.1"},
		{"host mx[192.0.2.1] said: 550 5.1.1 no", "550", "5.1.1"},
		{"host mx[192.0.2.1] said: 550 <a@b> no", "550", ""},
		{"421 4.7.0 [TS03] 4.16.55.1", "421", "4.7.0"},
		{"554 delivery error 5.5.1960.3", "554", ""},
		{"it took 300 seconds", "", ""},
		{"port 587 at 5.6.7.8", "", ""},
		{"550 4.4.7 expired after 5.1.1", "550", "5.1.1"},
		{"5.1.10 only", "", "5.1.10"},
		{"5.1.1000", "", ""},
		{"v5.1.1", "", ""},
		{"", "", ""},
		{"5", "", ""},
		{"55", "", ""},
		{"550", "550", ""},
	} {
		code, status := scanReply([]byte(c.text))
		if string(code) != c.code || string(status) != c.status {
			t.Errorf("%q: %q %q, want %q %q", c.text, code, status, c.code, c.status)
		}
	}
}
