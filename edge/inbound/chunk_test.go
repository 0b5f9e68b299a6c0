package inbound

import (
	"fmt"
	"strings"
	"testing"
)

// Chunks, alone and pipelined, with commands in one packet with them (RFC 3030 §4.2).
func TestChunking(t *testing.T) {
	f := overTCP(t, nil)
	c := f.hello()
	first, second := "Subject: chunks\r\n\r\n.\r\n", "..and\nbinary \x00\xff\r.\r\n"
	c.send(fmt.Sprintf("MAIL FROM:<>\r\nRCPT TO:<postmaster>\r\nBDAT %d\r\n%sBDAT %d\r\n%sBDAT 0 LAST\r\nQUIT\r\n", len(first), first, len(second), second))
	for _, want := range []string{"250 2.1.0", "250 2.1.5", "250 2.0.0 22 octets", "250 2.0.0 19 octets", "250 2.0.0 Ok", "221"} {
		c.want(want)
	}
	if mails := kept(f); len(mails) != 1 || !strings.HasSuffix(mails[0], "\r\n"+first+second) {
		t.Errorf("kept %q", mails)
	}
	c = f.hello()
	c.begin(f.returnPath())
	c.do("BDAT 0", "250")
	c.do("DATA", "503 5.5.1")
	c.do("RCPT TO:<"+f.replyTo()+">", "503 5.5.1")
	c.do("MAIL FROM:<>", "503 5.5.1")
	c.do("NOOP", "250")
	c.do("RSET", "250")
	c.do("BDAT 0 LAST", "503 5.5.1 Send MAIL first")
	c.begin()
	c.do("BDAT 6 LAST\r\nabcd", "554 5.5.1")
	c.begin(f.returnPath())
	c.do("BDAT 0 LAST", "250 2.0.0 Ok")
}

// A chunk that came before its time leaves nothing behind.
func TestEarlyChunk(t *testing.T) {
	c := overTCP(t, nil).dial()
	c.want("220")
	c.send("BDAT 5 LAST\r\nhello")
	c.want("503 5.5.1 Send MAIL first")
	c.do("EHLO client.example.net", "250")
	c.begin("postmaster")
	c.send("BDAT 5 LAST\r\nhello")
	c.want("250 2.0.0 Ok")
}

func TestChunkTooBig(t *testing.T) {
	f := overTCP(t, func(o *Options) { o.MaxMessageBytes = 64 << 10 })
	c := f.hello()
	c.begin(f.returnPath())
	c.send("BDAT 65536\r\n" + strings.Repeat("x", 65536))
	c.want("250")
	c.send("BDAT 1 LAST\r\nx")
	c.want("552 5.3.4")
	c.begin(f.returnPath())
	c.send("BDAT 100000\r\n" + strings.Repeat("x", 100000))
	c.want("552 5.3.4")
	c.send("BDAT 3 LAST\r\nend")
	c.want("503 5.5.1") // its beginning was refused
	c.begin(f.returnPath())
	c.send("BDAT 65536 LAST\r\n" + strings.Repeat("x", 65536))
	c.want("250")
	if left := f.budget.left.Load(); left != f.options.MaxMemoryBytes {
		t.Errorf("%d bytes of the budget are gone", f.options.MaxMemoryBytes-left)
	}
}
