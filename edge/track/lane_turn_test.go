package track

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"carom/edge/ref"
)

// clickRequest is one for the fast lane, and what it is redirected to.
func clickRequest(t *testing.T, r *running, url string) string {
	t.Helper()
	return "GET /c/" + seal(t, r.keys, ref.Click, linkTo(url)) + " HTTP/1.1\r\nHost: a\r\n\r\n"
}

func write(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
}

// TestLaneAnswersWhoHasSentAll: a client that has closed its side after the request still gets the answer, and one whose
// next request comes before that gets both, in their order.
func TestLaneAnswersWhoHasSentAll(t *testing.T) {
	r := start(t, testOptions())
	r.sink.hold = make(chan struct{})
	half := r.dial(t).(*net.TCPConn)
	write(t, half, clickRequest(t, r, "https://example.com/half"))
	if err := half.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	eager := r.dial(t)
	write(t, eager, clickRequest(t, r, "https://example.com/1"))
	eventually(t, "both hits", func() bool { return len(r.sink.all()) == 2 })
	write(t, eager, clickRequest(t, r, "https://example.com/2"))
	close(r.sink.hold)

	answers := bufio.NewReader(half)
	resp, err := http.ReadResponse(answers, nil)
	if err != nil || resp.Header.Get("Location") != "https://example.com/half" {
		t.Errorf("half-closed: %v, %v", resp, err)
	}
	if rest, err := io.ReadAll(answers); err != nil || len(rest) > 0 {
		t.Errorf("half-closed: then %q, %v", rest, err)
	}
	answers = bufio.NewReader(eager)
	for i := range 2 {
		resp, err := http.ReadResponse(answers, nil)
		if want := fmt.Sprintf("https://example.com/%d", i+1); err != nil || resp.Header.Get("Location") != want {
			t.Fatalf("eager: answer %d: %v, %v", i, resp, err)
		}
	}
}

// TestLaneSlowReader: who reads no answers holds up nobody else, and gets all of them in the end.
func TestLaneSlowReader(t *testing.T) {
	r := start(t, testOptions())
	slow := r.dial(t).(*net.TCPConn)
	eventually(t, "the connection", func() bool { return r.listener.open() == 1 })
	c := r.listener.list()[0]
	server := c.Conn.(*net.TCPConn)
	if err := slow.SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	if err := server.SetWriteBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	url := func(i int) string { return fmt.Sprintf("https://example.com/%d/%s", i, strings.Repeat("x", 2000)) }
	stuck := func() bool { return r.metric(t, "carom_track_slow_readers_total") > 0 }
	sent := 0
	for ; !stuck(); sent++ {
		if sent == 10_000 {
			t.Fatal("the answers find room without end")
		}
		write(t, slow, clickRequest(t, r, url(sent)))
		eventually(t, "the hit", func() bool { return len(r.sink.all()) > sent })
	}
	if a := do(t, "GET", r.url(t, ref.OpenPixel, typical), ""); a.StatusCode != 200 {
		t.Errorf("another gets %s", a.Status)
	}
	reading := time.Now()
	answers := bufio.NewReader(slow)
	for i := range sent {
		resp, err := http.ReadResponse(answers, nil)
		if err != nil || resp.Header.Get("Location") != url(i) {
			t.Fatalf("answer %d of %d: %v, %v", i, sent, resp, err)
		}
	}
	c.turn.Lock() // until the slow answer's end is noted
	if c.last.Before(reading) {
		t.Error("the wait for the next request counts from before the answer was out")
	}
	c.turn.Unlock()
	write(t, slow, clickRequest(t, r, url(0))) // and the connection goes on
	if resp, err := http.ReadResponse(answers, nil); err != nil || resp.StatusCode != 302 {
		t.Errorf("the last answer: %v, %v", resp, err)
	}
	if n := r.metric(t, `carom_track_requests_total{route="click",status="302"}`); n != float64(sent+1) {
		t.Errorf("%v clicks are counted, want %d", n, sent+1)
	}
}

// TestLaneShutdownWaitsForTheDisk: hits in hand when the server is stopped are answered, with the word that this is the end.
func TestLaneShutdownWaitsForTheDisk(t *testing.T) {
	r := start(t, testOptions())
	r.sink.hold = make(chan struct{})
	c := r.dial(t)
	write(t, c, clickRequest(t, r, "https://example.com/"))
	eventually(t, "the hit", func() bool { return len(r.sink.all()) == 1 })
	r.stop()
	eventually(t, "the end", func() bool { return r.listener.closing.Load() })
	close(r.sink.hold)
	answers := bufio.NewReader(c)
	resp, err := http.ReadResponse(answers, nil)
	if err != nil || resp.StatusCode != 302 || !resp.Close {
		t.Errorf("the answer is %v, %v", resp, err)
	}
	if rest, err := io.ReadAll(answers); err != nil || len(rest) > 0 {
		t.Errorf("then %q, %v", rest, err)
	}
	if err := <-r.done; err != nil {
		t.Errorf("Run returned %v", err)
	}
}

// TestLaneOutlivesItsClient: who is gone before the hit is on disk leaves nothing behind.
func TestLaneOutlivesItsClient(t *testing.T) {
	r := start(t, testOptions())
	r.sink.hold = make(chan struct{})
	c := r.dial(t).(*net.TCPConn)
	write(t, c, clickRequest(t, r, "https://example.com/"))
	eventually(t, "the hit", func() bool { return len(r.sink.all()) == 1 })
	if err := c.SetLinger(0); err != nil { // a reset
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	close(r.sink.hold)
	eventually(t, "the end of the connection", func() bool { return r.listener.open() == 0 })
}
