package inbound

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-smtp"
)

// What go-smtp v0.25.1 does wrong, each shown on the bare library and then on ours. When one of the first halves fails
// after an update, the library has changed: look whether the filter still fits.

// Trap 1: a last chunk that the connection's end cuts short counts as whole.
func TestTrapChunkCutShort(t *testing.T) {
	talk := func(c *client, to string) string {
		c.do("MAIL FROM:<>", "250")
		c.do("RCPT TO:<"+to+">", "250")
		c.send("BDAT 100 LAST\r\n123456789")
		if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		got, _ := c.reply()
		return got
	}
	t.Run("bare", func(t *testing.T) {
		b := bare(t, loopback(t), nil, nil)
		if got := talk(b.hello(), "bob@example.org"); !strings.HasPrefix(got, "250") {
			t.Errorf("got %q: the library has learned", got)
		}
		if mail := <-b.mails; mail != "123456789" {
			t.Errorf("mail %q", mail)
		}
	})
	t.Run("ours", func(t *testing.T) {
		f := overTCP(t, nil)
		if got := talk(f.hello(), "postmaster@"+bounceDomain); !strings.HasPrefix(got, "451 4.4.2") {
			t.Errorf("got %q, want 451", got)
		}
		if n := len(kept(f)); n != 0 {
			t.Errorf("%d mails kept", n)
		}
		if n := f.count(f.metrics.mails.WithLabelValues("cut_short")); n != 1 {
			t.Errorf("%v mails counted as cut short", n)
		}
	})
}

// Trap 2: CR CR LF hides the end of a mail, and the dots that were put before others.
func TestTrapDoubleCR(t *testing.T) {
	t.Run("bare", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := bare(t, newPipeListener(), func(s *smtp.Server) { s.ReadTimeout = time.Minute }, nil)
			c := b.hello()
			c.do("MAIL FROM:<>", "250")
			c.do("RCPT TO:<bob@example.org>", "250")
			c.do("DATA", "354")
			began := time.Now()
			c.send("line\r\r\n.\r\n")
			c.want("554") // not before the timeout
			if took := time.Since(began); took != time.Minute {
				t.Errorf("answered after %v", took)
			}
			c.Close()
		})
		b := bare(t, loopback(t), nil, nil)
		c := b.hello()
		c.do("MAIL FROM:<>", "250")
		c.do("RCPT TO:<bob@example.org>", "250")
		c.do("DATA", "354")
		c.send("line\r\r\n..dot\r\n.\r\n")
		c.want("250")
		if mail := <-b.mails; mail != "line\r\r\n..dot\r\n" {
			t.Errorf("mail %q", mail)
		}
	})
	t.Run("ours", func(t *testing.T) {
		f := overTCP(t, nil)
		for _, tt := range []struct{ sent, want string }{
			{"line\r\r\n.\r\n", "line\r\r\n"},
			{"line\r\r\n..dot\r\n.\r\n", "line\r\r\n.dot\r\n"},
		} {
			c := f.hello()
			c.begin("postmaster@" + bounceDomain)
			c.do("DATA", "354")
			c.send(tt.sent)
			c.want("250 2.0.0 Ok")
			mails := kept(f)
			if !strings.HasSuffix(mails[len(mails)-1], "\r\n"+tt.want) {
				t.Errorf("sent %q, kept %q", tt.sent, mails)
			}
			for _, name := range keptFiles(f) {
				_ = os.Remove(name)
			}
		}
	})
}

// Trap 3: the read timeout spans a whole mail, ends it with 554, and the rest of the mail is taken for commands.
func TestTrapDataTimeout(t *testing.T) {
	lines := func(c *client, n int, every time.Duration) {
		for range n {
			c.send("another line of a mail on a slow line\r\n")
			time.Sleep(every)
		}
	}
	t.Run("bare", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := bare(t, newPipeListener(), func(s *smtp.Server) { s.ReadTimeout = time.Minute }, nil)
			c := b.hello()
			c.do("MAIL FROM:<>", "250")
			c.do("RCPT TO:<bob@example.org>", "250")
			c.do("DATA", "354")
			lines(c, 3, 20*time.Second)
			c.want("554") // a bounce lost
			c.do("RSET in the middle of a mail", "250")
			c.Close()
		})
	})
	start := func(t *testing.T) (*fixture, *client) {
		f := overPipes(t, func(o *Options) {
			o.DataTimeout, o.MessageTimeout, o.SessionTimeout = time.Minute, 5*time.Minute, time.Hour
		})
		c := f.hello()
		c.begin(f.returnPath())
		c.do("DATA", "354")
		return f, c
	}
	t.Run("ours, slow", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, c := start(t)
			lines(c, 4, 50*time.Second)
			c.do(".", "250 2.0.0")
			c.do("QUIT", "221")
		})
	})
	t.Run("ours, silent", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, c := start(t)
			lines(c, 4, 50*time.Second)
			began := time.Now()
			c.want("421 4.4.2")
			c.wantEnd()
			if took := time.Since(began); took != 10*time.Second {
				t.Errorf("%v after the last line's 50 s, want 10 s", took)
			}
		})
	})
	t.Run("ours, dripping", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f, c := start(t)
			began := time.Now()
			cut := make(chan struct{})
			go func() {
				defer close(cut)
				for {
					if _, err := io.WriteString(c, "x"); err != nil {
						return
					}
					time.Sleep(30 * time.Second)
				}
			}()
			c.want("421 4.4.2")
			c.wantEnd()
			if took := time.Since(began); took != 5*time.Minute {
				t.Errorf("ended after %v, want 5m", took)
			}
			<-cut
			if n := f.count(f.metrics.mails.WithLabelValues("timeout")); n != 1 {
				t.Errorf("%v mails counted as timed out", n)
			}
		})
	})
}

// Trap 4: any error becomes a permanent one.
func TestTrapErrorsArePermanent(t *testing.T) {
	fault := errors.New("disk is full")
	t.Run("bare", func(t *testing.T) {
		b := bare(t, loopback(t), nil, func(r io.Reader) error { _, _ = io.ReadAll(r); return fault })
		c := b.hello()
		c.do("MAIL FROM:<>", "250")
		c.do("RCPT TO:<bob@example.org>", "250")
		c.do("DATA", "354")
		c.do("x\r\n.", "554")
	})
	t.Run("ours", func(t *testing.T) {
		f := overTCP(t, nil)
		f.sink.fail = fault
		c := f.hello()
		if got := c.deliver(dsn("bob@example.org", "5.1.1", ""), f.returnPath()); !strings.HasPrefix(got, "451 4.3.0") || strings.Contains(got, "disk") {
			t.Errorf("got %q, want 451 4.3.0 and no word of the cause", got)
		}
		f.sink.mu.Lock()
		f.sink.fail = nil
		f.sink.mu.Unlock()
		if got := c.deliver(dsn("bob@example.org", "5.1.1", ""), f.returnPath()); !strings.HasPrefix(got, "250") {
			t.Errorf("got %q after the fault is gone", got)
		}
	})
}

// Trap 5: a long line in a mail closes the connection.
func TestTrapLongLines(t *testing.T) {
	long := "x" + strings.Repeat("y", 5000) + "\r\n"
	t.Run("bare", func(t *testing.T) {
		c := bare(t, loopback(t), nil, nil).hello()
		c.do("MAIL FROM:<>", "250")
		c.do("RCPT TO:<bob@example.org>", "250")
		c.do("DATA", "354")
		c.send(long + ".\r\n")
		c.want("554") // Data failed
		c.want("500")
		c.wantEnd()
	})
	t.Run("ours", func(t *testing.T) {
		f := overTCP(t, nil)
		c := f.hello()
		if got := c.deliver(long, f.returnPath()); !strings.HasPrefix(got, "250") {
			t.Errorf("got %q", got)
		}
		// The lines of commands are bounded all the same, and the session goes on.
		for _, n := range []int{maxCommandLine + 1, readAhead, readAhead + 1, 3*readAhead + 7, 10 << 20} {
			c.send("NOOP " + strings.Repeat("z", n-len("NOOP \r\n")) + "\r\n")
			c.want("500 5.5.2 Command line too long")
			c.do("NOOP", "250")
		}
		c.do("NOOP "+strings.Repeat("z", maxCommandLine-len("NOOP \r\n")), "250")
	})
}

// Trap 8: sizes at the edge, and the wrong code for a parameter.
func TestTrapSizes(t *testing.T) {
	const limit = 64 << 10
	send := func(c *client, to string, n int) string {
		c.do("MAIL FROM:<>", "250")
		c.do("RCPT TO:<"+to+">", "250")
		c.do("DATA", "354")
		c.send(strings.Repeat("x", n-2) + "\r\n.\r\n")
		got, _ := c.reply()
		return got
	}
	t.Run("bare", func(t *testing.T) {
		b := bare(t, loopback(t), func(s *smtp.Server) { s.MaxMessageBytes, s.MaxLineLength = limit, 0 }, nil)
		c := b.hello()
		if got := send(c, "bob@example.org", limit); !strings.HasPrefix(got, "552") {
			t.Errorf("exact size: %q", got)
		}
		c.do("MAIL FROM:<> SIZE=4294967296", "501")
		c.do("MAIL FROM:<> FOO=bar", "500")
	})
	t.Run("ours", func(t *testing.T) {
		f := overTCP(t, func(o *Options) { o.MaxMessageBytes = limit })
		c := f.hello()
		if got := send(c, f.returnPath(), limit); !strings.HasPrefix(got, "250") {
			t.Errorf("exact size: %q", got)
		}
		if got := send(c, f.returnPath(), limit+1); !strings.HasPrefix(got, "552 5.3.4") {
			t.Errorf("one more: %q", got)
		}
		for _, tt := range []struct{ params, want string }{
			{"SIZE=65536", "250"},
			{"size=0", "250"},
			{"SIZE=00000000000000065536", "250"},
			{"SIZE=65537", "552 5.3.4"},
			{"SIZE=4294967296", "552"},
			{"SIZE=99999999999999999999", "552"},
			{"SIZE=", "501"},
			{"SIZE=-1", "501"},
			{"SIZE=1x", "501"},
			{"SIZE", "501"},
			{"SIZE=1 SIZE=2", "501"},
			{"SIZE=100000000000000000000", "501"},
			{"BODY=7bit", "250"},
			{"BODY=8BITMIME", "250"},
			{"BODY=BINARYMIME", "555 5.5.4"},
			{"BODY", "555"},
			{"BODY=7BIT BODY=8BITMIME", "501"},
			{"SMTPUTF8 smtputf8", "501"},
			{"SMTPUTF8", "250"},
			{"SMTPUTF8=yes", "501"},
			{"SIZE=5 BODY=8BITMIME SMTPUTF8", "250"},
			{"FOO=bar", "555 5.5.4"},
			{"RET=HDRS", "555"},
			{"AUTH=<>", "555"},
			{"=", "555"},
		} {
			c := f.hello()
			c.do("MAIL FROM:<> "+tt.params, tt.want)
			c.Close()
		}
		c = f.hello()
		c.begin()
		c.do("RCPT TO:<"+f.returnPath()+"> NOTIFY=NEVER", "555 5.5.4")
	})
}
