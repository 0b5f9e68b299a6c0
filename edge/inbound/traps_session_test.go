package inbound

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-smtp"

	"carom/edge/ref"
)

// Trap 6: postmaster is refused without a domain.
func TestTrapPostmaster(t *testing.T) {
	t.Run("bare", func(t *testing.T) {
		c := bare(t, loopback(t), nil, nil).hello()
		c.do("MAIL FROM:<>", "250")
		c.do("RCPT TO:<postmaster>", "501")
	})
	t.Run("ours", func(t *testing.T) {
		f := overTCP(t, nil)
		c := f.hello()
		c.begin("postmaster", "Postmaster", "POSTMASTER@BOUNCE.example.com", "postmaster@reply.example.com", "abuse@mx.example.com")
		c.do("RCPT TO:<abuse>", "501")
		c.do("RCPT TO:<postmaster@example.org>", "550 5.1.1")
		c.do("DATA", "354")
		c.do("Subject: help\r\n\r\nHello.\r\n.", "250")
		if mails := kept(f); len(mails) != 1 || !strings.HasSuffix(mails[0], "\r\nSubject: help\r\n\r\nHello.\r\n") {
			t.Errorf("kept %q", mails)
		}
	})
}

// Trap 7: MAIL within MAIL keeps the recipients; nothing bounds refusals and connections.
func TestTrapNoBounds(t *testing.T) {
	t.Run("bare", func(t *testing.T) {
		b := bare(t, loopback(t), nil, nil)
		c := b.hello()
		c.do("MAIL FROM:<a@example.org>", "250")
		c.do("RCPT TO:<bob@example.org>", "250")
		c.do("MAIL FROM:<b@example.org>", "250")
		c.do("DATA", "354") // to bob, from b
		c.do(".", "250")
		c.do("MAIL FROM:<a@example.org>", "250")
		for range 5000 {
			c.do("RCPT TO:<nobody@example.org>", "550")
		}
		for range 50 {
			b.hello()
		}
	})
	t.Run("ours, nested MAIL", func(t *testing.T) {
		f := overTCP(t, nil)
		c := f.hello()
		c.begin(f.returnPath())
		c.do("MAIL FROM:<b@example.org>", "503 5.5.1")
		c.do("RSET", "250")
		c.do("MAIL FROM:<b@example.org>", "250")
		c.do("DATA", "554 5.5.1") // nobody is left over
	})
	t.Run("ours, refused recipients", func(t *testing.T) {
		f := overTCP(t, func(o *Options) { o.MaxRefusedRecipients = 30 })
		c := f.hello()
		c.begin()
		for range 31 {
			c.do("RCPT TO:<nobody@bounce.example.com>", "550 5.1.1")
		}
		c.want("421 4.7.0 Too many errors")
		c.wantEnd()
	})
	t.Run("ours, errors", func(t *testing.T) {
		f := overTCP(t, func(o *Options) { o.MaxErrors = 10 })
		c := f.hello()
		for range 11 {
			c.do("FOO bar", "500 5.5.2")
		}
		c.want("421 4.7.0 Too many errors")
		c.wantEnd()
	})
	t.Run("ours, idle talk", func(t *testing.T) {
		f := overTCP(t, nil)
		c := f.hello()
		go func() { _, _ = io.WriteString(c, strings.Repeat("NOOP\r\n", maxCommands+10)) }()
		for range maxCommands {
			c.want("250")
		}
		c.want("421 4.7.0 Too many commands")
		c.wantEnd()
	})
	t.Run("ours, many mails", func(t *testing.T) {
		f := overTCP(t, nil)
		c := f.hello()
		const mails = maxCommands/3 + 10
		mail := "MAIL FROM:<>\r\nRCPT TO:<" + f.returnPath() + ">\r\nBDAT 0 LAST\r\n"
		go func() { _, _ = io.WriteString(c, strings.Repeat(mail, mails)) }()
		for range 3 * mails {
			c.want("250")
		}
	})
	t.Run("ours, connections", func(t *testing.T) {
		f := overTCP(t, func(o *Options) { o.MaxConnections, o.MaxConnectionsPerClient = 5, 5 })
		var open []*client
		for range 5 {
			open = append(open, f.hello())
		}
		c := f.dial()
		c.want("421 4.7.0 Too many connections")
		c.wantEnd()
		open[0].do("QUIT", "221")
		open[0].wantEnd()
		eventually(t, func() bool { return f.gate.count() < 5 })
		f.hello()
	})
	t.Run("ours, connections of one client", func(t *testing.T) {
		f := overTCP(t, func(o *Options) { o.MaxConnections, o.MaxConnectionsPerClient = 5, 2 })
		first := f.hello()
		f.hello()
		c := f.dial()
		c.want("421 4.7.0 Too many connections")
		c.wantEnd()
		first.do("QUIT", "221")
		first.wantEnd()
		eventually(t, func() bool { return f.gate.count() < 2 })
		f.hello().do("QUIT", "221")
		_ = f.stop()
		if n := len(f.gate.clients); n > 0 {
			t.Errorf("%d clients are remembered after all have gone", n)
		}
	})
	t.Run("ours, mails on one connection", func(t *testing.T) {
		f := overTCP(t, func(o *Options) { o.MaxMessagesPerConnection = 2 })
		c := f.hello()
		c.deliver("x", f.returnPath())
		c.deliver("x", f.returnPath())
		c.do("MAIL FROM:<>", "421 4.7.0 Too many mails")
		c.wantEnd()
	})
	t.Run("ours, recipients of one mail", func(t *testing.T) {
		f := overTCP(t, nil)
		c := f.hello()
		c.begin()
		for i := range f.options.MaxRecipients {
			key := messageKey()
			key[15] = byte(i)
			c.do("RCPT TO:<"+string(f.keys.SealAddress([]byte("b-"), ref.ReturnPath, key))+"@"+bounceDomain+">", "250")
		}
		c.do("RCPT TO:<"+feedbackAddr+">", "452 4.5.3")
		c.do("DATA", "354")
		c.do(".", "250")
	})
}

// Trap 9: addresses in UTF-8 without SMTPUTF8, and long ones.
func TestTrapAddresses(t *testing.T) {
	utf8Addr, longLocal := "bücher@example.org", strings.Repeat("x", 65)+"@example.org"
	t.Run("bare", func(t *testing.T) {
		b := bare(t, loopback(t), func(s *smtp.Server) { s.EnableSMTPUTF8 = true }, nil)
		c := b.hello()
		c.do("MAIL FROM:<"+utf8Addr+">", "250")
		c.do("RCPT TO:<"+utf8Addr+">", "250")
		c.do("RCPT TO:<"+longLocal+">", "250")
	})
	t.Run("ours", func(t *testing.T) {
		f := overTCP(t, func(o *Options) { o.FeedbackAddresses = []string{"bücher@bounce.example.com"} })
		c := f.hello()
		c.do("MAIL FROM:<"+utf8Addr+">", "553 5.6.7")
		c.do("MAIL FROM:<"+longLocal+">", "501 5.1.7")
		c.do("MAIL FROM:<"+longLocal[1:]+">", "250")
		c.do("RCPT TO:<bücher@bounce.example.com>", "553 5.6.7")
		c.do("RCPT TO:<"+longLocal+">", "501 5.1.3")
		c.do("RCPT TO:<"+longLocal[1:]+">", "550 5.1.1")
		c.do("RCPT TO:<x@"+strings.Repeat("y", 256)+">", "501 5.1.3")
		c.do("RSET", "250")
		c.do("MAIL FROM:<"+utf8Addr+"> SMTPUTF8", "250")
		c.do("RCPT TO:<bücher@bounce.example.com>", "250")
		c.do("RCPT TO:<b\xfccher@bounce.example.com>", "500") // ISO 8859-1
	})
}

// Trap 10: a chunk with bad arguments becomes commands; and idle sessions outlive Shutdown.
func TestTrapChunkArguments(t *testing.T) {
	t.Run("bare", func(t *testing.T) {
		c := bare(t, loopback(t), nil, nil).hello()
		c.do("MAIL FROM:<>", "250")
		c.do("RCPT TO:<bob@example.org>", "250")
		c.do("BDAT 6 FIRST", "501")
		c.do("NOOP", "250") // was in the chunk
	})
	t.Run("ours", func(t *testing.T) {
		f := overTCP(t, nil)
		c := f.hello()
		c.do("BDAT 6\r\nNOOP", "503 5.5.1") // out of order, and the chunk is gone
		c.do("BDAT 6 FIRST\r\nNOOP", "501 5.5.4")
		c.begin("postmaster@" + bounceDomain)
		c.send("BDAT 4\r\n1234")
		c.want("250 2.0.0 4 octets")
		c.do("BDAT 6 FIRST\r\nNOOP", "501 5.5.4")
		c.send("BDAT 4 LAST\r\n5678")
		c.want("503 5.5.1") // there is a hole before it
		c.begin("postmaster@" + bounceDomain)
		c.do("BDAT 2 last now\r\n", "501")
		c.begin("postmaster@" + bounceDomain)
		c.do("BDAT 4x LAST", "501 5.5.4") // nobody knows where it ends
		c.wantEnd()
		if mails := kept(f); len(mails) > 0 {
			t.Errorf("kept %q", mails)
		}
	})
}

func TestTrapShutdown(t *testing.T) {
	t.Run("bare", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := bare(t, newPipeListener(), nil, nil)
			c := b.hello()
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			if err := b.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Shutdown: %v", err)
			}
			c.do("NOOP", "250")
			c.Close()
		})
	})
	t.Run("ours", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := overPipes(t, nil)
			idle, half := f.hello(), f.hello()
			half.send("NO") // half a command is no transaction
			chunk := f.hello()
			chunk.send("BDAT 10\r\n12") // nor is a chunk of no mail
			busy, stuck := f.hello(), f.hello()
			busy.begin(f.returnPath())
			stuck.begin(f.returnPath())
			stopped := make(chan time.Duration)
			began := time.Now()
			go func() {
				_ = f.stop()
				stopped <- time.Since(began)
			}()
			idle.want("421 4.3.2")
			idle.wantEnd()
			half.want("421 4.3.2")
			half.wantEnd()
			chunk.want("421 4.3.2")
			chunk.wantEnd()
			busy.do("DATA", "354")
			busy.send("x\r\n")
			time.Sleep(5 * time.Second)
			busy.do(".\r\nMAIL FROM:<>", "250 2.0.0 Ok")
			busy.want("421 4.3.2") // nothing new is begun
			busy.wantEnd()
			stuck.wantEnd() // without a word: it has not said anything for the whole bound
			if took := <-stopped; took != f.options.ShutdownTimeout {
				t.Errorf("stopped after %v, want %v", took, f.options.ShutdownTimeout)
			}
		})
	})
}

// The library writes each line of each reply on its own.
func TestTrapManyWrites(t *testing.T) {
	const commands = "NOOP\r\nRSET\r\nNOOP\r\nRSET\r\nVRFY x\r\nNOOP\r\nRSET\r\nNOOP\r\n"
	talk := func(c *client, writes *atomic.Int64) int64 {
		before := writes.Load()
		c.send(commands)
		for range strings.Count(commands, "\r\n") {
			c.want("25")
		}
		return writes.Load() - before
	}
	t.Run("bare", func(t *testing.T) {
		l := &countingListener{Listener: loopback(t)}
		if n := talk(bare(t, l, nil, nil).hello(), &l.writes); n != 8 {
			t.Errorf("%d writes", n)
		}
	})
	t.Run("ours", func(t *testing.T) {
		f := newFixture(t, nil)
		l := &countingListener{Listener: loopback(t)}
		if err := f.prepare(l); err != nil {
			t.Fatal(err)
		}
		if n := talk(f.run().hello(), &l.writes); n != 1 {
			t.Errorf("%d writes for one pipelined group, want 1", n)
		}
	})
}

type countingListener struct {
	net.Listener
	writes atomic.Int64
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return countingConn{c, &l.writes}, err
}

type countingConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c countingConn) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}
