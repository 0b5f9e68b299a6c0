package inbound

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadDots(t *testing.T) {
	for _, tt := range []struct{ sent, mail, rest string }{
		{".\r\n", "", ""},
		{"a\r\n.\r\nNOOP\r\n", "a\r\n", "NOOP\r\n"},
		{"a\r\n\r\n.\r\n", "a\r\n\r\n", ""},
		{"..\r\n.\r\n", ".\r\n", ""},
		{"a\r\n..b\r\n...\r\n.\r\n", "a\r\n.b\r\n..\r\n", ""},
		{".a\r\n.\r\n", "a\r\n", ""}, // a dot that nobody doubled is taken away all the same, RFC 5321 §4.5.2
		{"a.\r\n.\r\n", "a.\r\n", ""},
		// Only CRLF ends a line; everything else is content.
		{"a\n.\n.\r\n.\r\n", "a\n.\n.\r\n", ""},
		{"a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n", ""},
		{"a\r.\r\nb\r\n.\r\n", "a\r.\r\nb\r\n", ""},
		{"a\r\n.\nb\r\n.\r\n", "a\r\n\nb\r\n", ""},
		{"a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n", ""},
		{"a\n..b\r\n.\r\n", "a\n..b\r\n", ""},
		{"a\r.\rb\r\n.\r\n", "a\r.\rb\r\n", ""},
		// A CR before CRLF belongs to the line.
		{"a\r\r\n.\r\n", "a\r\r\n", ""},
		{"a\r\r\n..x\r\n.\r\n", "a\r\r\n.x\r\n", ""},
		{"\r\r\r\n.\r\n", "\r\r\r\n", ""},
		{".\r\r\n.\r\n", "\r\r\n", ""},
		{"\x00\xff\r\n.\r\n", "\x00\xff\r\n", ""},
	} {
		for name, in := range map[string]io.Reader{
			"at once": strings.NewReader(tt.sent), "by bytes": iotest.OneByteReader(strings.NewReader(tt.sent)),
		} {
			r := bufio.NewReaderSize(in, readAhead)
			b := newBody(1 << 20)
			if err := readDots(r, b); err != nil {
				t.Errorf("%q %s: %v", tt.sent, name, err)
				continue
			}
			if rest, _ := io.ReadAll(r); string(b.bytes) != tt.mail || string(rest) != tt.rest {
				t.Errorf("%q %s: mail %q, rest %q; want %q, %q", tt.sent, name, b.bytes, rest, tt.mail, tt.rest)
			}
			b.release()
			if got := b.budget.left.Load(); got != testBudget {
				t.Errorf("%q: %d of the budget left", tt.sent, got)
			}
		}
	}
}

func TestReadDotsCutShort(t *testing.T) {
	const whole = "a\r\n..b\r\r\n.\r\n"
	for n := range len(whole) {
		b := newBody(1 << 20)
		err := readDots(bufio.NewReader(strings.NewReader(whole[:n])), b)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%q: %v", whole[:n], err)
		}
	}
}

const testBudget = 1 << 30

func newBody(limit int) *body {
	b := &body{budget: &budget{}, max: limit}
	b.budget.left.Store(testBudget)
	return b
}

// FuzzReadDots compares with a reader that goes byte by byte and is written from the RFC, over input cut anywhere.
func FuzzReadDots(f *testing.F) {
	for _, s := range []string{"a\r\n.\r\n", "..\r\n.\r\n", "a\r\r\n.\r\n", "a\n.\n\r\n.\r\nQUIT\r\n", "\r\n\r\n\r\n.", strings.Repeat("x", readAhead-1) + "\r\n.\r\n"} {
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, sent []byte, step uint8) {
		mail, rest, whole := slowDots(sent)
		// The bytes come in steps, with the buffer's end anywhere.
		in := bufio.NewReaderSize(&stepReader{sent, int(step)%16 + 1}, 16+int(step)%64)
		b := newBody(1 << 20)
		err := readDots(in, b)
		if whole != (err == nil) {
			t.Fatalf("%q: %v, want whole %v", sent, err, whole)
		}
		if !whole {
			return
		}
		if got, _ := io.ReadAll(in); !bytes.Equal(b.bytes, mail) || !bytes.Equal(got, rest) {
			t.Fatalf("%q: mail %q, rest %q; want %q, %q", sent, b.bytes, got, mail, rest)
		}
	})
}

// slowDots takes lines apart at CRLF, one after the other.
func slowDots(sent []byte) (mail, rest []byte, whole bool) {
	for {
		line, after, ok := bytes.Cut(sent, []byte("\r\n"))
		switch {
		case !ok:
			return nil, nil, false
		case string(line) == ".":
			return mail, after, true
		}
		mail = append(append(mail, bytes.TrimPrefix(line, []byte("."))...), "\r\n"...)
		sent = after
	}
}

type stepReader struct {
	rest []byte
	step int
}

func (r *stepReader) Read(b []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), r.step)], r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func TestBodyBounds(t *testing.T) {
	piece := make([]byte, 10_000)
	t.Run("size", func(t *testing.T) {
		b := newBody(100_000)
		for i := range 11 {
			if err := b.append(piece); err != nil {
				t.Fatal(err)
			}
			if want := i == 10; want != (b.refusal == replyTooBig) {
				t.Errorf("after %d bytes: %v", (i+1)*len(piece), b.refusal)
			}
		}
		if got := b.budget.left.Load(); got != testBudget {
			t.Errorf("a refused mail holds %d bytes", testBudget-got)
		}
		for b.discarded+len(piece) <= maxDiscard {
			if err := b.append(piece); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.append(piece); !errors.Is(err, errDiscarded) {
			t.Errorf("beyond maxDiscard: %v", err)
		}
	})
	t.Run("reserve", func(t *testing.T) {
		const largest = 2 * smallBody
		var shared budget
		shared.set(8*largest, largest)
		fill := func() *body {
			b := &body{budget: &shared, max: largest}
			for b.refusal == nil && len(b.bytes)+len(piece) <= largest {
				if err := b.append(piece); err != nil {
					t.Fatal(err)
				}
			}
			return b
		}
		var kept int64
		for b := fill(); b.refusal == nil; b = fill() {
			kept += int64(cap(b.bytes))
		}
		if kept == 0 || kept > 6*largest {
			t.Errorf("large mails took %d bytes, want some, and no more than three quarters", kept)
		}
		small := &body{budget: &shared, max: largest}
		if err := small.append(make([]byte, smallBody)); err != nil || small.refusal != nil {
			t.Errorf("a small mail beside them: %v, %v", small.refusal, err)
		}
		shared.set(2*largest, largest)
		if b := fill(); b.refusal != nil {
			t.Errorf("the largest mail in the least memory: %v", b.refusal)
		}
	})
	t.Run("memory", func(t *testing.T) {
		b := newBody(1 << 20)
		b.budget.left.Store(100_000) // 32 KiB fit, twice that beside it does too, and no more
		n := 0
		for b.refusal == nil {
			if err := b.append(piece); err != nil {
				t.Fatal(err)
			}
			n++
		}
		if b.refusal != replyNoMemory || n != 7 {
			t.Errorf("%v after %d pieces", b.refusal, n)
		}
		if got := b.budget.left.Load(); got != 100_000 {
			t.Errorf("%d left", got)
		}
	})
}
