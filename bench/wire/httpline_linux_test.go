package wire

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"carom/bench/targets"
)

// TestAnswerThatTheCloseEnds has the last bytes and the connection's end come as one, of which the poller tells once.
func TestAnswerThatTheCloseEnds(t *testing.T) {
	url := scripted(t, func(conn net.Conn, _ *bufio.Reader) {
		_, _ = io.WriteString(conn, "HTTP/1.0 200 OK\r\nContent-Type: image/gif\r\n\r\nGIF")
	})
	h := newHTTP(t, HTTPOptions{Base: url, Reuse: true}, targets.Open)
	over := false
	if err := h.line.raw.Control(func(fd uintptr) {
		end := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
		for n := 0; n <= 0; {
			n, _ = unix.Poll(end, -1)
		}
		h.line.in = &h.answer
		h.answer.begin(false)
		over = h.line.rawStep(fd)
	}); err != nil {
		t.Fatal(err)
	}
	if !over || h.line.err != nil || h.answer.state != complete {
		t.Errorf("over: %t, %v, state %d: want the whole answer, nothing else will come", over, h.line.err, h.answer.state)
	}
}

// TestHTTPIdleOverTLS asks a server that ends idle connections, with no more than a word of TLS, and one that keeps them.
func TestHTTPIdleOverTLS(t *testing.T) {
	server := httptest.NewTLSServer(nil) // for its certificate
	config := &tls.Config{Certificates: server.TLS.Certificates}
	server.Close()
	for _, ends := range []bool{true, false} {
		var connections atomic.Int64
		url := scripted(t, func(conn net.Conn, _ *bufio.Reader) {
			connections.Add(1)
			secured := tls.Server(conn, config)
			for requests := bufio.NewReader(secured); ; {
				if _, err := http.ReadRequest(requests); err != nil {
					return
				}
				_, _ = io.WriteString(secured, pixelAnswer)
				if ends {
					_ = secured.CloseWrite()
				}
			}
		})
		h := newHTTP(t, HTTPOptions{Base: strings.Replace(url, "http:", "https:", 1), Reuse: true, Insecure: true}, targets.Open)
		for range 3 {
			if a := h.Do(t.Context()); a.Err != nil {
				t.Fatal(a.Err)
			}
			for ends && !h.line.hungUp() { // until the end is here
			}
			h.idle = time.Time{} // a long time ago
		}
		if n := connections.Load(); ends && n != 3 || !ends && n != 1 {
			t.Errorf("ends: %t: %d connections", ends, n)
		}
	}
}
