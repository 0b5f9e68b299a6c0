package inbound

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/pipeline/event"
)

type nullSink struct{}

func (nullSink) Facts(...*event.Event) error { return nil }

// BenchmarkMail delivers mails over loopback, each on the connection of its goroutine: by DATA, and by BDAT with
// everything pipelined 20 deep. The bare library, with a backend that reads and drops the mail, stands beside it; ours
// also reads the report and makes its event.
//
//	go test -run '^$' -bench Mail -benchmem -cpu 2 ./edge/inbound
func BenchmarkMail(b *testing.B) {
	short := "From: bob@example.org\r\nSubject: Re: Hello\r\nMessage-ID: <r@example.org>\r\n\r\nYes.\r\n"
	for _, mail := range []struct{ name, text string }{{"reply", short}, {"dsn", dsn("bob@example.org", "5.1.1", "")}} {
		for _, way := range []struct {
			name string
			deep int
			send func(to, mail string) string
		}{
			{"data", 1, byData}, {"bdat", 20, byChunk},
		} {
			b.Run("bare/"+mail.name+"/"+way.name, func(b *testing.B) {
				server := bare(b, loopback(b), func(s *smtp.Server) { s.MaxLineLength = 0 }, func(r io.Reader) error {
					_, err := io.Copy(io.Discard, r)
					return err
				})
				benchmark(b, server.addr, way.send("bob@example.com", mail.text), way.deep, len(mail.text))
			})
			b.Run("ours/"+mail.name+"/"+way.name, func(b *testing.B) {
				o := validOptions()
				o.Listen, o.PostmasterDir, o.MaxMessagesPerConnection = "127.0.0.1:0", b.TempDir(), 1_000_000
				s, err := New(o, keyring(b, ourKeys), nullSink{}, zap.NewNop(), prometheus.NewRegistry())
				if err != nil {
					b.Fatal(err)
				}
				if err := s.Listen(); err != nil {
					b.Fatal(err)
				}
				f := &fixture{Server: s, t: b, sink: &sink{}, keys: keyring(b, ourKeys)}
				f.run()
				to := f.replyTo()
				if mail.name == "dsn" {
					to = f.returnPath()
				}
				benchmark(b, f.Addr(), way.send(to, mail.text), way.deep, len(mail.text))
			})
		}
	}
}

func byData(to, mail string) string {
	return "MAIL FROM:<>\r\nRCPT TO:<" + to + ">\r\nDATA\r\n\x00" + stuff(mail) + ".\r\n"
}

func byChunk(to, mail string) string {
	return fmt.Sprintf("MAIL FROM:<>\r\nRCPT TO:<%s>\r\nBDAT %d LAST\r\n%s", to, len(mail), mail)
}

// benchmark sends b.N mails, deep of them before it reads the replies. A NUL in the mail waits for what was asked.
func benchmark(b *testing.B, addr net.Addr, mail string, deep, size int) {
	b.ReportAllocs()
	b.SetBytes(int64(size))
	group := strings.Repeat(mail, deep)
	envelope, data, waits := strings.Cut(group, "\x00")
	before := cpuTime()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		conn, err := net.Dial("tcp", addr.String())
		if err != nil {
			b.Error(err)
			return
		}
		defer conn.Close()
		r := bufio.NewReader(conn)
		expect := func(n int) bool {
			for range n {
				line, err := r.ReadSlice('\n')
				if err != nil || line[0] > '3' {
					b.Errorf("%q, %v", line, err)
					return false
				}
				for line[3] == '-' {
					line, _ = r.ReadSlice('\n')
				}
			}
			return true
		}
		expect(1)
		_, _ = io.WriteString(conn, "EHLO client.example.net\r\n")
		expect(1)
		for n := 0; pb.Next(); n++ {
			if n%deep != 0 {
				continue // sent with its group
			}
			_, _ = io.WriteString(conn, envelope)
			if !expect(3 * deep) {
				return
			}
			if waits {
				_, _ = io.WriteString(conn, data)
				if !expect(1) {
					return
				}
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
	b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/mail")
}

// cpuTime is what the process has used, client and server, whatever else the machine does.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
