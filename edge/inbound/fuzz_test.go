package inbound

import (
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	replyLine = regexp.MustCompile(`^[2-5][0-9][0-9][ -][\x20-\x7e]*$`)
	taken     = regexp.MustCompile(`^250 2\.0\.0 Ok [0-9a-f]{10} events=([0-9]+)$`)
)

// FuzzSession sends anything in each state of a session, cut into pieces anywhere. Whatever it is, the server answers
// in SMTP and ends the connection in time; every event in the sink was answered, and all memory is given back.
func FuzzSession(f *testing.F) {
	for state := range uint8(6) {
		f.Add(state, uint16(7), []byte("MAIL FROM:<a@example.org> SIZE=5 SMTPUTF8\r\nRCPT TO:<postmaster>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"))
		f.Add(state, uint16(0), []byte("BDAT 5\r\nhelloBDAT 6 LAST\r\nworld!BDAT 4 FIRST\r\nNOOPRSET\r\nHELP\r\n"))
		f.Add(state, uint16(1), []byte("Subject: x\r\n\r\r\n..\r\n.\r\nSTARTTLS\r\n\x16\x03\x01"))
		f.Add(state, uint16(500), []byte(dsn("bob@example.org", "5.1.1", "")+".\r\nQUIT\r\n"))
		f.Add(state, uint16(3), []byte("\n.\n\r.\r\x00\xff"+strings.Repeat("x", 2000)+"\r\n"))
	}
	box := f.TempDir()
	f.Fuzz(func(t *testing.T, state uint8, step uint16, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			s := overPipes(t, func(o *Options) { o.PostmasterDir, o.PostmasterMaxMails = box, 100 })
			sent := stateOf(s, state) + string(data)
			c := s.dial()
			go sendPieces(c, sent, int(step)+1)
			began := time.Now()
			replies, err := io.ReadAll(c)
			if err != nil {
				t.Errorf("read: %v", err)
			}
			if took := time.Since(began); took > s.options.SessionTimeout {
				t.Errorf("ended after %v", took)
			}
			told := 0
			for _, line := range strings.Split(strings.TrimSuffix(string(replies), "\r\n"), "\r\n") {
				if !replyLine.MatchString(line) {
					t.Errorf("reply %q", line)
				}
				if m := taken.FindStringSubmatch(line); m != nil {
					n, _ := strconv.Atoi(m[1])
					told += n
				}
			}
			if n := len(s.sink.all()); n != told {
				t.Errorf("%d events in the sink, %d answered", n, told)
			}
			c.Close()
			if err := s.stop(); err != nil {
				t.Error(err)
			}
			if left := s.budget.left.Load(); left != s.options.MaxMemoryBytes {
				t.Errorf("%d bytes of the budget are gone", s.options.MaxMemoryBytes-left)
			}
			if n := s.count(s.metrics.panics); n > 0 {
				t.Errorf("%v panics", n)
			}
		})
	})
}

// stateOf returns what brings a session into one of six states.
func stateOf(f *fixture, state uint8) string {
	steps := []string{"EHLO client.example.net\r\n", "MAIL FROM:<>\r\n", "RCPT TO:<" + f.returnPath() + ">\r\n", "DATA\r\n"}
	if state %= 6; state == 5 {
		return strings.Join(steps[:3], "") + "BDAT 11\r\nSubject: x\r"
	}
	return strings.Join(steps[:state], "")
}

func sendPieces(w io.Writer, text string, step int) {
	for text != "" {
		n := min(step, len(text))
		if _, err := io.WriteString(w, text[:n]); err != nil {
			return
		}
		text = text[n:]
	}
}
