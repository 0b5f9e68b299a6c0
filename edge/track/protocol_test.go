package track

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"carom/edge/ref"
)

// TestRequestTargets sends targets as they are: what leads to a route is its own bytes, not what a path decoder or a
// cleaner could make of others.
func TestRequestTargets(t *testing.T) {
	r := start(t, testOptions())
	token := seal(t, r.keys, ref.Click, linkTo("https://example.com/"))
	tests := []struct {
		target string
		status int
		hit    bool
	}{
		{"/c/" + token, 302, true},
		{"/c/" + token + "?x=1", 302, true},
		{"/c/" + token + "?", 302, true},
		{"http://track.example.com/c/" + token, 302, true},
		{"https://other.example.net:1/c/" + token + "?http://x", 302, true},
		{"http://u:p@track.example.com/c/" + token, 302, true},
		{"/x?http://a/c/" + token, 404, false},
		{"http://track.example.com", 404, false},
		{"http://track.example.com?/c/" + token, 404, false},
		{"//c/" + token, 404, false},
		{"/./c/" + token, 404, false},
		{"/x/../c/" + token, 404, false},
		{"/%63/" + token, 404, false},
		{"/c%2f" + token, 404, false},
		{"/C/" + token, 404, false},
		{"/c//" + token, 404, false},
		{"/c/" + token + "/", 404, false},
		{"/c/" + token + "#x", 404, false},
		{"/c/" + token + ".gif", 404, false},
		{"/c/../c/" + token, 404, false},
		{"/c/%" + token, 404, false},
		{"*", 404, false},
		{"c/" + token, 400, false},
		{"/c/" + token + "\x00", 400, false},
		{"/c/" + token + "\x7f", 400, false},
		{"/c/" + token + "\t", 400, false},
		{"/c/" + token + "\r", 400, false},
		{"/c/ " + token, 400, false},
		{"", 400, false},
	}
	for _, tt := range tests {
		text := r.exchange(t, "GET "+tt.target+" HTTP/1.1\r\nHost: track.example.com\r\nConnection: close\r\n\r\n")
		a := parse(t, text, "GET")[0]
		if a.StatusCode != tt.status {
			t.Errorf("%q: %s, want %d", tt.target, a.Status, tt.status)
		}
		if tt.hit {
			r.sink.take1(t)
		}
		r.sink.wantNone(t)
	}
}

// TestBrokenRequests lists what fasthttp makes of requests that break the rules of RFC 9112: each gets an answer or a
// closed connection, and none is a hit.
func TestBrokenRequests(t *testing.T) {
	o := testOptions()
	o.ReadTimeout = 200 * time.Millisecond
	r := start(t, o)
	get := "GET /o/" + seal(t, r.keys, ref.OpenPixel, typical) + " HTTP/1.1\r\n"
	post := "POST /u/" + seal(t, r.keys, ref.Unsubscribe, typical) + " HTTP/1.1\r\nHost: a\r\n"
	tests := []struct {
		name, request string
		status        int // 0: closed without an answer
	}{
		{"nothing", "", 408},
		{"blank lines", "\r\n\r\n", 0},
		{"half a line", "GET /o/", 408},
		{"half a header", get + "Host: a\r\n", 408},
		{"no version", "GET /o/x\r\n\r\n", 400},
		{"another protocol", "GET /o/x RTSP/1.0\r\n\r\n", 400},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n", 400},
		{"NUL in the method", "G\x00T /o/x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"NUL in a name", get + "Ho\x00st: a\r\n\r\n", 400},
		{"NUL in a value", get + "Host: a\x00b\r\n\r\n", 400},
		{"a bare CR in a value", get + "Host: a\rb\r\n\r\n", 400},
		{"no colon", get + "Host a\r\n\r\n", 400},
		{"a blank before the colon", get + "Host : a\r\n\r\n", 400},
		{"no host", get + "X: y\r\n\r\n", 400},
		{"an empty host", get + "Host:\r\n\r\n", 400},
		{"two hosts", get + "Host: a\r\nHost: b\r\n\r\n", 400},
		// The end of the header is looked for as CRLF CRLF, so a header in bare LF never ends.
		{"bare LF", "GET /o/x HTTP/1.1\nHost: a\n\n", 408},
		{"two lengths", post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400},
		{"a signed length", post + "Content-Length: +1\r\n\r\nx", 400},
		{"a negative length", post + "Content-Length: -1\r\n\r\nx", 400},
		{"a list of lengths", post + "Content-Length: 1, 1\r\n\r\nx", 400},
		{"a huge length", post + "Content-Length: 99999999999999999999\r\n\r\nx", 400},
		{"a coding that isn't", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400},
		{"two codings", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"chunks in HTTP/1.0", strings.Replace(post, "1.1", "1.0", 1) + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
		{"a broken chunk", post + "Transfer-Encoding: chunked\r\n\r\nx\r\n", 400},
		{"a chunk too short", post + "Transfer-Encoding: chunked\r\n\r\n5\r\nab\r\n0\r\n\r\n", 400},
		{"half a body", post + "Content-Length: 10\r\n\r\nxx", 408},
		{"a body too long", post + fmt.Sprintf("Content-Length: %d\r\n\r\n", o.MaxBodyBytes+1), 413},
		{"chunks too long", post + fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", o.MaxBodyBytes+1), 413},
		{"a body too long after 100", post + fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", o.MaxBodyBytes+1), 413},
		{"a header too long", get + "X: " + strings.Repeat("x", o.MaxHeaderBytes) + "\r\n\r\n", 431},
		{"a target too long", "GET /o/" + strings.Repeat("x", o.MaxHeaderBytes) + " HTTP/1.1\r\n\r\n", 431},
		{"too many fields", get + strings.Repeat("X:\r\n", o.MaxHeaderBytes/4) + "\r\n", 431},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := r.exchange(t, tt.request)
			text = strings.TrimPrefix(text, "HTTP/1.1 100 Continue\r\n\r\n")
			if tt.status == 0 {
				if text != "" {
					t.Errorf("the answer is %q, want none", text)
				}
				return
			}
			if !strings.HasPrefix(text, fmt.Sprintf("HTTP/1.1 %d ", tt.status)) {
				t.Fatalf("the answer is %q, want %d", text, tt.status)
			}
			a := parse(t, text, "GET")[0]
			wantHeaders(t, a)
			if !a.Close {
				t.Error("it doesn't say that the connection is closed")
			}
			if strings.ContainsAny(a.body, "<>\x00") || len(a.body) > 100 {
				t.Errorf("the body is %q", a.body)
			}
		})
	}
	r.sink.wantNone(t)
	wantPixel(t, do(t, "GET", r.url(t, ref.OpenPixel, typical), ""))
}

// TestOddRequests lists requests that bend the rules and are served.
func TestOddRequests(t *testing.T) {
	r := start(t, testOptions())
	get := "GET /o/" + seal(t, r.keys, ref.OpenPixel, typical) + " HTTP/1.1\r\nHost: a\r\n"
	tests := []struct {
		name, request string
		agent         string
	}{
		{"HTTP/1.0", strings.Replace(get, "1.1", "1.0", 1) + "\r\n", ""},
		{"HTTP/1.0 without a host", strings.Replace(get, "1.1\r\nHost: a", "1.0", 1) + "\r\n", ""},
		{"blank lines before", "\r\n\r\n" + get + "Connection: close\r\n\r\n", ""},
		{"a folded value", get + "User-Agent: a\r\n b\r\nConnection: close\r\n\r\n", "a b"},
		{"the highest bytes", get + "User-Agent: \x80\xff\r\nConnection: close\r\n\r\n", "\x80\xff"},
		{"names in any case", get + "uSER-aGENT: x\r\ncONNECTION: close\r\n\r\n", "x"},
		{"a cookie", get + "Cookie: a=b\r\nConnection: close\r\n\r\n", ""},
		{"a body", get + "Content-Length: 1\r\nConnection: close\r\n\r\nx", ""},
		{"a length of its own beside chunks", get + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantPixel(t, parse(t, r.exchange(t, tt.request), "GET")[0])
			if h := r.sink.take1(t); h.req.UserAgent != tt.agent {
				t.Errorf("the agent is %q, want %q", h.req.UserAgent, tt.agent)
			}
		})
	}
}

// TestNoSmuggling hides a second request in the body of a first, whose length can be understood in two ways or whose
// method has no body as a rule.
func TestNoSmuggling(t *testing.T) {
	o := testOptions()
	o.IdleTimeout = 200 * time.Millisecond // a connection may stay open where the length is beyond doubt
	r := start(t, o)
	hidden := "GET /o/" + seal(t, r.keys, ref.OpenPixel, typical) + " HTTP/1.1\r\nHost: a\r\n\r\n"
	length := func(n int) string { return fmt.Sprintf("Content-Length: %d\r\n", n) }
	for name, rest := range map[string]string{
		"both":             length(len("0\r\n\r\n"+hidden)) + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"a length":         length(len(hidden)) + "\r\n" + hidden,
		"a chunk":          fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(hidden), hidden),
		"behind the chunk": "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
	} {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			t.Run(name+" of "+method, func(t *testing.T) {
				text := r.exchange(t, method+" /u/x HTTP/1.1\r\nHost: a\r\n"+rest)
				parse(t, text, method) // and nothing after it
				r.sink.wantNone(t)
			})
		}
	}
}

func TestKeepAliveAndPipelining(t *testing.T) {
	r := start(t, testOptions())
	target := strings.TrimPrefix(r.url(t, ref.OpenPixel, typical), "http://"+r.addr)
	request := "GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n"
	last := "GET " + target + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	for _, a := range parse(t, r.exchange(t, strings.Repeat(request, 20)+last), slicesOf("GET", 21)...) {
		wantPixel(t, a)
	}
	if n := len(r.sink.all()); n != 21 {
		t.Errorf("%d hits, want 21", n)
	}
}

func slicesOf(s string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = s
	}
	return all
}

func TestRequestsPerConnection(t *testing.T) {
	o := testOptions()
	o.MaxRequestsPerConnection = 3
	r := start(t, o)
	request := "GET /robots.txt HTTP/1.1\r\nHost: a\r\n\r\n"
	if all := parse(t, r.exchange(t, strings.Repeat(request, 5)), slicesOf("GET", 3)...); !all[2].Close {
		t.Error("the last answer doesn't say that the connection is closed")
	}
}

// TestSlowRequest sends a byte now and then: the time-out counts from the first to the last.
func TestSlowRequest(t *testing.T) {
	o := testOptions()
	o.ReadTimeout = 300 * time.Millisecond
	r := start(t, o)
	c := r.dial(t)
	go func() {
		for _, b := range []byte("GET /o/x HTTP/1.1\r\nX: " + strings.Repeat("x", 1<<20)) {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
			<-time.After(10 * time.Millisecond)
		}
	}()
	if text := readAll(t, c); !strings.HasPrefix(text, "HTTP/1.1 408 ") {
		t.Errorf("the answer is %q, want 408", text)
	}
}

func TestIdleConnection(t *testing.T) {
	o := testOptions()
	o.IdleTimeout = 200 * time.Millisecond
	r := start(t, o)
	if text := r.exchange(t, "GET /robots.txt HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.HasPrefix(text, "HTTP/1.1 200 ") {
		t.Errorf("the answer is %q", text)
	}
}

// TestLongestClick makes sure that the longest token fits into the smallest buffer with the header of a browser.
func TestLongestClick(t *testing.T) {
	r := start(t, testOptions())
	rf := linkTo("https://example.com/" + strings.Repeat("x", ref.MaxURL-len("https://example.com/")))
	rf.Sender = strings.Repeat("s", ref.MaxIDs-len(rf.Account)-len(rf.Sequence)-len(rf.Contact)-len(rf.Message))
	req, err := http.NewRequest("GET", r.url(t, ref.Click, rf), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", strings.Repeat("c", 2000))
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != 302 || resp.Header.Get("Location") != rf.URL {
		t.Errorf("the answer is %s", resp.Status)
	}
}
