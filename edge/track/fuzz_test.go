package track

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"carom/edge/ref"
	"carom/pipeline/event"
)

// strictSink panics when it gets what the edge must never hand on.
type strictSink struct{}

func (strictSink) Hit(ev *event.Event, req *event.Request) error {
	if ev.Kind != event.Open && ev.Kind != event.Click || req.Method != "GET" && req.Method != "HEAD" {
		panic("a hit of kind " + ev.Kind.String() + " by " + req.Method)
	}
	return strictSink{}.Facts(ev)
}

func (s strictSink) HitThen(ev *event.Event, req *event.Request, done func(error)) {
	done(s.Hit(ev, req))
}

func (strictSink) Facts(evs ...*event.Event) error {
	for _, ev := range evs {
		if ev.KnownBy != event.ByRef || ev.Key != event.KeyOf(ev.Account, ev.Message) || ev.Time == 0 || ev.Sender == "" {
			panic("an event that speaks of nobody")
		}
	}
	return nil
}

// FuzzRequest sends bytes over a connection, and checks that what comes back are whole responses that keep our rules.
func FuzzRequest(f *testing.F) {
	minter := hostileMinter{secret: [32]byte{7}}
	keys, err := ref.ParseKeyring(minter.keysFile())
	if err != nil {
		f.Fatal(err)
	}
	open := "GET /o/" + seal(f, keys, ref.OpenPixel, typical) + ".gif HTTP/1.1\r\nHost: a\r\n"
	click := "GET /c/" + seal(f, keys, ref.Click, linkTo("https://example.com/")) + " HTTP/1.1\r\nHost: a\r\n"
	unsubscribe := "POST /u/" + seal(f, keys, ref.Unsubscribe, typical) + " HTTP/1.1\r\nHost: a\r\n"
	for _, seed := range []string{
		open + "\r\n",
		open + "X-Forwarded-For: 203.0.113.5, [::1]:1\r\nX-Forwarded-For: x\r\nSec-Purpose: prefetch\r\n\r\n" + click + "\r\n",
		"HEAD" + click[3:] + "\r\n" + open + "Connection: close\r\n\r\n",
		unsubscribe + "Content-Length: 26\r\n\r\nList-Unsubscribe=One-Click",
		unsubscribe + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n" + open + "\r\n",
		unsubscribe + "Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx" + click + "\r\n",
		"GET http://a/u/x?y HTTP/1.0\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /robots.txt HTTP/1.1\r\nHost: a\r\nUser-Agent: a\r\n b\r\n\r\n",
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte("PROXY TCP4 203.0.113.5 10.0.0.1 4711 80\r\n"+seed), true)
	}
	servers := map[bool]*Server{}
	for _, proxied := range []bool{false, true} {
		o := testOptions()
		o.TrustedProxies, o.ProxyProtocol = []string{"10.0.0.0/8"}, proxied
		s, err := New(o, keys, strictSink{}, zap.NewNop(), nil)
		if err != nil {
			f.Fatal(err)
		}
		servers[proxied] = s
	}
	f.Fuzz(func(t *testing.T, request []byte, proxied bool) {
		s := servers[proxied]
		c := &scriptedConn{in: bytes.NewReader(request)}
		_ = s.http.ServeConn(newListener(nil, s).admit(c)) // how it ended says nothing
		if !c.closed {
			t.Fatal("the connection is left open")
		}
		checkResponses(t, c.out.Bytes())
	})
}

// scriptedConn is a connection over which everything has been sent already.
type scriptedConn struct {
	in     *bytes.Reader
	out    bytes.Buffer
	closed bool
}

func (c *scriptedConn) Read(b []byte) (int, error)       { return c.in.Read(b) }
func (c *scriptedConn) Write(b []byte) (int, error)      { return c.out.Write(b) }
func (c *scriptedConn) Close() error                     { c.closed = true; return nil }
func (c *scriptedConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *scriptedConn) RemoteAddr() net.Addr             { return proxyAddr }
func (c *scriptedConn) SetDeadline(time.Time) error      { return nil }
func (c *scriptedConn) SetReadDeadline(time.Time) error  { return nil }
func (c *scriptedConn) SetWriteDeadline(time.Time) error { return nil }

// SyscallConn lets the fast lane write.
func (c *scriptedConn) SyscallConn() (syscall.RawConn, error) { return piped{&c.out}, nil }

// piped is a descriptor for whatever writes; what was written goes on to a buffer.
type piped struct{ to *bytes.Buffer }

func (piped) Control(func(uintptr)) error   { return errors.ErrUnsupported }
func (piped) Read(func(uintptr) bool) error { return errors.ErrUnsupported }

func (p piped) Write(f func(uintptr) bool) error {
	out, in, err := os.Pipe()
	if err != nil {
		return err
	}
	f(in.Fd())
	err = in.Close()
	_, readErr := p.to.ReadFrom(out)
	return errors.Join(err, readErr, out.Close())
}

// proxyAddr is a trusted proxy's.
var proxyAddr = &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 4711}

// checkResponses reads what the server sent. Whether a response has a body depends on the method, which the fuzzer chose;
// so a body is what doesn't begin as a response.
func checkResponses(t *testing.T, out []byte) {
	t.Helper()
	for len(out) > 0 {
		head, rest, ok := bytes.Cut(out, []byte("\r\n\r\n"))
		if !ok {
			t.Fatalf("a cut header: %q", out)
		}
		out = rest
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(append(head[:len(head):len(head)], "\r\n\r\n"...))), &http.Request{Method: "HEAD"})
		if err != nil {
			t.Fatalf("%q: %v", head, err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusContinue {
			continue
		}
		if resp.StatusCode == http.StatusInternalServerError {
			t.Fatal("a request hit a bug")
		}
		if got := resp.Header.Get("Cache-Control"); got != "no-store, private" {
			t.Fatalf("Cache-Control is %q in %q", got, head)
		}
		if l := resp.Header.Get("Location"); (resp.StatusCode == 302) != (l != "") || l != "" && l != "https://example.com/" {
			t.Fatalf("%s to %q", resp.Status, l)
		}
		if len(out) > 0 && !bytes.HasPrefix(out, []byte("HTTP/")) {
			if resp.ContentLength < 0 || int64(len(out)) < resp.ContentLength {
				t.Fatalf("the body of %q is cut: %q", head, out)
			}
			out = out[resp.ContentLength:]
		}
	}
}
