package track

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"carom/edge/ref"
	"carom/pipeline/event"
)

// lanes are requests that the fast lane takes, and how many more it must not, each of them in one piece.
func lanes(tb testing.TB, keys *ref.Keyring) (taken, left []string) {
	tb.Helper()
	open := "/o/" + seal(tb, keys, ref.OpenPixel, typical)
	click := "/c/" + seal(tb, keys, ref.Click, linkTo("https://example.com/?a=b#c"))
	get := func(target, fields string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: track.example.com\r\n" + fields + "\r\n"
	}
	one := get(open, "")
	taken = []string{
		one,
		get(open+".gif", ""),
		get(open+"?cache=123", ""),
		get(click, ""),
		get("/base"+click, ""),
		get(open, "User-Agent: Mozilla/5.0 (X11)\r\nAccept: image/*\r\nReferer: https://mail.example.com/\r\nConnection: Keep-Alive\r\n"),
		get(open, "user-agent:a\r\nACCEPT:   */*  \r\nX-Moz: prefetch\r\nx-forwarded-for: 203.0.113.5, 10.0.0.9\r\n"),
		get(open, "Sec-Purpose: prefetch;prerender\r\nAccept-Language: de\r\nSec-Fetch-Dest: image\r\nX-Forwarded-For: junk\r\n"),
		get(open, "Purpose: preview\r\nCookie: carom_self=x\r\nReferer:\r\nX-Forwarded-For:\r\n"),
		get(open, "X-Purpose: preview\r\nIf-None-Match: \"a\"\r\nUpgrade-Insecure-Requests: 1\r\n"),
		strings.Replace(get(click, ""), "track.example.com", "192.0.2.1:8080", 1),
	}
	left = []string{
		"", "GET", one[:len(one)-1], one + one, one + "x", "\r\n" + one,
		"HEAD" + one[3:], "POST" + one[3:], "get" + one[3:],
		strings.Replace(one, "HTTP/1.1", "HTTP/1.0", 1),
		strings.Replace(one, "HTTP/1.1", "HTTP/1.1 ", 1),
		strings.Replace(one, "GET /", "GET  /", 1),
		strings.Replace(one, "GET /", "GET http://a/", 1),
		strings.ReplaceAll(one, "\r\n", "\n"),
		strings.Replace(one, "Host: track.example.com\r\n", "", 1),
		strings.Replace(one, "Host: track.example.com", "Host: ", 1),
		strings.Replace(one, "Host: track.example.com", "Host: a@b", 1),
		strings.Replace(one, "Host: track.example.com", "Host: a:b", 1),
		strings.Replace(one, "Host: track.example.com", "Host: a%41", 1),
		strings.Replace(one, "Host: track.example.com", "Host : a", 1),
		strings.Replace(one, "Host: track.example.com", " Host: a", 1),
		get("/robots.txt", ""), get("/", ""), get("/o/", ""), get("/o/x", ""), get("/c/x", ""), get("/x"+open, ""),
		get("/u/"+seal(tb, keys, ref.Unsubscribe, typical), ""),
		get(click[:len(click)-1], ""), get("/o"+click[2:], ""), get("/c"+open[2:], ""),
		get(open+"\x00", ""), get(open+"\xff", ""), get(open+"\x7f", ""),
	}
	for _, field := range []string{
		"Host: b", "User-Agent: a\r\nUser-Agent: b", "Accept: a\r\nAccept: b", "Referer: a\r\nReferer: b",
		"X-Moz: a\r\nPurpose: b", "X-Forwarded-For: 203.0.113.5\r\nX-Forwarded-For: 203.0.113.6",
		"Connection: close", "Connection: upgrade", "Connection: keep-alive\r\nConnection: close", "Upgrade: h2c",
		"Content-Length: 0", "Content-Length: 1", "CONTENT-LENGTH: x", "Transfer-Encoding: chunked", "Expect: 100-continue", "Trailer: a",
		"User-Agent: a\r\n b", "User-Agent: a\tb", "User-Agent: \xc3\xa4", "User-Agent: a\x00", "User-Agent: a\x7f", "User-Agent: a\rb",
		"X Y: a", "X_Y: a", ": a", "a", "X(: a", "User-Agent : a",
	} {
		left = append(left, get(open, field+"\r\n"))
	}
	return taken, left
}

// lanePair is a server with the fast lane and one without, which have the same keys.
type lanePair struct {
	keys      *ref.Keyring
	fast, all *Server
	fastSink  memorySink
	allSink   memorySink
}

func newLanePair(tb testing.TB, change func(*Options)) *lanePair {
	tb.Helper()
	p := &lanePair{keys: newKeys(tb)}
	o := testOptions()
	o.BaseURL, o.TrustedProxies = "https://track.example.com/base", []string{"10.0.0.0/8"}
	change(&o)
	for _, s := range []struct {
		server **Server
		sink   Sink
	}{{&p.fast, &p.fastSink}, {&p.all, &p.allSink}} {
		var err error
		if *s.server, err = New(o, p.keys, s.sink, zap.NewNop(), nil); err != nil {
			tb.Fatal(err)
		}
	}
	return p
}

// serve sends bytes over a connection of its own. It reports what came back, and whether the lane answered.
func serve(s *Server, request string, lane bool) (out string, rode bool) {
	c := &scriptedConn{in: bytes.NewReader([]byte(request))}
	tracked := newListener(nil, s).admit(c).(*conn)
	tracked.left = !lane
	_ = s.http.ServeConn(tracked) // how it ended says nothing
	return dateLine.ReplaceAllString(c.out.String(), "Date: now\r\n"), tracked.rode
}

var dateLine = regexp.MustCompile("Date: .{29}\r\n")

// compare serves a request with and without the lane, and wants the same bytes and the same events.
func (p *lanePair) compare(t *testing.T, request string) (rode bool) {
	t.Helper()
	got, rode := serve(p.fast, request, true)
	want, _ := serve(p.all, request, false)
	if got != want {
		t.Errorf("%q is answered\n%q by the lane, and\n%q without it", request, got, want)
	}
	if a, b := timeless(&p.fastSink), timeless(&p.allSink); !reflect.DeepEqual(a, b) {
		t.Errorf("%q tells\n%+v by the lane, and\n%+v without it", request, a, b)
	}
	return rode
}

// timeless returns what a sink has heard, without its times, and forgets it.
func timeless(s *memorySink) []heard {
	s.mu.Lock()
	defer s.mu.Unlock()
	hits := s.hits
	s.hits = nil
	for i := range hits {
		hits[i].ev.Time = 0
	}
	return hits
}

// TestLaneIsNotSeen sends requests with and without the fast lane, which must take some of them and must not others.
func TestLaneIsNotSeen(t *testing.T) {
	p := newLanePair(t, func(*Options) {})
	taken, left := lanes(t, p.keys)
	for _, request := range taken {
		if !p.compare(t, request) {
			t.Errorf("not taken: %q", request)
		}
	}
	for _, request := range left {
		if p.compare(t, request) {
			t.Errorf("taken: %q", request)
		}
	}
	for _, s := range []*memorySink{&p.fastSink, &p.allSink} {
		s.err = reasonError("shed")
	}
	for _, request := range taken { // answered all the same
		p.compare(t, request)
	}
	for _, s := range []*memorySink{&p.fastSink, &p.allSink} {
		s.before = func() { panic("a bug") }
	}
	for _, request := range taken {
		p.compare(t, request)
	}
}

// TestLaneLeavesCookies: with the option self they are read.
func TestLaneLeavesCookies(t *testing.T) {
	p := newLanePair(t, func(o *Options) { o.Self = true })
	request := "GET /o/" + seal(t, p.keys, ref.OpenPixel, typical) + " HTTP/1.1\r\nHost: a\r\n"
	var own ref.Marks
	own.Add(typical.Account, typical.Sender, event.Now(), time.Hour)
	if p.compare(t, request+"Cookie: carom_self="+string(p.keys.SealMarks(nil, &own))+"\r\n\r\n") {
		t.Error("a cookie is overlooked")
	}
	if !p.compare(t, request+"\r\n") {
		t.Error("not taken without a cookie")
	}
}

// TestLaneOnAndOff sends requests one after the other over one connection: some for the lane, one that isn't, and more.
func TestLaneOnAndOff(t *testing.T) {
	r := start(t, testOptions())
	c := r.dial(t)
	answers := bufio.NewReader(c)
	target := "/o/" + seal(t, r.keys, ref.OpenPixel, typical)
	for _, method := range []string{"GET", "GET", "HEAD", "GET", "GET"} {
		if _, err := io.WriteString(c, method+" "+target+" HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(answers, &http.Request{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 || string(b) != string(pixel) && method == "GET" {
			t.Fatalf("%s: %s, %q, %v", method, resp.Status, b, err)
		}
	}
	if all := r.sink.all(); len(all) != 5 {
		t.Errorf("%d events, want 5", len(all))
	}
	if n := r.metric(t, `carom_track_requests_total{route="open",status="200"}`); n != 5 {
		t.Errorf("%v requests are counted, want 5", n)
	}
}

// TestLaneEndsIdleConnections: those that it has answered end without a word, those that sent half a request after it
// with 408.
func TestLaneEndsIdleConnections(t *testing.T) {
	o := testOptions()
	o.ReadTimeout, o.IdleTimeout = 100*time.Millisecond, 200*time.Millisecond
	r := start(t, o)
	request := "GET /o/" + seal(t, r.keys, ref.OpenPixel, typical) + " HTTP/1.1\r\nHost: a\r\n\r\n"
	parse(t, r.exchange(t, request), "GET") // and nothing behind it
	c := r.dial(t)
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	answers := bufio.NewReader(c)
	if resp, err := http.ReadResponse(answers, nil); err != nil {
		t.Fatal(err)
	} else if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, request[:20]); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(answers, nil)
	if err != nil || resp.StatusCode != http.StatusRequestTimeout {
		t.Errorf("half a request: %v, %v", resp, err)
	}
}

// TestLaneShutdown stops the server while one connection waits in the lane and another's request is in flight there.
func TestLaneShutdown(t *testing.T) {
	r := start(t, testOptions())
	request := "GET /c/" + seal(t, r.keys, ref.Click, linkTo("https://example.com/")) + " HTTP/1.1\r\nHost: a\r\n\r\n"
	send := func() (net.Conn, *bufio.Reader) {
		c := r.dial(t)
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		return c, bufio.NewReader(c)
	}
	_, idle := send()
	if _, err := http.ReadResponse(idle, nil); err != nil {
		t.Fatal(err)
	}
	called, release := make(chan struct{}), make(chan struct{})
	r.sink.before = func() {
		close(called)
		<-release
	}
	_, busy := send()
	<-called
	r.stop()
	if b, err := io.ReadAll(idle); err != nil || len(b) > 0 {
		t.Errorf("on the idle connection came %q, %v", b, err)
	}
	close(release)
	resp, err := http.ReadResponse(busy, nil)
	if err != nil || resp.StatusCode != 302 || !resp.Close {
		t.Errorf("the last answer is %v, %v", resp, err)
	}
	if err := <-r.done; err != nil {
		t.Errorf("Run returned %v", err)
	}
}

// TestLaneIsBoundedByRequests: with a bound of requests, fasthttp counts them.
func TestLaneIsBoundedByRequests(t *testing.T) {
	p := newLanePair(t, func(o *Options) { o.MaxRequestsPerConnection = 1 })
	tracked := newListener(nil, p.fast).admit(&scriptedConn{in: bytes.NewReader(nil)}).(*conn)
	if !tracked.left {
		t.Error("the lane takes requests that nobody counts")
	}
}

func TestPrintable(t *testing.T) {
	for c := range 256 {
		for length := 1; length < 18; length++ {
			for at := range length {
				b := bytes.Repeat([]byte{' '}, length)
				b[at] = byte(c)
				if got, want := printable(b), c >= 0x20 && c < 0x7f; got != want {
					t.Fatalf("byte %#x at %d of %d: %v, want %v", c, at, length, got, want)
				}
			}
		}
	}
}

// FuzzLane sends anything with and without the lane.
func FuzzLane(f *testing.F) {
	p := newLanePair(f, func(*Options) {})
	taken, left := lanes(f, p.keys)
	for _, request := range append(taken, left...) {
		f.Add(request)
	}
	f.Fuzz(func(t *testing.T, request string) { p.compare(t, request) })
}
