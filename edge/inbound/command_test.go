package inbound

import (
	"bufio"
	"bytes"
	"net/textproto"
	"strings"
	"testing"
)

// Commands that are refused, and what comes after them.
func TestCommands(t *testing.T) {
	f := overTCP(t, func(o *Options) { o.MaxErrors = 100 })
	c := f.dial()
	c.want("220")
	for _, tt := range []struct{ send, want string }{
		{"EHLO", "501 5.5.4"},
		{"MAIL FROM:<>", "503 5.5.1 Send EHLO first"},
		{"RCPT TO:<postmaster>", "503 5.5.1 Send MAIL first"},
		{"DATA", "503 5.5.1"},
		{"BDAT 0 LAST", "503 5.5.1"},
		{"HELO client.example.net", "250"},
		{"RCPT TO:<postmaster>", "503 5.5.1"},
		{"DATA", "503 5.5.1"},
		{"", "500 5.5.2"},
		{" ", "500 5.5.2"},
		{"FOO", "500 5.5.2"},
		{"EHLOX client", "500 5.5.2"},
		{"NOOP\tx", "500 5.5.2"},
		{"NOOP \x00", "500 5.5.2"},
		{"NOOP \r x", "500 5.5.2"},
		{"NOOP \xff", "500 5.5.2"},
		{"GET / HTTP/1.1", "500 5.5.2"},
		{"noop", "250 2.0.0"},
		{"nOoP", "250 2.0.0"},
		{"R\u017fET", "500 5.5.2"}, // whose capital letter is an S
		{"NOOPNOOPNOOP", "500 5.5.2"},
		{"NOOP with words", "250 2.0.0"},
		{"RSET", "250 2.0.0"},
		{"VRFY alice", "252 2.1.5"},
		{"EXPN staff", "502 5.5.1"},
		{"HELP", "214 2.0.0"},
		{"HELP MAIL", "214 2.0.0"},
		{"AUTH PLAIN AGEAYg==", "502 5.5.1"},
		{"ETRN example.org", "502 5.5.1"},
		{"TURN", "502 5.5.1"},
		{"MAIL", "501 5.5.2"},
		{"MAIL TO:<a@example.org>", "501 5.5.2"},
		{"MAIL FROM:<a@example.org", "501"},
		{"MAIL FROM:<a>", "501"},
		{"MAIL FROM:<@>", "501"},
		{"MAIL FROM:a@example.org", "250 2.1.0"},
		{"RCPT TO:<>", "501"},
		{"RCPT FROM:<postmaster>", "501 5.5.2"},
		{"DATA", "554 5.5.1"},
		{"RCPT TO:<\"postmaster\"@bounce.example.com>", "250 2.1.5"},
		{"DATA now", "501 5.5.4"},
		{"STARTTLS", "502 5.5.1"},
		{"EHLO other.example.net", "250"}, // resets, RFC 5321 §4.1.4
		{"DATA", "503 5.5.1"},
		{"QUIT", "221 2.0.0 Bye"},
	} {
		c.send(tt.send + "\r\n")
		if got, err := c.reply(); err != nil || !strings.HasPrefix(got, tt.want) {
			t.Fatalf("%q: %q, %v; want %q", tt.send, got, err, tt.want)
		}
	}
	c.wantEnd()
}

// A bare LF ends no command and the connection: what follows it may be somebody else's words.
func TestBareLF(t *testing.T) {
	f := overTCP(t, nil)
	for _, sent := range []string{"NOOP\nNOOP\r\n", "NOOP " + strings.Repeat("x", 3*readAhead) + "\nNOOP\r\n", "\n"} {
		c := f.hello()
		c.send(sent)
		c.want("500 5.5.2 Command ends in a bare LF")
		c.wantEnd()
	}
}

// No end of a mail but CRLF.CRLF: everything else would let one mail hide another.
func TestNoSmuggling(t *testing.T) {
	f := overTCP(t, nil)
	for _, end := range []string{"\n.\n", "\n.\r\n", "\r.\r", "\r\n.\n", "\r\n.\r", "\r.\r\n", "\n.\r", "\r\r\n.\r\r\n", "\n\n.\r\n\n", "\x00\r\n.\n"} {
		c := f.hello()
		c.begin("postmaster")
		c.do("DATA", "354")
		c.send("one" + end + "MAIL FROM:<>\r\nRCPT TO:<" + f.returnPath() + ">\r\nDATA\r\ntwo\r\n.\r\n")
		c.want("250 2.0.0 Ok")
		c.do("QUIT", "221")
	}
	if n := f.count(f.metrics.mails.WithLabelValues("taken")); n != 10 {
		t.Errorf("%v mails taken, want 10", n)
	}
}

// A mail may be anything.
func TestStrangeMails(t *testing.T) {
	f := overTCP(t, nil)
	c := f.hello()
	for name, mail := range map[string]string{
		"nothing": "", "only headers": "Subject: x\r\n", "NUL": "Subject: \x00\r\n\r\n\x00\x00\r\n", "one line": strings.Repeat("x", 10<<20),
		"no header": "\r\n\r\n\r\n", "boundaries": "Content-Type: multipart/mixed; boundary=x\r\n\r\n" + strings.Repeat("--x\r\n", 10000),
		"half a report": dsn("bob@example.org", "5.1.1", "")[:700],
	} {
		if got := c.deliver(mail, f.returnPath(), repliesAddr); !strings.HasPrefix(got, "250 2.0.0 Ok") {
			t.Errorf("%s: %q", name, got)
		}
	}
	c.do("NOOP", "250")
}

func TestErrorTexts(t *testing.T) {
	// The replies are read by textproto too, and fit into a line (RFC 5321 §4.5.3.1.5).
	for _, r := range []*reply{replyHelp, replyLineTooLong, replyNoSuchUser, replyBadPath} {
		line := appendReply(nil, r)
		if len(line) > 512 {
			t.Errorf("%d octets: %q", len(line), line)
		}
		code, _, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(line))).ReadResponse(r.Code)
		if err != nil || code != r.Code {
			t.Errorf("%q: %d, %v", line, code, err)
		}
	}
}
