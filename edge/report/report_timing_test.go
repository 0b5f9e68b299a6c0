package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// corpusMails returns the mails of the corpus that $CAROM_CORPUS names, or skips.
func corpusMails(tb testing.TB) [][]byte {
	tb.Helper()
	dir := os.Getenv("CAROM_CORPUS")
	if dir == "" {
		tb.Skip("CAROM_CORPUS names no corpus")
	}
	files, err := filepath.Glob(filepath.Join(dir, "bounces", "mail", "*.eml"))
	if err != nil || len(files) == 0 {
		tb.Skipf("no mails below %s", dir)
	}
	mails := make([][]byte, len(files))
	for i, f := range files {
		if mails[i], err = os.ReadFile(f); err != nil {
			tb.Fatal(err)
		}
	}
	return mails
}

func BenchmarkReadCorpus(b *testing.B) {
	mails := corpusMails(b)
	size := 0
	for _, m := range mails {
		size += len(m)
	}
	b.SetBytes(int64(size / len(mails)))
	b.ReportAllocs()
	i, start := 0, cpuTime()
	for b.Loop() {
		Read(mails[i])
		if i++; i == len(mails) {
			i = 0
		}
	}
	b.ReportMetric(float64(b.N)/(cpuTime()-start).Seconds(), "mails/cpu-s")
}

// cpuTime returns the CPU time that the process has used: on a shared machine the time that counts.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkReadGolden(b *testing.B) {
	for _, name := range []string{"postfix-dsn", "vacation", "feedback-abuse", "exim"} {
		mail, err := os.ReadFile(filepath.Join("testdata", "mail", name+".eml"))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(mail)))
			b.ReportAllocs()
			for b.Loop() {
				Read(mail)
			}
		})
	}
}

// BenchmarkReadSizes shows that time grows with size and no faster, for bodies that are hard to search and
// for one that need not be searched.
func BenchmarkReadSizes(b *testing.B) {
	for _, size := range []int{64 << 10, 1 << 20, 10 << 20} {
		for _, c := range []struct {
			name string
			mail []byte
		}{
			{"returned-last", largeReport(size, true)},
			{"returned-first", largeReport(size, false)},
			{"dashes", filled("Content-Type: multipart/report; boundary=x\nFrom: a@example.com\n\n--x\n\n", "--x-\n", size)},
			{"folds", filled("From: a@example.com\nSubject:", "\n a", size)},
			{"recipients", filled("Content-Type: message/delivery-status\nFrom: mailer-daemon@example.com\n\n", "Final-Recipient: rfc822;a@example.com\nAction: failed\n\n", size)},
			{"nested", nestedParts(size)},
		} {
			b.Run(fmt.Sprintf("%s/%dK", c.name, size>>10), func(b *testing.B) {
				b.SetBytes(int64(len(c.mail)))
				b.ReportAllocs()
				for b.Loop() {
					Read(c.mail)
				}
			})
		}
	}
}

func BenchmarkReadReply(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		ReadReply("550-5.1.1 The email account that you tried to reach does not exist.\r\n550 5.1.1 Try again - gsmtp")
	}
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
