package report

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"
)

// TestTimeIsLinear compares what mails of two sizes cost, in CPU time of this process: eight times the size may cost
// eight times as much, and with all the noise of a busy machine not nearly the sixty-four times of a square.
func TestTimeIsLinear(t *testing.T) {
	const small, times, most = maxText / 8, 8, 32
	for name, c := range map[string]struct{ head, unit string }{
		"nothing said about an address": {"From: mailer-daemon@example.com\n\nHi. This is the qmail-send program\n\n<a@example.com>:\n", "\n"},
		"numbers about an address":      {"From: mailer-daemon@example.com\n\nHi. This is the qmail-send program\n\n<a@example.com>:\n", "1\n\n"},
		"addresses with nothing said":   {"From: mailer-daemon@example.com\n\nHi. This is the qmail-send program\n\n", "<a@b.example>:\n\n"},
		"ornaments":                     {"From: mailer-daemon@example.com\nX-Failed-Recipients: a@example.com\n\n", "> "},
		"transcript":                    {"From: mailer-daemon@example.com\n\nTranscript of session follows\n", "<<< 550\n"},
		"unclosed tags":                 {"From: mailer-daemon@example.com\nContent-Type: text/html\n\n", "<style>"},
	} {
		t.Run(name, func(t *testing.T) {
			cost := func(size int) time.Duration {
				mail := filled(c.head, c.unit, size)
				least := time.Duration(math.MaxInt64)
				for range 5 {
					began := cpuTime()
					for range 4 {
						Read(mail)
					}
					least = min(least, cpuTime()-began)
				}
				return least
			}
			if one, many := cost(small), cost(times*small); many > most*max(one, 50*time.Microsecond) {
				t.Errorf("%d times the size costs %v, which is %.0f times %v", times, many, float64(many)/float64(one), one)
			}
		})
	}
}

// TestOneValueOfAThousandFindings holds that a value which all findings of a report share costs no more memory than the
// mail, and that what is far too long is no value at all.
func TestOneValueOfAThousandFindings(t *testing.T) {
	long := strings.Repeat("x", 1<<18)
	for name, mail := range map[string]string{
		"message id": "From: a@example.com\nMessage-ID: <" + long + ">\n\nx",
		"ref":        "From: a@example.com\nX-Carom-Ref: " + long + "\n\nx",
		"original id": "From: a@example.com\nContent-Type: message/delivery-status\n\nX-Original-Message-ID: <" + long + ">\n\n" +
			strings.Repeat("Final-Recipient: rfc822; a@example.com\nAction: failed\n\n", 100),
		"source": "From: a@example.com\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nSource-IP: " + long + "\n" +
			strings.Repeat("Original-Rcpt-To: a@example.com\n", 100),
	} {
		t.Run(name, func(t *testing.T) {
			r := &reader{tables: compiled()}
			check(t, r.read([]byte(mail)))
			if cap(r.out) >= len(long) {
				t.Errorf("%d bytes were laid out for strings", cap(r.out))
			}
		})
	}
}

// TestFieldsAreBounded holds that one line of megabytes is no field of megabytes.
func TestFieldsAreBounded(t *testing.T) {
	var h header
	h.parse(append([]byte("References:"), bytes.Repeat([]byte("<>"), maxHeader)...))
	if n := len(h[fReferences]); n != maxHeader {
		t.Errorf("the field has %d bytes, want %d", n, maxHeader)
	}
}
