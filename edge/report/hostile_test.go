package report

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// hostileShapes are mails that are hard to read, of any size.
var hostileShapes = []struct {
	name string
	mail func(size int) []byte
}{
	{"returned last", func(size int) []byte { return largeReport(size, true) }},
	{"returned first", func(size int) []byte { return largeReport(size, false) }},
	{"nested multiparts", nestedParts},
	{"many parts", of("Content-Type: multipart/mixed; boundary=b\nFrom: a@example.com\n\n", "--b\n\nx\n")},
	{"boundary look-alikes", of("Content-Type: multipart/report; boundary=x\nFrom: a@example.com\n\n--x\n\n", "--x-\n")},
	{"long boundary look-alikes", of("Content-Type: multipart/report; boundary="+strings.Repeat("-", 60)+"\nFrom: a@example.com\n\n--x\n\n", "-")},
	{"endless header", of("From: a@example.com\n", "X-A: b\n")},
	{"endless fold", of("From: a@example.com\nSubject:", "\n a")},
	{"long line", of("From: a@example.com\nSubject: ", "x")},
	{"line ends", of("From: mailer-daemon@example.com\n\n", "\n")},
	{"recipients", of("Content-Type: message/delivery-status\nFrom: mailer-daemon@example.com\n\n", "Final-Recipient: rfc822;a@example.com\nAction: failed\n\n")},
	{"recipients and their words", of("Content-Type: message/delivery-status\nFrom: mailer-daemon@example.com\n\n",
		"Final-Recipient: rfc822;a@example.com\nAction: failed\nDiagnostic-Code: smtp; 550 5.7.1 "+strings.Repeat("mailbox account address domain user rejected full disabled ", 60)+"\n\n")},
	{"base64", of("From: mailer-daemon@example.com\nContent-Transfer-Encoding: base64\n\n", "aGVsbG8gd29ybGQsIGhlbGxvIHdvcmxkLCBoZWxsbyB3b3JsZCwgaGVsbG8gd29ybGQs\n")},
	{"quoted-printable", of("From: mailer-daemon@example.com\nContent-Transfer-Encoding: quoted-printable\n\n", "=C3=BC=\n")},
	{"encoded words", of("From: a@example.com\nSubject: ", "=?utf-8?q?=41?= ")},
	{"html", of("From: mailer-daemon@example.com\nContent-Type: text/html\n\n", "&#x41;<style><p>")},
	{"addresses", of("From: mailer-daemon@example.com\nSubject: failure notice\n\nHi. This is the qmail-send program\n\n", "<a@b.example>:\n550 no\n\n")},
	{"json", of("From: mailer-daemon@example.com\n\n{\"notificationType\":\"Bounce\",\"bounce\":", "{\"bounce\":[")},
	{"CR alone", of("From: mailer-daemon@example.com\r\r", "a\r")},
	{"escapes", of("From: mailer-daemon@example.com\nSubject: failure notice\n\nHi. This is the qmail-send program\n\n<a@b.example>:\n", "\x1b$B!!\x1b(B")},
}

// of makes mails of a head and a unit that comes again and again.
func of(head, unit string) func(size int) []byte {
	return func(size int) []byte { return filled(head, unit, size) }
}

func filled(head, unit string, size int) []byte {
	return append([]byte(head), bytes.Repeat([]byte(unit), size/len(unit))...)
}

// largeReport is a report that returns a message of the given size behind its status part, or before it.
func largeReport(size int, last bool) []byte {
	const status = "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.com\n\n" +
		"Final-Recipient: rfc822; bob@example.net\nAction: failed\nStatus: 5.1.1\n\n"
	returned := append([]byte("--b\nContent-Type: message/rfc822\n\nMessage-ID: <1@example.com>\n\n"), bytes.Repeat([]byte("--aGVsbG8gd29ybGQsIGhlbGxvIHdvcmxkLCBoZWxsbyB3b3JsZCwgaGVsbG8gd29ybGQ\n"), size/70)...)
	mail := []byte("From: mailer-daemon@example.com\nMessage-ID: <2@example.com>\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n")
	if last {
		return append(append(append(mail, status...), returned...), "--b--\n"...)
	}
	return append(append(append(mail, returned...), status...), "--b--\n"...)
}

// nestedParts is a mail whose multiparts are opened again and again and never closed.
func nestedParts(size int) []byte {
	mail := []byte("From: a@example.com\nContent-Type: multipart/mixed; boundary=b0\n\n")
	for i := 0; len(mail) < size; i++ {
		mail = fmt.Appendf(mail, "--b%d\nContent-Type: multipart/mixed; boundary=b%d\n\n", i, i+1)
	}
	return mail
}

// maxAllocated is what one Read may allocate at most, whatever the mail: a status part that is copied, or the text and
// what is decoded from it, and the strings of a thousand facts, each with slack for buffers that grow.
const maxAllocated = 16 << 20

// TestMemoryIsBounded holds that a mail of ten megabytes takes no more memory than the bounds of limits.go allow, and
// hardly more than one of two megabytes: what is beyond the bounds costs nothing.
func TestMemoryIsBounded(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates too")
	}
	for _, shape := range hostileShapes {
		t.Run(shape.name, func(t *testing.T) {
			allocated := func(size int) uint64 {
				mail, least := shape.mail(size), uint64(1<<63)
				for range 3 { // other goroutines allocate as well
					r := &reader{tables: compiled()}
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					check(t, r.read(mail))
					runtime.ReadMemStats(&after)
					least = min(least, after.TotalAlloc-before.TotalAlloc)
				}
				return least
			}
			small, large := allocated(2<<20), allocated(10<<20)
			if large > maxAllocated || large > small+small/4+1<<16 {
				t.Errorf("2 MB allocate %d bytes, 10 MB %d", small, large)
			}
		})
	}
}
