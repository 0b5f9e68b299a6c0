package wire

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"carom/bench/load"
	"carom/bench/targets"
)

func do(c load.Client) load.Answer { return c.Do(context.Background()) }

// oneMail is the same mail over and over.
type oneMail struct{ targets.Mail }

func (o *oneMail) Next(context.Context) (*targets.Mail, error) { return &o.Mail, nil }

func testMail(recipients int) *oneMail {
	m := targets.NewMail([]byte("Subject: x\r\n\r\n.dot\r\n"))
	m.Kind, m.Facts = "bounce", 1
	for range recipients {
		m.To = append(m.To, []byte("bob@example.com"))
	}
	return &oneMail{m}
}

// fake is a server that says what its script says. A key of the script is what a command begins with, greeting, or end of
// mail; a value is the replies to the first, second, ... of that kind, and the last is repeated. "stall" says nothing more,
// "close" ends the connection.
type fake struct {
	net.Listener
	script map[string][]string

	mu    sync.Mutex
	said  map[string]int
	heard []string // commands
	mails []string
	conns sync.WaitGroup
	open  []net.Conn
}

func startFake(t *testing.T, script map[string][]string) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{Listener: l, script: script, said: map[string]int{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.open = append(f.open, conn)
			f.mu.Unlock()
			f.conns.Go(func() { f.serve(conn); _ = conn.Close() })
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
		f.mu.Lock()
		for _, c := range f.open {
			_ = c.Close()
		}
		f.mu.Unlock()
		f.conns.Wait()
	})
	return f
}

var usual = map[string]string{
	"greeting": "220 mx.example.net", "EHLO": "250-mx.example.net\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 SIZE 1000", "HELO": "250 mx.example.net",
	"MAIL": "250 2.1.0 Ok", "RCPT": "250 2.1.5 Ok", "DATA": "354 Go on", "BDAT": "250 2.0.0 Ok", "end of mail": "250 2.0.0 Ok", "RSET": "250 2.0.0 Ok",
	"QUIT": "221 Bye",
}

// say returns the reply to a step.
func (f *fake) say(step string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.said[step]
	f.said[step]++
	if lines := f.script[step]; len(lines) > 0 {
		return lines[min(n, len(lines)-1)]
	}
	if text, ok := usual[step]; ok {
		return text
	}
	return "500 5.5.2 What?"
}

func (f *fake) serve(conn net.Conn) {
	r := bufio.NewReader(conn)
	answer := func(step string) (text string, goes bool) {
		switch text = f.say(step); text {
		case "stall":
			_, _ = io.Copy(io.Discard, r)
			return text, false
		case "close":
			return text, false
		}
		_, err := io.WriteString(conn, text+"\r\n")
		return text, err == nil && !strings.HasPrefix(text, "421") && step != "QUIT"
	}
	if _, goes := answer("greeting"); !goes {
		return
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		step, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		f.mu.Lock()
		f.heard = append(f.heard, step)
		f.mu.Unlock()
		if step == "BDAT" {
			size := 0
			for _, c := range strings.TrimSuffix(rest, " LAST") {
				size = 10*size + int(c-'0')
			}
			mail := make([]byte, size)
			if _, err := io.ReadFull(r, mail); err != nil {
				return
			}
			f.keep(string(mail))
		}
		text, goes := answer(step)
		if !goes {
			return
		}
		if step == "DATA" && strings.HasPrefix(text, "354") {
			var mail strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				mail.WriteString(strings.TrimPrefix(line, "."))
			}
			f.keep(mail.String())
			if _, goes := answer("end of mail"); !goes {
				return
			}
		}
	}
}

func (f *fake) keep(mail string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mails = append(f.mails, mail)
}

func (f *fake) commands() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.heard, " ")
}

// ways are how a client may send to a fake.
var ways = map[string]func(*SMTPOptions){
	"grouped, by DATA": func(*SMTPOptions) {},
	"grouped, by BDAT": func(o *SMTPOptions) { o.Chunking = true },
	"single, by DATA":  func(o *SMTPOptions) { o.Pipelining = false },
	"single, by BDAT":  func(o *SMTPOptions) { o.Pipelining, o.Chunking = false, true },
	"once":             func(o *SMTPOptions) { o.MailsPerConnection = 1 },
}

func (f *fake) client(t *testing.T, mails targets.Mails, change func(*SMTPOptions)) *SMTP {
	t.Helper()
	o := SMTPDefault()
	o.Address, o.Timeout = f.Addr().String(), patience
	if change != nil {
		change(&o)
	}
	c, err := NewSMTP(o, mails, new(SMTPCounts))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Every way delivers the mail as it is, and after a refusal the next.
func TestSMTPRefusals(t *testing.T) {
	refusal := "550 5.7.1 Not <bob@example.com>, id=4711"
	for name, way := range ways {
		for step, wants := range map[string]string{
			"greeting": "greeting: 550 5.7.1 Not *", "EHLO": "EHLO: 502 No", "MAIL": "MAIL FROM: 550 5.7.1 Not *", "RCPT": "RCPT TO: 550 5.7.1 Not *",
			"DATA": "DATA: 550 5.7.1 Not *", "BDAT": "end of mail: 550 5.7.1 Not *", "end of mail": "end of mail: 550 5.7.1 Not *",
		} {
			chunk := strings.Contains(name, "BDAT")
			if chunk && (step == "DATA" || step == "end of mail") || !chunk && step == "BDAT" {
				continue
			}
			script := map[string][]string{step: {refusal, usual[step]}}
			if step == "EHLO" {
				script = map[string][]string{"EHLO": {"502 No", usual["EHLO"]}, "HELO": {"502 No"}}
			}
			if step == "MAIL" { // a right server
				script["RCPT"] = []string{"503 5.5.1 MAIL first", usual["RCPT"]}
				script["DATA"], script["BDAT"] = []string{"503 5.5.1 MAIL first", usual["DATA"]}, []string{"503 5.5.1 MAIL first", usual["BDAT"]}
				if strings.HasPrefix(name, "single") {
					delete(script, "RCPT")
					delete(script, "DATA")
					delete(script, "BDAT")
				}
			}
			t.Run(name+", "+step, func(t *testing.T) {
				f := startFake(t, script)
				c := f.client(t, testMail(1), way)
				if a := do(c); a.Err == nil || a.Err.Error() != wants || a.Code < 500 || a.Items != 0 && step != "RCPT" {
					t.Errorf("%+v, want %q", a, wants)
				}
				if a := do(c); a.Err != nil || a.Code != 250 || a.Items != 1 || a.Kind != "bounce" {
					t.Errorf("%+v after the commands %s", a, f.commands())
				}
				if last := f.mails[len(f.mails)-1]; last != "Subject: x\r\n\r\n.dot\r\n" {
					t.Errorf("the mail came as %q", last)
				}
			})
		}
	}
}

// Of recipients some may be refused. The mail goes to the others, and is no success.
func TestSMTPSomeRecipients(t *testing.T) {
	for name, way := range ways {
		f := startFake(t, map[string][]string{"RCPT": {"250 Ok", "450 4.2.1 Later", "251 Will forward"}})
		c := f.client(t, testMail(3), way)
		if a := do(c); a.Code != 450 || a.Items != 2 || a.Err == nil || a.Err.Error() != "RCPT TO: 450 4.2.1 Later" {
			t.Errorf("%s: %+v", name, a)
		}
		if a := do(c); a.Err != nil || a.Items != 3 {
			t.Errorf("%s: %+v after %s", name, a, f.commands())
		}
	}
}

// What is wrong with a server is told, and the next mail goes over a new connection.
func TestSMTPBadServers(t *testing.T) {
	for name, tt := range map[string]struct {
		step, says, wants string
	}{
		"closes at once":          {"greeting", "close", "greeting: EOF"},
		"closes at EHLO":          {"EHLO", "close", "EHLO: EOF"},
		"closes at MAIL":          {"MAIL", "close", "the server closed the connection in the middle of a mail"},
		"closes at its end":       {"end of mail", "close", "the server closed the connection in the middle of a mail"},
		"busy":                    {"greeting", "421 4.3.2 Busy", "greeting: 421 4.3.2 Busy"},
		"busy in the middle":      {"RCPT", "421 4.3.2 Busy", "RCPT TO: 421 4.3.2 Busy"},
		"no code":                 {"greeting", "hello there", "no SMTP reply: hello there"},
		"HTTP":                    {"greeting", "HTTP/1.1 400 Bad Request", "no SMTP reply: HTTP/1.1 * Bad Request"},
		"empty line":              {"MAIL", "", "no SMTP reply"},
		"no separator":            {"MAIL", "250_Ok", "no SMTP reply: 250_Ok"},
		"high code":               {"MAIL", "650 Ok", "no SMTP reply: 650 Ok"},
		"two codes":               {"MAIL", "250-Ok\r\n251 Ok", "no SMTP reply: 251 Ok"},
		"bare LF":                 {"MAIL", "250 Ok\n250 Ok", "no SMTP reply: 250 Ok"},
		"endless line":            {"MAIL", "250 " + strings.Repeat("x", 3*replyBuffer), "no SMTP reply"},
		"endless reply":           {"EHLO", strings.Repeat("250-x\r\n", maxReplyLines+1) + "250 x", "no SMTP reply: more than 100 lines"},
		"354 to a mail":           {"end of mail", "354 Go on", "no SMTP reply: a mail answered by 354"},
		"250 to DATA":             {"DATA", "250 Ok", "no SMTP reply: DATA answered by 250"},
		"another success":         {"end of mail", "251 Ok", "success that is not 250: 251"},
		"too many replies":        {"end of mail", "250 Ok\r\n250 Ok", "no SMTP reply: more replies than commands"},
		"no event":                {"end of mail", "250 2.0.0 Ok 1234 events=0", "events=0, not 1"},
		"two events":              {"end of mail", "250 2.0.0 Ok 1234 events=2", "events=2, not 1"},
		"binary":                  {"greeting", "\x16\x03\x01\x00\xff", "no SMTP reply: "},
		"RSET refused afterwards": {"end of mail", "450 4.3.0 Later", "end of mail: 450 4.3.0 Later"},
	} {
		t.Run(name, func(t *testing.T) {
			f := startFake(t, map[string][]string{tt.step: {tt.says, usual[tt.step]}})
			c := f.client(t, testMail(1), nil)
			if a := do(c); a.Err == nil || !strings.Contains(a.Err.Error(), tt.wants) {
				t.Errorf("%+v, want %q", a, tt.wants)
			}
			if a := do(c); a.Err != nil || a.Code != 250 || a.Items != 1 {
				t.Errorf("then %+v", a)
			}
		})
	}
}

// A server that says nothing is waited for no longer than the context lasts.
func TestSMTPStalls(t *testing.T) {
	for _, step := range []string{"greeting", "EHLO", "MAIL", "RCPT", "DATA", "end of mail"} {
		f := startFake(t, map[string][]string{step: {"stall", usual[step]}})
		c := f.client(t, testMail(1), nil)
		c.o.Timeout = 50 * time.Millisecond
		if a := do(c); !errors.Is(a.Err, os.ErrDeadlineExceeded) || !strings.Contains(a.Err.Error(), "no answer in time") {
			t.Errorf("%s: %+v", step, a)
		}
		c.o.Timeout = patience
		if a := do(c); a.Err != nil {
			t.Errorf("%s: then %+v", step, a)
		}
	}
}

// A server may offer nothing, know no EHLO, and offer again after the change to TLS; what is said before counts no more.
func TestSMTPOffers(t *testing.T) {
	f := startFake(t, map[string][]string{"EHLO": {"502 5.5.1 What?"}})
	c := f.client(t, testMail(2), ways["grouped, by BDAT"])
	if a := do(c); a.Err != nil || a.Items != 2 {
		t.Errorf("%+v", a)
	}
	if got := f.commands(); got != "EHLO HELO MAIL RCPT RCPT DATA" {
		t.Errorf("commands: %s", got)
	}
	offer, err := f.client(t, testMail(1), nil).Probe(t.Context())
	if err != nil || offer != (Offer{}) {
		t.Errorf("%+v, %v", offer, err)
	}

	f = startFake(t, map[string][]string{"EHLO": {"250-mx.example.net at your service\r\n250-pipelining\r\n250-SIZE\r\n250-8bitmime\r\n250-X-OTHER y\r\n250 CHUNKING"}})
	offer, err = f.client(t, testMail(1), nil).Probe(t.Context())
	if want := (Offer{Name: "mx.example.net", Pipelining: true, Chunking: true, EightBit: true, Size: true, Extended: true}); err != nil || offer != want {
		t.Errorf("%+v, %v", offer, err)
	}
	secure := func(o *SMTPOptions) { o.StartTLS = true }
	if a := do(f.client(t, testMail(1), secure)); !errors.Is(a.Err, ErrNotOffered) {
		t.Errorf("%+v", a)
	}

	// Somebody on the way says more in the clear.
	f = startFake(t, map[string][]string{"EHLO": {"250-mx.example.net\r\n250 STARTTLS"}, "STARTTLS": {"220 Go\r\n250 injected", "454 4.7.0 Not now"}})
	c = f.client(t, testMail(1), secure)
	if a := do(c); !errors.Is(a.Err, ErrGarbage) && !strings.Contains(a.Err.Error(), "STARTTLS") {
		t.Errorf("%+v", a)
	}
	if a := do(c); a.Code != 454 {
		t.Errorf("%+v", a)
	}
}

// A connection that has ended between two mails costs none.
func TestSMTPEndedBetween(t *testing.T) {
	f := startFake(t, map[string][]string{"end of mail": {usual["end of mail"]}, "MAIL": {"250 Ok", "421 4.4.2 Idle", "250 Ok", "close", "250 Ok"}})
	c := f.client(t, testMail(1), nil)
	for range 4 {
		if a := do(c); a.Err != nil {
			t.Errorf("%+v", a)
		}
	}
	if n, e := c.counts.Connections.Load(), c.counts.Ended.Load(); n != 3 || e != 2 {
		t.Errorf("%d connections, %d ended", n, e)
	}
}

func TestSMTPNobodyThere(t *testing.T) {
	f := startFake(t, nil)
	c := f.client(t, testMail(1), nil)
	_ = f.Close()
	if a := do(c); a.Err == nil || a.Err.Error() != "connect: connect: connection refused" {
		t.Errorf("%+v", a)
	}
}

func TestStuffed(t *testing.T) {
	for mail, want := range map[string]string{
		"": "\r\n", "a": "a\r\n", "a\r\n": "a\r\n", ".": "..\r\n", ".\r\n.\r\n": "..\r\n..\r\n", "a\r\n.b\r\n..c": "a\r\n..b\r\n...c\r\n",
		"a\n.b\r.c\r\n": "a\n.b\r.c\r\n", "\r\n\r\n.": "\r\n\r\n..\r\n",
	} {
		if got := string(appendStuffed(nil, []byte(mail))); got != want {
			t.Errorf("%q: %q, want %q", mail, got, want)
		}
	}
}

// Close ends the waiting for an answer, and nothing is sent after it.
func TestSMTPClose(t *testing.T) {
	f := startFake(t, map[string][]string{"end of mail": {"stall"}})
	c := f.client(t, testMail(1), nil)
	answer := make(chan load.Answer)
	go func() { answer <- do(c) }()
	for { // until the mail waits for its answer
		f.mu.Lock()
		n := len(f.mails)
		f.mu.Unlock()
		if n == 1 {
			break
		}
		<-time.After(time.Millisecond)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if a := <-answer; a.Err == nil {
		t.Errorf("%+v", a)
	}
	if a := do(c); !errors.Is(a.Err, net.ErrClosed) {
		t.Errorf("%+v", a)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// canned is a connection on which the same replies come to every write.
type canned struct {
	net.Conn
	replies, left string
}

func (c *canned) Write(b []byte) (int, error) { c.left = c.replies; return len(b), nil }
func (c *canned) SetDeadline(time.Time) error { return nil }
func (c *canned) Close() error                { return nil }

func (c *canned) Read(b []byte) (int, error) {
	if c.left == "" {
		return 0, io.EOF
	}
	n := copy(b, c.left)
	c.left = c.left[n:]
	return n, nil
}

// A mail that is taken costs no memory.
func TestSMTPAllocs(t *testing.T) {
	o := SMTPDefault()
	o.Address, o.Chunking = "127.0.0.1:25", true
	c, err := NewSMTP(o, testMail(2), new(SMTPCounts))
	if err != nil {
		t.Fatal(err)
	}
	conn := &canned{replies: "250 Ok\r\n250 Ok\r\n250 Ok\r\n250 2.0.0 Ok 0123456789 events=2\r\n"}
	if err := c.use(conn); err != nil {
		t.Fatal(err)
	}
	c.replies.reset(conn)
	c.offers = Offer{Pipelining: true, Chunking: true, Size: true}
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		if a := c.Do(ctx); a.Err != nil || a.Items != 2 {
			t.Fatalf("%+v", a)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzReply(f *testing.F) {
	f.Add([]byte("250-a\r\n250 b\r\n"))
	f.Add([]byte("220 x\r\n\r\n"))
	f.Fuzz(func(t *testing.T, said []byte) {
		r := replyReader{buf: make([]byte, replyBuffer)}
		r.reset(strings.NewReader(string(said)))
		for {
			reply, err := r.next(nil)
			if err != nil {
				break
			}
			if reply.code < 200 || reply.code > 599 || len(reply.text) > maxReplyLine {
				t.Fatalf("%+v", reply)
			}
			if text := words(reply.text); len(text) > maxWords {
				t.Fatalf("%q", text)
			}
		}
		if r.total > len(said) {
			t.Fatal("more was read than there is")
		}
	})
}
