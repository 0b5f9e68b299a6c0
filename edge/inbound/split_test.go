package inbound

import (
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"carom/pipeline/event"
)

// talk is what a client sends in one session, at the ends of its commands and mails cut into pieces.
func talk(f *fixture) []string {
	bounce := dsn("bob@example.org", "5.1.1", "")
	to := "RCPT TO:<" + f.returnPath() + ">\r\n"
	return []string{
		"EHLO client.example.net\r\n",
		"MAIL FROM:<>\r\n", to, "DATA\r\n", stuff(bounce) + ".\r\n",
		"MAIL FROM:<>\r\n", to, "RCPT TO:<nobody@bounce.example.com>\r\n", fmt.Sprintf("BDAT %d LAST\r\n%s", len(bounce), bounce),
		"NOOP\r\n", "FOO\r\n", "RSET\r\n", "DATA\r\n",
		"MAIL FROM:<a@example.org> SIZE=100\r\n", to, "BDAT 9\r\nSubject: ", "BDAT 2\r\nx\r", "BDAT 3 LAST\r\n\n\r\n",
		"MAIL FROM:<a@example.org>\r\n", "RCPT TO:<" + f.replyTo() + ">\r\n", "DATA\r\n",
		"From: a@example.org\r\nSubject: dots\r\n\r\n..\r\n...\r\n.\n.\r\r\n\r\n..\r\n\n.\n\r.\r..\r\n" + strings.Repeat("long.", 3500) + "\r\n.\r\n",
		"BDAT 4\r\nQUIT", // refused, and no command
		"MAIL FROM:<>\r\n", "RCPT TO:<postmaster>\r\n", "DATA\r\n", "\r\n.\r\n",
		"VRFY bob\r\n", "QUIT\r\n",
	}
}

var anyNumber = regexp.MustCompile(`Ok [0-9a-f]{10} `)

// hear sends a talk in pieces to a server of its own, and returns what came back and what it recorded. With waits, the
// client sends a piece only when the one before it has been answered.
func hear(t *testing.T, cut func(all string) []string, waits bool) (replies string, events []*event.Event) {
	t.Helper()
	f := overPipes(t, nil)
	f.now = func() event.Millis { return now }
	c := f.dial()
	pieces := talk(f)
	if cut != nil {
		pieces = cut(strings.Join(pieces, ""))
	}
	var heard strings.Builder
	if waits {
		for _, p := range append([]string{""}, pieces...) {
			if p != "" {
				c.send(p)
			}
			r, err := c.reply()
			if err != nil {
				t.Fatalf("after %.60q: %v", p, err)
			}
			heard.WriteString(strings.ReplaceAll(r, "\n", "\r\n") + "\r\n")
		}
	} else {
		go func() {
			for _, p := range pieces {
				if _, err := io.WriteString(c, p); err != nil {
					return
				}
			}
		}()
	}
	rest, err := io.ReadAll(c.r)
	if err != nil {
		t.Fatal(err)
	}
	heard.Write(rest)
	if err := f.stop(); err != nil {
		t.Fatal(err)
	}
	return anyNumber.ReplaceAllString(heard.String(), "Ok NUMBER "), f.sink.all()
}

// TestAnyCut cuts one session into reads in many ways: byte by byte, at random, in one piece; and plays it with a client
// that pipelines nothing, which also shows that no reply waits for the next command. All get the same.
func TestAnyCut(t *testing.T) {
	replies, events := hear(t, nil, true)
	if n := strings.Count(replies, " events=1\r\n"); n != 3 || len(events) != 3 {
		t.Fatalf("%d mails told something, %d events; want 3:\n%s", n, len(events), replies)
	}
	random := newRandom(t)
	upTo := func(most int) func(string) []string {
		return func(all string) (pieces []string) {
			for all != "" {
				n := min(1+random.IntN(most), len(all))
				pieces, all = append(pieces, all[:n]), all[n:]
			}
			return pieces
		}
	}
	for _, most := range []int{1, 2, 3, 10, 100, 1000, 5000, 1 << 20} {
		got, told := hear(t, upTo(most), false)
		if got != replies {
			t.Errorf("in pieces of %d: replies\n%s\nwant\n%s", most, got, replies)
		}
		if !reflect.DeepEqual(told, events) {
			t.Errorf("in pieces of %d: events %+v, want %+v", most, told, events)
		}
	}
}
