package wire

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"carom/bench/targets"
)

func testMessages(t *testing.T, batch int) *targets.Registrations {
	t.Helper()
	o := targets.DefaultRegistrations()
	o.Batch, o.Run = batch, "run1"
	r, err := targets.NewRegistrations(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func testAPI(t *testing.T, url string, batch int) *API {
	t.Helper()
	c, err := NewAPI(APIOptions{URL: url, Token: "t0ken", Timeout: patience}, testMessages(t, batch))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// registrar answers lines while they come, as the API does, with much more than they say.
type registrar struct {
	t  *testing.T
	mu sync.Mutex
	ok map[string]bool // messages
}

func (g *registrar) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v1/messages" || r.Header.Get("Authorization") != "Bearer t0ken" {
		http.Error(w, `{"status":401,"title":"Unauthorized","detail":"4711"}`, http.StatusUnauthorized)
		return
	}
	if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
		g.t.Error(err)
	}
	lines := bufio.NewScanner(r.Body)
	for lines.Scan() {
		var m struct{ Account, Sender, Contact, Message, Recipient string }
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil || m.Sender == "" || m.Account != "bench" || !strings.Contains(m.Recipient, "@") {
			g.t.Errorf("%s: %v", lines.Text(), err)
		}
		g.mu.Lock()
		if g.ok[m.Message] {
			g.t.Errorf("%s comes twice", m.Message)
		}
		g.ok[m.Message] = true
		g.mu.Unlock()
		fmt.Fprintf(w, "{\"message\":%q,\"send\":true,\"open_url\":%q}\n", m.Message, strings.Repeat("x", 3000))
	}
}

// Every message is registered once and answered, in requests of all sizes, over connections that are kept.
func TestAPI(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, batch := range []int{1, 2, 2000} { // the last fills every buffer on the way
			g := &registrar{t: t, ok: map[string]bool{}}
			s := httptest.NewUnstartedServer(g)
			connections := 0
			s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
				if state == http.StateNew {
					connections++
				}
			}
			if secure {
				s.StartTLS()
			} else {
				s.Start()
			}
			c := testAPI(t, s.URL, batch)
			if secure {
				c.tls = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
				c.tls.ServerName = "example.com" // as httptest's certificate says
			}
			for range 2 {
				if a := do(c); a.Err != nil || a.Code != 200 || a.Items != batch || a.Kind != "messages" || a.Bytes < 3000*batch {
					t.Errorf("batch of %d: %+v", batch, a)
				}
			}
			_ = c.Close()
			s.Close()
			if len(g.ok) != 2*batch || connections != 1 {
				t.Errorf("batch of %d: %d messages over %d connections", batch, len(g.ok), connections)
			}
		}
	}
}

// What is no right answer is told, and the next request is made all the same.
func TestAPIBadServers(t *testing.T) {
	head := "HTTP/1.1 200 OK\r\n"
	good := `{"message":"x","send":true}`
	for name, tt := range map[string]struct{ says, wants string }{
		"right":          {head + "Content-Length: 27\r\n\r\n" + good, ""},
		"until it ends":  {head + "\r\n" + good, ""},
		"chunked":        {head + "Transfer-Encoding: chunked\r\n\r\n1b\r\n" + good + "\r\n0\r\n\r\n", ""},
		"old":            {"HTTP/1.0 200 OK\r\nContent-Length: 27\r\n\r\n" + good, ""},
		"continues":      {"HTTP/1.1 100 Continue\r\n\r\n" + head + "Content-Length: 27\r\n\r\n" + good, ""},
		"not sent":       {head + "Content-Length: 39\r\n\r\n" + `{"message":"x","send":false,"why":"no"}`, `a message was answered by "send":false`},
		"a problem":      {head + "Content-Length: 36\r\n\r\n" + `{"status":422,"title":"Wrong field"}`, "a message was answered by 422 Wrong field"},
		"nothing":        {head + "Content-Length: 0\r\n\r\n", "0 of 1 messages were answered"},
		"too many":       {head + "Content-Length: 56\r\n\r\n" + good + "\n" + good + "\n", "2 of 1 messages"},
		"refused":        {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 42\r\n\r\n" + `{"status":503,"title":"Full","detail":"x"}`, "answered 503: 503 Full"},
		"redirected":     {"HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n", "answered 301"},
		"cut short":      {head + "Content-Length: 1000\r\n\r\n" + good, "the answer was cut short"},
		"chunk cut":      {head + "Transfer-Encoding: chunked\r\n\r\n1b\r\n" + good[:10], "the answer was cut short"},
		"trailer cut":    {head + "Transfer-Encoding: chunked\r\n\r\n1b\r\n" + good + "\r\n0\r\n", "the answer was cut short"},
		"head cut":       {head, "the answer was cut short"},
		"no HTTP":        {"220 mx.example.net ESMTP\r\n", "no HTTP answer: 220"},
		"bad length":     {head + "Content-Length: -1\r\n\r\n", "its length is no number"},
		"endless head":   {head + strings.Repeat("X: y\r\n", 2*maxHeaders), "header lines"},
		"endless header": {head + "X: " + strings.Repeat("y", 2*apiRead), "a line without end"},
		"endless line":   {head + "\r\n" + strings.Repeat("y", 3*answerLine), "a line without end"},
		"closes":         {"", "the server ended the connection: EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					r := bufio.NewReader(conn)
					if q, err := http.ReadRequest(r); err == nil {
						_, _ = io.Copy(io.Discard, q.Body)
					}
					_, _ = io.WriteString(conn, tt.says)
					_ = conn.Close()
				}
			}()
			defer func() { _ = l.Close(); <-done }()
			c := testAPI(t, "http://"+l.Addr().String(), 1)
			for range 2 {
				switch a := do(c); {
				case tt.wants == "" && (a.Err != nil || a.Items != 1 || a.Code != 200):
					t.Errorf("%+v", a)
				case tt.wants != "" && (a.Err == nil || !strings.Contains(a.Err.Error(), tt.wants)):
					t.Errorf("%+v, want %q", a, tt.wants)
				}
			}
		})
	}
}

// A server that neither reads nor answers is waited for no longer than the timeout, and Close ends that.
func TestAPIStalls(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := testAPI(t, "http://"+l.Addr().String(), 20_000) // more than the kernel takes
	c.o.Timeout = 50 * time.Millisecond
	if a := do(c); !errors.Is(a.Err, os.ErrDeadlineExceeded) {
		t.Errorf("%+v", a)
	}
	c.o.Timeout = patience
	answer := make(chan error)
	go func() { answer <- do(c).Err }()
	for {
		c.mu.Lock()
		connected := c.raw != nil
		c.mu.Unlock()
		if connected {
			break
		}
		<-time.After(time.Millisecond)
	}
	_ = c.Close()
	if err := <-answer; err == nil {
		t.Error("an answer from nobody")
	}
	if a := do(c); !errors.Is(a.Err, net.ErrClosed) {
		t.Errorf("%+v", a)
	}
}

func TestAPIOptions(t *testing.T) {
	for _, bad := range []string{"", "127.0.0.1:8081", "ftp://x", "http://", "http://x?y", "http://u:p@x"} {
		if _, err := NewAPI(APIOptions{URL: bad, Timeout: time.Second}, testMessages(t, 1)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	if _, err := NewAPI(APIOptions{URL: "http://x", Token: "a\r\nb", Timeout: time.Second}, testMessages(t, 1)); err == nil {
		t.Error("a token with a line end is taken")
	}
	c, err := NewAPI(APIOptions{URL: "https://x/base/", Timeout: time.Second}, testMessages(t, 2))
	if err != nil || c.host != "x:443" || !strings.HasPrefix(c.head, "POST /base/v1/messages HTTP/1.1\r\nHost: x\r\n") || !strings.Contains(c.head, "ndjson") {
		t.Errorf("%v, %q, %q", err, c.host, c.head)
	}
}
