package kafka

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// kafka-go sets no deadline while it authenticates: a broker that falls silent then must not hold us for ever.
func TestConnNeverStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		c := &conn{Conn: ours, address: "broker:1", stall: time.Minute, greeting: true}
		from := time.Now()
		passed := func(what string, err error, want time.Duration) {
			t.Helper()
			if got := time.Since(from); !errors.Is(err, os.ErrDeadlineExceeded) || got != want {
				t.Errorf("%s: %v after %v, want a time-out after %v", what, err, got, want)
			}
			from = time.Now()
		}
		_, err := c.Read(make([]byte, 10))
		passed("read", err, time.Minute)
		_, err = c.Write(make([]byte, 10))
		passed("write", err, time.Minute)

		// The deadline of a request counts as it is, and no longer than the request.
		if err := c.SetDeadline(time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		_, err = c.Read(make([]byte, 10))
		passed("read with a deadline", err, time.Hour)
		if err := c.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		_, err = c.Read(make([]byte, 10))
		passed("read after it", err, time.Minute)
	})
}

// What was read ahead is given on, whole, to reads of any size.
func TestConnGreeting(t *testing.T) {
	ours, theirs := connected(t) // a net.Pipe takes no deadline once the other end is closed
	sent := []byte{0, 0, 0, 2, 'o', 'k', 'a', 'y'}
	go func() {
		for i := range sent {
			_, _ = theirs.Write(sent[i : i+1])
		}
		_ = theirs.Close()
	}()
	c := &conn{Conn: ours, address: "broker:1", stall: testWait, greeting: true}
	got := make([]byte, len(sent))
	for i := range got {
		if _, err := io.ReadFull(c, got[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if string(got) != string(sent) {
		t.Errorf("got %q, want %q", got, sent)
	}
	var closed *closedError
	if _, err := c.Read(got); !errors.As(err, &closed) || !closed.answered {
		t.Errorf("the end: %v", err)
	}
}

// A broker that swallows packets leaves the others their time.
func TestShareOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
		defer cancel()
		for n, want := range map[int]time.Duration{1: 12 * time.Second, 3: 4 * time.Second} {
			share, cancel := shareOf(ctx, n)
			if deadline, _ := share.Deadline(); time.Until(deadline) != want {
				t.Errorf("one of %d has %v, want %v", n, time.Until(deadline), want)
			}
			cancel()
		}
	})
}

// connected returns both ends of a connection over loopback.
func connected(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if theirs, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if ours, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
	return ours, theirs
}
