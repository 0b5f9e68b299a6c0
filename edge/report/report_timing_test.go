package report

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
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

// BenchmarkReadCorpus reads the corpus over and over. Beside it, in the same run, the yardstick: what the standard library
// needs to take the same mails apart, without reading a word of them.
func BenchmarkReadCorpus(b *testing.B) {
	mails := corpusMails(b)
	size := 0
	for _, m := range mails {
		size += len(m)
	}
	for _, c := range []struct {
		name string
		read func(mail []byte)
	}{
		{"carom", func(mail []byte) { Read(mail) }},
		{"net-mail", takeApart},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(size / len(mails)))
			b.ReportAllocs()
			i, start := 0, cpuTime()
			for b.Loop() {
				c.read(mails[i])
				if i++; i == len(mails) {
					i = 0
				}
			}
			b.ReportMetric(float64(b.N)/(cpuTime()-start).Seconds(), "mails/cpu-s")
		})
	}
}

// takeApart reads a mail's header and the parts of its first level with net/mail and mime/multipart.
func takeApart(b []byte) {
	m, err := netmail.ReadMessage(bytes.NewReader(b))
	if err != nil {
		return
	}
	_, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || parameters["boundary"] == "" {
		io.Copy(io.Discard, m.Body)
		return
	}
	parts := multipart.NewReader(m.Body, parameters["boundary"])
	for {
		part, err := parts.NextRawPart()
		if err != nil {
			return
		}
		io.Copy(io.Discard, part)
	}
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

// BenchmarkReadSizes shows that time grows with size and no faster, for mails that are hard to read and for one of which
// little need be read: bytes per second must not fall from one size to the next.
func BenchmarkReadSizes(b *testing.B) {
	for _, shape := range hostileShapes {
		for _, size := range []int{64 << 10, 1 << 20, 10 << 20} {
			b.Run(fmt.Sprintf("%s/%dK", shape.name, size>>10), func(b *testing.B) {
				mail := shape.mail(size)
				b.SetBytes(int64(len(mail)))
				b.ReportAllocs()
				for b.Loop() {
					Read(mail)
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
