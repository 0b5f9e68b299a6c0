package inbound

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

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

// slowly pauses in the middle of a write, as often as pauses says.
type slowly struct {
	net.Conn
	pause  time.Duration
	pauses *int
}

func (s slowly) Write(b []byte) (int, error) {
	half := len(b) / 2
	if *s.pauses == 0 || half == 0 {
		return s.Conn.Write(b)
	}
	*s.pauses--
	n, err := s.Conn.Write(b[:half])
	if err != nil {
		return n, err
	}
	time.Sleep(s.pause)
	m, err := s.Conn.Write(b[half:])
	return n + m, err
}

// A deadline of the transport that was set for an earlier command passes in the middle of a later one, which has its
// time all the same: in the clear, and in the middle of a TLS record.
func TestDeadlineOfAnEarlierCommand(t *testing.T) {
	for _, secure := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f, pool := withCertificate(t, overPipes)
			pauses := 0
			c := newClient(t, slowly{f.pipes.dial(), f.options.CommandTimeout * 7 / 10, &pauses})
			c.want("220")
			c.do("EHLO client.example.net", "250")
			if secure {
				var err error
				if c, err = c.startTLS(pool); err != nil {
					t.Fatal(err)
				}
				c.do("EHLO client.example.net", "250")
			}
			for range 5 {
				time.Sleep(f.options.CommandTimeout / 3)
				c.do("NOOP", "250")
			}
			pauses = 1
			c.do("NOOP", "250")
			began := time.Now()
			c.want("421 4.4.2")
			if took := time.Since(began); took != f.options.CommandTimeout {
				t.Errorf("secure %v: idle for %v", secure, took)
			}
		})
	}
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
