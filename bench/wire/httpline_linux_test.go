package wire

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

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
		for !ended(fd) {
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

func TestHTTPServerThatEndsIdleConnectionsOverTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/gif")
		_, _ = io.WriteString(w, "GIF")
	}))
	server.Config.IdleTimeout = 5 * time.Millisecond
	server.StartTLS()
	defer server.Close()
	h := newHTTP(t, HTTPOptions{Base: server.URL, Reuse: true, Insecure: true}, targets.Open)
	for range 3 {
		if a := h.Do(t.Context()); a.Err != nil {
			t.Fatal(a.Err)
		}
		for !h.line.hungUp() { // until the end is here
		}
		h.idle = time.Time{} // a long time ago
	}
}
