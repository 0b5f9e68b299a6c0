package inbound

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	stdsmtp "net/smtp"
	"net/textproto"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/pires/go-proxyproto"

	"carom/edge/ref"
	"carom/pipeline/event"
)

func TestEHLO(t *testing.T) {
	c := overTCP(t, nil).dial()
	c.want("220 mx.example.com ESMTP Carom")
	got := c.do("ehlo Client.example.net ignored", "250")
	want := "250-mx.example.com\n250-PIPELINING\n250-SIZE 37748736\n250-8BITMIME\n250-SMTPUTF8\n250-CHUNKING\n250 ENHANCEDSTATUSCODES"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := c.do("HELO client.example.net", "250"); got != "250 mx.example.com" {
		t.Errorf("HELO: %q", got)
	}
}

// Recipients, DESIGN §7.
func TestRecipients(t *testing.T) {
	f := overTCP(t, nil)
	old, foreign := keyring(t, oldKeys), keyring(t, foreignKeys)
	c := f.hello()
	c.begin()
	for _, to := range []string{
		f.returnPath(), strings.ToUpper(f.returnPath()), f.unsubscribe(), f.replyTo(), strings.ToUpper(f.replyTo()),
		feedbackAddr, "FBL@Bounce.Example.COM", repliesAddr, "postmaster@" + bounceDomain, "abuse@" + replyDomain,
		"@relay.example.org:" + f.returnPath(),
	} {
		c.do("RCPT TO:<"+to+">", "250 2.1.5")
	}
	forged := []byte(f.returnPath())
	forged[40] ^= 1
	for name, to := range map[string]string{
		"forged": string(forged), "foreign": tokenAddress(foreign, ref.ReturnPath, bounceDomain),
		"retired":         tokenAddress(old, ref.ReturnPath, bounceDomain),
		"reply on bounce": tokenAddress(f.keys, ref.ReplyTo, bounceDomain), "bounce on reply": tokenAddress(f.keys, ref.ReturnPath, replyDomain),
		"other purpose": "r" + strings.Replace(f.returnPath(), bounceDomain, replyDomain, 1)[1:], "no token": "b-@" + bounceDomain,
		"cut": strings.Replace(f.returnPath(), "@", "x@", 1), "nobody": "alice@" + bounceDomain, "short": "b@" + bounceDomain,
		"elsewhere": "alice@example.org", "relay": "alice%example.org@" + bounceDomain, "token elsewhere": tokenAddress(f.keys, ref.ReturnPath, "example.org"),
		"literal": "alice@[192.0.2.1]",
	} {
		got := c.do("RCPT TO:<"+to+">", "550 5.1.1")
		if strings.Contains(got, "example") {
			t.Errorf("%s: the address is repeated: %q", name, got)
		}
	}
	for result, want := range map[string]float64{
		"return_path": 3, "reply_to": 2, "unsubscribe": 1, "feedback": 2, "replies": 1, "operator": 2, "retired_key": 1, "forged": 3, "unknown": 10,
	} {
		if n := f.count(f.metrics.recipients.WithLabelValues(result)); n != want {
			t.Errorf("%s: %v, want %v", result, n, want)
		}
	}
}

func TestMailsBecomeEvents(t *testing.T) {
	f := overTCP(t, nil)
	header, err := f.keys.Seal(nil, ref.Header, &message)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := keyring(t, foreignKeys).Seal(nil, ref.Header, &message)
	if err != nil {
		t.Fatal(err)
	}
	bounce := dsn("bob@example.org", "5.1.1", "")
	forged := dsn("bob@example.org", "5.1.1", "X-Carom-Ref: "+string(foreign)+"\nMessage-ID: <"+message.Message+">\n")
	full := dsn("bob@example.org", "5.1.1", "X-Carom-Ref: "+string(header)+"\nMessage-ID: <"+message.Message+">\n")
	byID := dsn("bob@example.org", "5.1.1", "Message-ID: <"+message.Message+">\n")
	reply := "From: bob@example.org\r\nTo: x\r\nSubject: Re: Hello\r\nMessage-ID: <reply-1@example.org>\r\nIn-Reply-To: <" + message.Message + ">\r\n\r\nYes, please.\r\n"
	type result struct {
		kind    event.Kind
		knownBy event.KnownBy
		key     event.Key
	}
	for _, tt := range []struct {
		name, mail, to string
		want           []result
	}{
		{"bounce", bounce, f.returnPath(), []result{{event.Bounce, event.ByKey, messageKey()}}},
		{"bounce with the header", full, f.returnPath(), []result{{event.Bounce, event.ByRef, messageKey()}}},
		{"bounce to a fixed address, header", full, feedbackAddr, []result{{event.Bounce, event.ByRef, messageKey()}}},
		{"bounce to a fixed address, Message-ID", byID, feedbackAddr, []result{{event.Bounce, event.ByMessageID, event.PartialKey(message.Message)}}},
		{"bounce to a fixed address, header of another installation", forged, feedbackAddr, []result{{event.Bounce, event.ByMessageID, event.PartialKey(message.Message)}}},
		{"bounce to a fixed address, nothing", bounce, feedbackAddr, nil},
		{"reply", reply, f.replyTo(), []result{{event.Reply, event.ByKey, messageKey()}}},
		{"copy of a reply", reply, repliesAddr, []result{{event.Reply, event.ByMessageID, event.PartialKey(message.Message)}}},
		{"unsubscribe", reply, f.unsubscribe(), []result{{event.Unsubscribe, event.ByKey, messageKey()}}},
		{"empty unsubscribe", "\r\n", f.unsubscribe(), []result{{event.Unsubscribe, event.ByKey, messageKey()}}},
	} {
		before := len(f.sink.all())
		got := f.hello().deliver(tt.mail, tt.to)
		if want := fmt.Sprintf("events=%d", len(tt.want)); !strings.HasPrefix(got, "250 2.0.0 Ok ") || !strings.HasSuffix(got, want) {
			t.Errorf("%s: %q, want %s", tt.name, got, want)
		}
		events := f.sink.all()[before:]
		if len(events) != len(tt.want) {
			t.Errorf("%s: %d events, want %d", tt.name, len(events), len(tt.want))
			continue
		}
		for i, e := range events {
			if got := (result{e.Kind, e.KnownBy, e.Key}); got != tt.want[i] {
				t.Errorf("%s: %v, want %v", tt.name, got, tt.want[i])
			}
			if e.Kind == event.Bounce && (e.Recipient != "bob@example.org" || e.Bounce.Status != "5.1.1" || !e.Bounce.Hard) {
				t.Errorf("%s: %+v", tt.name, e.Bounce)
			}
			if e.KnownBy == event.ByRef && e.Ref != message {
				t.Errorf("%s: %+v", tt.name, e.Ref)
			}
		}
	}
}

// Two clients that we didn't write.
func TestOtherClients(t *testing.T) {
	f := overTCP(t, nil)
	mail := []byte(dsn("bob@example.org", "5.1.1", ""))
	if err := stdsmtp.SendMail(f.Addr().String(), nil, "", []string{f.returnPath()}, mail); err != nil {
		t.Errorf("net/smtp: %v", err)
	}
	if err := stdsmtp.SendMail(f.Addr().String(), nil, "", []string{"alice@example.org"}, mail); err == nil || !strings.HasPrefix(err.Error(), "550") {
		t.Errorf("net/smtp to elsewhere: %v", err)
	}
	c, err := smtp.Dial(f.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SendMail("", []string{f.returnPath(), f.replyTo()}, bytes.NewReader(mail)); err != nil {
		t.Errorf("go-smtp: %v", err)
	}
	if err := c.Quit(); err != nil {
		t.Errorf("go-smtp: %v", err)
	}
	if n := len(f.sink.all()); n != 3 {
		t.Errorf("%d events, want 3", n)
	}
}

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

func TestTimeouts(t *testing.T) {
	for name, drip := range map[string]string{"silent": "", "slow": "N"} {
		t.Run("command, "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := overPipes(t, nil)
				c := f.hello()
				began := time.Now()
				cut := make(chan struct{})
				go func() {
					defer close(cut)
					for drip != "" {
						if _, err := io.WriteString(c, drip); err != nil {
							return
						}
						time.Sleep(10 * time.Second)
					}
				}()
				c.want("421 4.4.2")
				c.wantEnd()
				if took := time.Since(began); took != f.options.CommandTimeout {
					t.Errorf("after %v", took)
				}
				<-cut
			})
		})
	}
	t.Run("session", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := overPipes(t, nil)
			began := time.Now()
			c := f.hello()
			for time.Since(began) < f.options.SessionTimeout-time.Minute {
				c.do("NOOP", "250")
				time.Sleep(time.Minute)
			}
			c.want("421 4.4.2")
			c.wantEnd()
			if took := time.Since(began); took != f.options.SessionTimeout {
				t.Errorf("after %v", took)
			}
		})
	})
	t.Run("chunks", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := overPipes(t, nil)
			c := f.hello()
			c.begin(f.returnPath())
			began := time.Now()
			for range 3 {
				c.send("BDAT 1\r\nx")
				c.want("250")
				time.Sleep(4 * time.Minute)
			}
			c.send("BDAT 1\r\nx") // after 12 of 15 min
			c.want("250")
			c.want("421 4.4.2")
			c.wantEnd()
			if took := time.Since(began); took != f.options.MessageTimeout {
				t.Errorf("after %v", took)
			}
		})
	})
	t.Run("unread replies", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := overPipes(t, nil)
			c := f.hello()
			c.send("NOOP\r\n")
			time.Sleep(f.options.WriteTimeout + time.Second)
			if got, err := c.reply(); err == nil {
				t.Errorf("got %q", got)
			}
		})
	})
}

// The memory of all mails together is bounded; who comes too much is deferred.
func TestMemoryBudget(t *testing.T) {
	f := overTCP(t, func(o *Options) { o.MaxMessageBytes, o.MaxMemoryBytes = 1<<20, 2<<20 })
	big := strings.Repeat(strings.Repeat("x", 998)+"\r\n", 1000)
	var holders []*client
	for range 2 {
		c := f.hello()
		c.begin(f.returnPath())
		c.send(fmt.Sprintf("BDAT %d\r\n%s", len(big), big)) // no LAST: it stays
		got, err := c.reply()
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(got, "250") {
			holders = append(holders, c)
		}
	}
	if len(holders) != 1 {
		t.Fatalf("%d large mails at once, want 1: the second can't grow beside it", len(holders))
	}
	if got := f.hello().deliver(big, f.returnPath()); !strings.HasPrefix(got, "452 4.3.1") {
		t.Errorf("got %q", got)
	}
	if got := f.hello().deliver(dsn("bob@example.org", "5.1.1", ""), f.returnPath()); !strings.HasPrefix(got, "250") {
		t.Errorf("a small mail: %q", got)
	}
	holders[0].do("BDAT 0 LAST", "250")
	if got := f.hello().deliver(big, f.returnPath()); !strings.HasPrefix(got, "250") {
		t.Errorf("got %q after the memory is free", got)
	}
	eventually(t, func() bool { return f.budget.left.Load() == f.options.MaxMemoryBytes })
}

// holding starts a server whose sink waits, and gives it a bounce.
func holding(t *testing.T) (*fixture, *client) {
	f := newFixture(t, func(o *Options) { o.ShutdownTimeout = 0 })
	f.sink.hold, f.sink.called = make(chan struct{}), make(chan struct{})
	f.pipes = newPipeListener()
	if err := f.prepare(f.pipes); err != nil {
		t.Fatal(err)
	}
	c := f.run().hello()
	c.begin(f.returnPath())
	c.do("DATA", "354")
	c.send(dsn("bob@example.org", "5.1.1", "") + ".\r\n")
	<-f.sink.called
	return f, c
}

// 250 comes after the sink has returned, and not before.
func TestAnswerAfterSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := holding(t)
		answer := make(chan string, 1)
		go func() { got, _ := c.reply(); answer <- got }()
		synctest.Wait()
		select {
		case got := <-answer:
			t.Fatalf("answered before the sink returned: %q", got)
		default:
		}
		f.sink.release()
		if got := <-answer; !strings.HasPrefix(got, "250 2.0.0 Ok") {
			t.Errorf("got %q", got)
		}
		c.do("QUIT", "221")
	})
}

// Run doesn't return while the sink is at work, however short its patience with clients is.
func TestStopWaitsForSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, c := holding(t)
		stopped := make(chan error, 1)
		go func() { stopped <- f.stop() }()
		synctest.Wait()
		select {
		case <-stopped:
			t.Fatal("stopped in the middle of a call to the sink")
		default:
		}
		f.sink.release()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		c.wantEnd()
	})
}

func TestProxyProtocol(t *testing.T) {
	f := overTCP(t, func(o *Options) {
		o.ProxyProtocol, o.TrustedProxies = true, []string{"127.0.0.0/8", "::1/128"}
		o.MaxConnectionsPerClient = 1
	})
	header := func(version byte, ip string) string {
		h := proxyproto.HeaderProxyFromAddrs(version, &net.TCPAddr{IP: net.ParseIP(ip), Port: 4000}, &net.TCPAddr{IP: net.ParseIP(ip), Port: 25})
		b, err := h.Format()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	local, err := (&proxyproto.Header{Version: 2, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}).Format()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, send, want string }{
		{"version 1", header(1, "192.0.2.1"), "220"},
		{"version 2", header(2, "192.0.2.2"), "220"},
		{"version 2, IPv6", header(2, "2001:db8:1:2::3"), "220"},
		{"the same client", header(1, "192.0.2.1"), "421 4.7.0 Too many connections"},
		{"the same /64", header(2, "2001:db8:1:2::4"), "421 4.7.0"},
		{"the next /64", header(2, "2001:db8:1:3::4"), "220"},
		{"the proxy itself", string(local), "220"},
		{"no header", "EHLO client.example.net\r\n", "421 4.3.5 PROXY"},
		{"half a header", "PROXY TCP4 192.0.2.9\r\n", "421 4.3.5"},
		{"nonsense", "PROXY " + strings.Repeat("x", 200) + "\r\n", "421 4.3.5"},
	} {
		c := f.dial() // stays open
		c.send(tt.send)
		if got, err := c.reply(); err != nil || !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, err, tt.want)
		}
		if tt.want == "220" {
			c.do("EHLO client.example.net", "250")
		}
	}
	// Who isn't trusted is taken for what he is, and his header for a bad command.
	f = overTCP(t, func(o *Options) { o.ProxyProtocol, o.TrustedProxies = true, []string{"192.0.2.0/24"} })
	c := f.dial()
	c.want("220")
	c.send(header(1, "192.0.2.1"))
	c.want("500")
}

func TestLongLineOf100MB(t *testing.T) {
	f := overTCP(t, nil)
	c := f.hello()
	go func() {
		piece := bytes.Repeat([]byte("x"), 1<<20)
		for range 100 {
			if _, err := c.Write(piece); err != nil {
				return
			}
		}
		_, _ = c.Write([]byte("\r\nNOOP\r\n"))
	}()
	c.want("500 5.5.2 Command line too long")
	c.want("250")
	if left := f.budget.left.Load(); left != f.options.MaxMemoryBytes {
		t.Error("it was kept")
	}
}

func TestTooBigMailOf100MB(t *testing.T) {
	f := overTCP(t, nil)
	c := f.hello()
	c.begin(f.returnPath())
	c.do("DATA", "354")
	piece := bytes.Repeat([]byte("x"), 1<<20)
	for range 100 {
		if _, err := c.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	c.do("\r\n.", "552 5.3.4")
	c.do("NOOP", "250")
	if n := f.count(f.metrics.mails.WithLabelValues("too_big")); n != 1 {
		t.Errorf("%v mails counted as too big", n)
	}
}

// What is refused is thrown away up to a bound, and then the connection ends.
func TestEndlessRefusals(t *testing.T) {
	f := overTCP(t, nil)
	for _, tt := range []struct{ name, begin, want string }{
		{"line", "NOOP ", "500 5.5.2 Command line too long"},
		{"chunk", "BDAT 9000000000000000000\r\n", "503 5.5.1"},
		{"chunk of a mail", "MAIL FROM:<>\r\nRCPT TO:<" + f.returnPath() + ">\r\nBDAT 9000000000000000000 LAST\r\n", "552 5.3.4"},
		{"mail", "MAIL FROM:<>\r\nRCPT TO:<" + f.returnPath() + ">\r\nDATA\r\n", "552 5.3.4"},
	} {
		c := f.hello()
		go func() {
			if _, err := io.WriteString(c, tt.begin); err != nil {
				return
			}
			for piece := bytes.Repeat([]byte("x"), 1<<20); ; {
				if _, err := c.Write(piece); err != nil {
					return
				}
			}
		}()
		got, err := c.reply()
		for err == nil && (strings.HasPrefix(got, "250") || strings.HasPrefix(got, "354")) {
			got, err = c.reply()
		}
		if err != nil || !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, err, tt.want)
		}
		c.wantEnd()
	}
	eventually(t, func() bool { return f.gate.count() == 0 })
	if left := f.budget.left.Load(); left != f.options.MaxMemoryBytes {
		t.Errorf("%d bytes of the budget are gone", f.options.MaxMemoryBytes-left)
	}
}

// A fault of ours defers the mail, and meets nobody else.
func TestPanic(t *testing.T) {
	f := overTCP(t, nil)
	f.sink.bug = true
	c := f.hello()
	if got := c.deliver(dsn("bob@example.org", "5.1.1", ""), f.returnPath()); !strings.HasPrefix(got, "451 4.3.0") {
		t.Errorf("DATA: %q", got)
	}
	c.begin(f.returnPath())
	mail := dsn("bob@example.org", "5.1.1", "")
	c.send(fmt.Sprintf("BDAT %d LAST\r\n%s", len(mail), mail))
	c.want("451 4.3.0")
	c.do("NOOP", "250")
	if n := f.count(f.metrics.panics); n != 2 {
		t.Errorf("%v panics counted", n)
	}
}

func TestMetrics(t *testing.T) {
	f := overTCP(t, nil)
	c := f.hello()
	c.deliver(dsn("bob@example.org", "5.1.1", ""), f.returnPath())
	c.begin(f.returnPath())
	c.send("BDAT 5\r\nhello")
	c.want("250")
	families, err := f.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetName() + "=" + l.GetValue()
			}
			values[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"carom_inbound_open_connections": 1, "carom_inbound_mail_memory_bytes": firstBody, "carom_inbound_connections_total": 1,
		"carom_inbound_recipients_total result=return_path": 2, "carom_inbound_mails_total result=taken": 1,
		"carom_inbound_events_total kind=bounce": 1, "carom_inbound_panics_total": 0,
	} {
		if got, ok := values[name]; !ok || got != want {
			t.Errorf("%s: %v, %v; want %v (of %v)", name, got, ok, want, values)
		}
	}
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
