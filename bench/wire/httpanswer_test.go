package wire

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// answers are what servers say, and what is right or wrong about it.
var answers = []struct {
	name   string
	text   string
	head   bool // asked with HEAD
	err    error
	status int
	close  bool
	end    bool // the connection's end is needed
}{
	{name: "length", text: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", status: 200},
	{name: "empty", text: "HTTP/1.1 200 OK\r\ncontent-LENGTH:0\r\n\r\n", status: 200},
	{name: "no reason", text: "HTTP/1.1 204\r\n\r\n", status: 204},
	{name: "redirect", text: "HTTP/1.1 302 Found\r\nLocation: https://example.com/\r\nContent-Length: 0\r\n\r\n", status: 302},
	{name: "not modified", text: "HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\n\r\n", status: 304},
	{name: "head", head: true, text: "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n", status: 200},
	{name: "close", text: "HTTP/1.1 200 OK\r\nConnection: Keep-Alive, Close\r\nContent-Length: 1\r\n\r\nx", status: 200, close: true},
	{name: "1.0", text: "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", status: 200, close: true},
	{name: "1.0 kept", text: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", status: 200},
	{name: "until the end", text: "HTTP/1.1 200 OK\r\n\r\nall there is", status: 200, close: true, end: true},
	{name: "chunked", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=\"y\"\r\n0123456789\r\n0\r\n\r\n", status: 200},
	{name: "trailers", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1 \r\nx\r\n000\r\nA: b\r\nC: d\r\n\r\n", status: 200},
	{name: "interim", text: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", status: 200},
	{name: "same length twice", text: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", status: 200},
	{name: "error", text: "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", status: 503},

	{name: "garbage", text: "220 mail.example.com ESMTP\r\n", err: errNoHTTP},
	{name: "nothing", text: "", end: true, err: errClosedEarly},
	{name: "cut head", text: "HTTP/1.1 200 OK\r\nContent-Le", end: true, err: io.ErrUnexpectedEOF},
	{name: "cut body", text: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", end: true, err: io.ErrUnexpectedEOF},
	{name: "cut chunk", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", end: true, err: io.ErrUnexpectedEOF},
	{name: "status", text: "HTTP/1.1 2x0 OK\r\n\r\n", err: errNoHTTP},
	{name: "long status", text: "HTTP/1.1 2000 OK\r\n\r\n", err: errNoHTTP},
	{name: "HTTP/2", text: "HTTP/2 200\r\n\r\n", err: errNoHTTP},
	{name: "no colon", text: "HTTP/1.1 200 OK\r\nwhat\r\n\r\n", err: errNoHTTP},
	{name: "two lengths", text: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", err: errFraming},
	{name: "negative", text: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", err: errFraming},
	{name: "both", text: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", err: errFraming},
	{name: "gzip", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", err: errFraming},
	{name: "huge", text: "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", err: errLongBody},
	{name: "huger", text: "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", err: errFraming},
	{name: "huge chunk", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffff\r\n", err: errLongBody},
	{name: "bad chunk", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", err: errChunk},
	{name: "long chunk", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz\r\n", err: errChunk},
	{name: "chunk line", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("x", maxLine), err: errChunk},
	{name: "endless head", text: "HTTP/1.1 200 OK\r\n" + strings.Repeat("a: b\r\n", maxHead/6+1), err: errLongHead},
	{name: "endless interim", text: strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", maxInterim+1), err: errInterim},
	{name: "upgrade", text: "HTTP/1.1 101 Switching Protocols\r\n\r\n", err: errInterim},
	{name: "more", text: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP", err: errMore},
}

// feed gives an answer to the reader in pieces of n bytes and returns what became of it.
func feed(a *answer, text string, n int, head, end bool) error {
	a.begin(head)
	for len(text) > 0 {
		filled := copy(a.room(), text[:min(n, len(text))])
		text = text[filled:]
		if done, err := a.filled(filled); done || err != nil {
			if err == nil && len(text) > 0 {
				err = errMore
			}
			return err
		}
	}
	if end {
		return a.ended()
	}
	return errors.New("more is wanted")
}

func TestAnswer(t *testing.T) {
	var a answer
	for _, c := range answers {
		for _, n := range []int{1, 2, 7, len(c.text) + 1} {
			err := feed(&a, c.text, n, c.head, c.end)
			if !errors.Is(err, c.err) {
				t.Errorf("%s in pieces of %d: %v, want %v", c.name, n, err, c.err)
			} else if err == nil && (a.status != c.status || a.close != c.close || a.size != len(c.text)) {
				t.Errorf("%s in pieces of %d: status %d, close %t, %d bytes: want %d, %t, %d", c.name, n, a.status, a.close, a.size, c.status, c.close, len(c.text))
			}
		}
	}
}

func TestEndlessAnswersEnd(t *testing.T) {
	var a answer
	for name, c := range map[string]struct{ begin, again string }{
		"body":     {"HTTP/1.1 200 OK\r\n\r\n", strings.Repeat("x", 8<<10)},
		"chunks":   {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1000\r\n" + strings.Repeat("x", 0x1000) + "\r\n"},
		"trailers": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", strings.Repeat("a: b\r\n", 1000)},
	} {
		a.begin(false)
		text, fed := c.begin, 0
		for {
			for len(text) > 0 {
				n := copy(a.room(), text)
				text = text[n:]
				fed += n
				if _, err := a.filled(n); err != nil {
					fed = -1
					if !errors.Is(err, errLongBody) {
						t.Errorf("%s: %v", name, err)
					}
					break
				}
			}
			if fed < 0 {
				break
			}
			if fed > 2*maxBody {
				t.Fatalf("%s: %d bytes are taken", name, fed)
			}
			text = c.again
		}
	}
}

// What is read does not depend on how it is cut into pieces.
func FuzzAnswer(f *testing.F) {
	for _, c := range answers {
		f.Add([]byte(c.text), uint8(3), c.head)
	}
	f.Fuzz(func(t *testing.T, text []byte, n uint8, head bool) {
		var a, b answer
		errA := feed(&a, string(text), maxHead, head, true)
		errB := feed(&b, string(text), int(n)+1, head, true)
		if (errA == nil) != (errB == nil) {
			t.Fatalf("whole: %v; in pieces of %d: %v", errA, int(n)+1, errB)
		}
		if errA == nil && (a.status != b.status || a.close != b.close || a.gif != b.gif || a.hasLocation != b.hasLocation || a.size != b.size) {
			t.Fatalf("whole: %d, %t, %d bytes; in pieces: %d, %t, %d bytes", a.status, a.close, a.size, b.status, b.close, b.size)
		}
	})
}
