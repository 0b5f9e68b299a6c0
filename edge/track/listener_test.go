package track

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"carom/edge/ref"
)

// proxyV2 is a PROXY header of version 2: signature, command, family, length, addresses.
func proxyV2(command, family byte, block []byte) string {
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x20|command, family)
	return string(append(binary.BigEndian.AppendUint16(b, uint16(len(block))), block...))
}

func addresses(src, dst string, more ...byte) []byte {
	s, d := netip.MustParseAddr(src).AsSlice(), netip.MustParseAddr(dst).AsSlice()
	b := append(append([]byte{}, s...), d...)
	return append(append(b, 0x12, 0x34, 0x00, 0x50), more...)
}

const (
	v2Local, v2Proxy                   = 0, 1
	v2Unspec, v2TCP4, v2TCP6, v2Stream = 0x00, 0x11, 0x21, 0x31
)

func TestProxyProtocol(t *testing.T) {
	tests := []struct {
		name, header string
		forwarded    string
		want         string // the client; empty: the connection is closed without an answer
	}{
		{"v1", "PROXY TCP4 203.0.113.5 10.0.0.1 4711 80\r\n", "", "203.0.113.5"},
		{"v1 IPv6", "PROXY TCP6 2001:db8::1 2001:db8::2 4711 80\r\n", "", "2001:db8::1"},
		{"v1 unknown", "PROXY UNKNOWN\r\n", "", "127.0.0.1"},
		{"v2", proxyV2(v2Proxy, v2TCP4, addresses("203.0.113.5", "10.0.0.1")), "", "203.0.113.5"},
		{"v2 IPv6", proxyV2(v2Proxy, v2TCP6, addresses("2001:db8::1", "2001:db8::2")), "", "2001:db8::1"},
		{"v2 mapped", proxyV2(v2Proxy, v2TCP6, addresses("::ffff:203.0.113.5", "::ffff:10.0.0.1")), "", "203.0.113.5"},
		{"v2 with more", proxyV2(v2Proxy, v2TCP4, addresses("203.0.113.5", "10.0.0.1", 0x04, 0, 1, 'x')), "", "203.0.113.5"},
		{"v2 local", proxyV2(v2Local, v2Unspec, nil), "", "127.0.0.1"},
		{"v2 local with addresses", proxyV2(v2Local, v2TCP4, addresses("203.0.113.5", "10.0.0.1")), "", "127.0.0.1"},
		{"v2 unix", proxyV2(v2Proxy, v2Stream, make([]byte, 216)), "", "invalid IP"},

		{"a client forwards", "PROXY TCP4 203.0.113.5 10.0.0.1 4711 80\r\n", "198.51.100.1", "203.0.113.5"},
		{"a proxy behind the proxy forwards", "PROXY TCP4 127.0.0.9 10.0.0.1 4711 80\r\n", "198.51.100.1", "198.51.100.1"},

		{"none", "", "", ""},
		{"v1 of junk", "PROXY TCP4 203.0.113.999 10.0.0.1 4711 80\r\n", "", ""},
		{"v1 without an end", "PROXY TCP4 203.0.113.5 10.0.0.1 4711 80 ", "", ""},
		{"v1 too long", "PROXY TCP4 " + strings.Repeat("1", 100) + "\r\n", "", ""},
		{"v2 of another version", strings.Replace(proxyV2(v2Proxy, v2TCP4, addresses("203.0.113.5", "10.0.0.1")), "\x21", "\x31", 1), "", ""},
		{"v2 too short", proxyV2(v2Proxy, v2TCP4, nil), "", ""},
		{"v2 too long", proxyV2(v2Proxy, v2TCP4, make([]byte, 5000)), "", ""},
	}
	o := testOptions()
	o.TrustedProxies, o.ProxyProtocol = []string{"127.0.0.0/8"}, true
	r := start(t, o)
	target := strings.TrimPrefix(r.url(t, ref.OpenPixel, typical), "http://"+r.addr)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			request := "GET " + target + " HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: " + tt.forwarded + "\r\nConnection: close\r\n\r\n"
			text := r.exchange(t, tt.header+request)
			if tt.want == "" {
				if text != "" {
					t.Errorf("the answer is %q", text)
				}
				r.sink.wantNone(t)
				return
			}
			wantPixel(t, parse(t, text, "GET")[0])
			if got := r.sink.take1(t).req.IP.String(); got != tt.want {
				t.Errorf("the client is %s, want %s", got, tt.want)
			}
		})
	}
}

// TestProxyHeaderTimeout opens a connection as a proxy and sends nothing, or half a header.
func TestProxyHeaderTimeout(t *testing.T) {
	o := testOptions()
	o.TrustedProxies, o.ProxyProtocol, o.ReadTimeout = []string{"127.0.0.0/8"}, true, 200*time.Millisecond
	r := start(t, o)
	for _, begin := range []string{"", "PROXY", "\r\n\r\n\x00\r\nQUIT\n"} {
		if text := r.exchange(t, begin); text != "" {
			t.Errorf("%q: the answer is %q", begin, text)
		}
	}
}

// TestStrangersCannotSendAProxyHeader sends one from an address that is no proxy of ours.
func TestStrangersCannotSendAProxyHeader(t *testing.T) {
	o := testOptions()
	o.TrustedProxies, o.ProxyProtocol = []string{"10.0.0.0/8"}, true
	r := start(t, o)
	target := strings.TrimPrefix(r.url(t, ref.OpenPixel, typical), "http://"+r.addr)
	request := "GET " + target + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	if text := r.exchange(t, "PROXY TCP4 203.0.113.5 10.0.0.1 4711 80\r\n"+request); !strings.HasPrefix(text, "HTTP/1.1 400 ") {
		t.Errorf("the answer is %q, want 400", text)
	}
	r.sink.wantNone(t)
	wantPixel(t, parse(t, r.exchange(t, request), "GET")[0])
	if got := r.sink.take1(t).req.IP.String(); got != "127.0.0.1" {
		t.Errorf("the client is %s", got)
	}
}

// hold opens a connection and makes sure that the server serves it.
func (r *running) hold(t *testing.T) net.Conn {
	t.Helper()
	c := r.dial(t)
	if _, err := io.WriteString(c, "GET /robots.txt HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 {
		t.Fatalf("a connection is answered %s", resp.Status)
	}
	return c
}

func (r *running) wantRefused(t *testing.T, reason string) {
	t.Helper()
	name := `carom_track_refused_connections_total{reason="` + reason + `"}`
	before := r.metric(t, name)
	a := parse(t, readAll(t, r.dial(t)), "GET")[0]
	if a.StatusCode != 503 || !a.Close || a.Header.Get("Retry-After") == "" {
		t.Errorf("a connection too many is answered %s", a.Status)
	}
	if n := r.metric(t, name); n != before+1 {
		t.Errorf("%v connections are counted as refused, want %v", n, before+1)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	o := testOptions()
	o.MaxConnections = 3
	r := start(t, o)
	held := []net.Conn{r.hold(t), r.hold(t), r.hold(t)}
	if n := r.metric(t, "carom_track_connections"); n != 3 {
		t.Errorf("%v connections are counted, want 3", n)
	}
	r.wantRefused(t, "total")
	_ = held[1].Close()
	eventually(t, "the closed connection is given up", func() bool { return r.listener.open() == 2 })
	r.hold(t)
	r.wantRefused(t, "total")
}

func TestConnectionsOfAClientAreBounded(t *testing.T) {
	o := testOptions()
	o.MaxConnectionsPerClient = 2
	r := start(t, o)
	held := []net.Conn{r.hold(t), r.hold(t)}
	r.wantRefused(t, "client")
	_ = held[0].Close()
	eventually(t, "the closed connection is given up", func() bool { return r.listener.open() == 1 })
	r.hold(t)
	r.wantRefused(t, "client")
}

// TestConnectionsOfAProxyAreNotBounded: a proxy speaks for many.
func TestConnectionsOfAProxyAreNotBounded(t *testing.T) {
	o := testOptions()
	o.MaxConnectionsPerClient, o.TrustedProxies = 1, []string{"127.0.0.1"}
	r := start(t, o)
	r.hold(t)
	r.hold(t)
}

func TestClientsAreForgotten(t *testing.T) {
	o := testOptions()
	o.MaxConnectionsPerClient = 2
	r := start(t, o)
	a, b := r.hold(t), r.hold(t)
	_, _ = a.Close(), b.Close()
	eventually(t, "the client is forgotten", func() bool {
		r.listener.mu.Lock()
		defer r.listener.mu.Unlock()
		return len(r.listener.clients) == 0 && len(r.listener.conns) == 0
	})
}

func TestClientPrefix(t *testing.T) {
	for in, want := range map[string]string{"203.0.113.5": "203.0.113.5/32", "2001:db8:1:2:3::4": "2001:db8:1:2::/64"} {
		if got := clientPrefix(netip.MustParseAddr(in)).String(); got != want {
			t.Errorf("%s counts as %s, want %s", in, got, want)
		}
	}
}

// failingListener fails some times before it accepts.
type failingListener struct {
	net.Listener
	failures atomic.Int32
	err      error
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.failures.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: l.err}
	}
	return l.Listener.Accept()
}

// TestOutOfDescriptors shows that the server goes on where fasthttp alone would end.
func TestOutOfDescriptors(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	failing := &failingListener{Listener: inner, err: syscall.EMFILE}
	failing.failures.Store(3)
	s, err := New(testOptions(), newKeys(t), &memorySink{}, zap.NewNop(), nil)
	if err != nil {
		t.Fatal(err)
	}
	l := newListener(failing, s)
	defer l.Close()
	go func() {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err == nil {
			_ = c.Close()
		}
	}()
	c, err := l.Accept()
	if err != nil {
		t.Fatalf("after some failures: %v", err)
	}
	_ = c.Close()

	failing.err = syscall.EINVAL
	failing.failures.Store(1)
	if _, err := l.Accept(); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("an error that won't pass: %v", err)
	}

	failing.err = syscall.EMFILE
	failing.failures.Store(1 << 30)
	ended := make(chan error)
	go func() {
		_, err := l.Accept()
		ended <- err
	}()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed while waiting: %v", err)
	}
}
