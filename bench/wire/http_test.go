package wire

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carom/bench/load"
	"carom/bench/targets"
)

// patient is a timeout that no test waits for.
const patient = time.Minute

// scripted serves every connection with a function, and returns its URL.
func scripted(t *testing.T, serve func(conn net.Conn, requests *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn, bufio.NewReader(conn))
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// oneHit asks for the same again and again.
type oneHit targets.Hit

func (o *oneHit) Next(h *targets.Hit) { *h = targets.Hit(*o) }

func newHTTP(t *testing.T, o HTTPOptions, kind targets.HitKind) *HTTP {
	t.Helper()
	if o.Timeout == 0 {
		o.Timeout = patient
	}
	h, err := NewHTTP(t.Context(), o, &oneHit{Kind: kind, Path: []byte("/o/x.gif"), Client: 7})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

const pixelAnswer = "HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nContent-Length: 3\r\n\r\nGIF"

func TestHTTPAsksLikeABrowser(t *testing.T) {
	seen := make(chan *http.Request, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r
		w.Header().Set("Content-Type", "image/gif")
		_, _ = w.Write([]byte("GIF"))
	}))
	defer server.Close()
	for _, o := range []HTTPOptions{{Reuse: true}, {Reuse: true, Head: true}, {ForwardedFor: true}} {
		o.Base = server.URL
		h := newHTTP(t, o, targets.Open)
		for range 3 {
			if a := h.Do(t.Context()); a.Err != nil || a.Code != 200 || a.Kind != "open" || a.Items != 1 || a.Bytes < 100 {
				t.Fatalf("%+v: %+v", o, a)
			}
			r := <-seen
			if r.RequestURI != "/o/x.gif" || r.Host != strings.TrimPrefix(server.URL, "http://") || r.UserAgent() != agents[7] {
				t.Errorf("%+v", r)
			}
			if (r.Method == "HEAD") != o.Head || r.Close == o.Reuse || strings.HasPrefix(r.Header.Get("X-Forwarded-For"), "198.1") != o.ForwardedFor {
				t.Errorf("%+v: %s, close %t, %s", o, r.Method, r.Close, r.Header)
			}
		}
	}
}

func TestHTTPReuse(t *testing.T) {
	for reuse, want := range map[bool]int64{true: 1, false: 5} {
		var connections atomic.Int64
		url := scripted(t, func(conn net.Conn, requests *bufio.Reader) {
			connections.Add(1)
			for {
				if _, err := http.ReadRequest(requests); err != nil {
					return
				}
				_, _ = io.WriteString(conn, pixelAnswer)
			}
		})
		h := newHTTP(t, HTTPOptions{Base: url, Reuse: reuse}, targets.Open)
		for range 5 {
			if a := h.Do(t.Context()); a.Err != nil {
				t.Fatal(a.Err)
			}
		}
		if n := connections.Load(); n != want {
			t.Errorf("reuse %t: %d connections, want %d", reuse, n, want)
		}
	}
}

func TestHTTPOverTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Redirect(w, &http.Request{Method: "HEAD"}, "https://example.com/", http.StatusFound)
	}))
	defer server.Close()
	for _, reuse := range []bool{true, false} {
		h := newHTTP(t, HTTPOptions{Base: server.URL, Reuse: reuse, Insecure: true}, targets.Click)
		for range 3 {
			if a := h.Do(t.Context()); a.Err != nil || a.Code != 302 || a.Kind != "click" {
				t.Fatalf("%+v", a)
			}
		}
	}
	if _, err := NewHTTP(t.Context(), HTTPOptions{Base: server.URL, Timeout: patient}, nil); err == nil {
		t.Error("a certificate of nobody is taken")
	}
}

func TestHTTPWrongAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		kind   targets.HitKind
		answer string
		err    string // nothing: it is right
	}{
		"no GIF":      {targets.Open, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n", "GIF"},
		"moved pixel": {targets.Open, "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "GIF"},
		"page":        {targets.Click, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "302"},
		"nowhere":     {targets.Click, "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", "nowhere"},
		"forever":     {targets.Click, "HTTP/1.1 301 Moved\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "302"},
		"missing":     {targets.Get, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404"},
		"down":        {targets.Open, "HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n", "503"},
		"found":       {targets.Get, "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", ""},
		"garbage":     {targets.Get, "220 mail.example.com ESMTP\r\n", "no HTTP"},
	} {
		url := scripted(t, func(conn net.Conn, requests *bufio.Reader) {
			if _, err := http.ReadRequest(requests); err == nil {
				_, _ = io.WriteString(conn, c.answer)
			}
		})
		a := newHTTP(t, HTTPOptions{Base: url, Reuse: true}, c.kind).Do(t.Context())
		if c.err == "" && (a.Err != nil || a.Items != 1) || c.err != "" && (a.Err == nil || !strings.Contains(a.Err.Error(), c.err) || a.Items != 0) {
			t.Errorf("%s: %+v: want an error with %q", name, a, c.err)
		}
	}
}

func TestHTTPServerThatCloses(t *testing.T) {
	url := scripted(t, func(_ net.Conn, requests *bufio.Reader) { _, _ = http.ReadRequest(requests) })
	h := newHTTP(t, HTTPOptions{Base: url, Reuse: true}, targets.Open)
	for range 3 { // each on a connection of its own
		if a := h.Do(t.Context()); !errors.Is(a.Err, errClosedEarly) || a.Code != 0 {
			t.Errorf("%+v", a)
		}
	}
}

func TestHTTPServerThatEndsIdleConnections(t *testing.T) {
	url := scripted(t, func(conn net.Conn, requests *bufio.Reader) {
		if _, err := http.ReadRequest(requests); err == nil {
			_, _ = io.WriteString(conn, pixelAnswer)
		}
	})
	h := newHTTP(t, HTTPOptions{Base: url, Reuse: true}, targets.Open)
	for range 3 {
		if a := h.Do(t.Context()); a.Err != nil {
			t.Fatal(a.Err)
		}
		for !h.line.hungUp() { // until the end is here
		}
		h.idle = time.Time{} // a long time ago
	}
}

func TestHTTPServerThatStalls(t *testing.T) {
	url := scripted(t, func(conn net.Conn, requests *bufio.Reader) {
		if r, err := http.ReadRequest(requests); err == nil && r.RequestURI != "" {
			_, _ = io.WriteString(conn, pixelAnswer[:20])
			_, _ = io.Copy(io.Discard, requests) // until the client goes
		}
	})
	h := newHTTP(t, HTTPOptions{Base: url, Reuse: true, Timeout: 50 * time.Millisecond}, targets.Open)
	for range 2 {
		if a := h.Do(t.Context()); !errors.Is(a.Err, os.ErrDeadlineExceeded) {
			t.Errorf("%+v", a)
		}
	}
	// Close ends the waiting of who would wait long.
	h = newHTTP(t, HTTPOptions{Base: url, Reuse: true}, targets.Open)
	got := make(chan load.Answer)
	go func() { got <- h.Do(t.Context()) }()
	h.Close()
	if a := <-got; a.Err == nil {
		t.Errorf("%+v", a)
	}
}

func TestHTTPSlowServer(t *testing.T) {
	const long = 100_000
	url := scripted(t, func(conn net.Conn, requests *bufio.Reader) {
		for {
			if _, err := http.ReadRequest(requests); err != nil {
				return
			}
			for i := range pixelAnswer { // each byte a write
				_, _ = io.WriteString(conn, pixelAnswer[i:i+1])
			}
			if _, err := http.ReadRequest(requests); err != nil {
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n"+strings.Repeat("x", long)+"\r\n0\r\n\r\n")
		}
	})
	h := newHTTP(t, HTTPOptions{Base: url, Reuse: true}, targets.Open)
	for i := range 20 {
		if a := h.Do(t.Context()); a.Err != nil || i%2 == 1 && a.Bytes < long {
			t.Fatalf("%+v", a)
		}
	}
}

func TestHTTPLongRequest(t *testing.T) {
	// More than a socket's buffer takes at once, before the server reads.
	path := "/" + strings.Repeat("x", 8<<20)
	url := scripted(t, func(conn net.Conn, requests *bufio.Reader) {
		for {
			line, err := requests.ReadString('\n')
			if err != nil {
				return
			}
			if len(line) == 2 {
				_, _ = io.WriteString(conn, pixelAnswer)
			}
		}
	})
	h, err := NewHTTP(t.Context(), HTTPOptions{Base: url, Reuse: true, Timeout: patient}, &oneHit{Path: []byte(path)})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for range 2 {
		if a := h.Do(t.Context()); a.Err != nil || a.Bytes < len(path) {
			t.Fatalf("%d bytes, %v", a.Bytes, a.Err)
		}
	}
}

func TestNewHTTPErrors(t *testing.T) {
	for _, base := range []string{"", "example.com", "ftp://example.com", "http://", "http://127.0.0.1:1"} {
		if h, err := NewHTTP(t.Context(), HTTPOptions{Base: base, Timeout: patient}, nil); err == nil {
			h.Close()
			t.Errorf("%q is taken", base)
		}
	}
}

func TestHTTPDoesNotAllocate(t *testing.T) {
	r := newRequest(&HTTPOptions{Reuse: true, ForwardedFor: true}, "127.0.0.1:8080")
	hit := targets.Hit{Kind: targets.Open, Path: []byte("/o/x.gif")}
	var a answer
	if n := testing.AllocsPerRun(100, func() {
		hit.Client++
		r.render(&hit)
		a.begin(false)
		if done, err := a.filled(copy(a.room(), pixelAnswer)); !done || err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("a request and its answer allocate %g times", n)
	}
}

func TestClientsDiffer(t *testing.T) {
	seen := make(map[string]bool)
	for client := range uint32(1000) {
		text := string(appendAddress(nil, client))
		if ip := net.ParseIP(text); ip == nil || !(strings.HasPrefix(text, "198.18.") || strings.HasPrefix(text, "198.19.")) {
			t.Fatalf("client %d has the address %s", client, text)
		}
		seen[text] = true
	}
	if len(seen) < 990 {
		t.Errorf("1000 clients have %d addresses", len(seen))
	}
}
