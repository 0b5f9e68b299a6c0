package api

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"syscall"
	"testing"
)

// suppressSome suppresses n addresses of the account acme, u0@example.com on, by an import.
func (w *world) suppressSome(n int) {
	w.t.Helper()
	w.sendLines("/v1/suppressions", `{"account":"acme","address":"u%d@example.com","reason":"bounce"}`+"\n", linesType, n, 1)
}

// sendLines sends n lines of a format and counts the answers; more is how many come beside them.
func (w *world) sendLines(path, format, contentType string, n, more int) {
	w.t.Helper()
	r, err := http.NewRequest("POST", w.base+path, &lines{format: format, n: n})
	must(w.t, err)
	r.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(r)
	must(w.t, err)
	defer resp.Body.Close()
	if got := countLines(w.t, resp.Body); got != n+more {
		w.t.Fatalf("%d answers to %d lines", got, n)
	}
}

func countLines(t testing.TB, in io.Reader) (n int) {
	t.Helper()
	buf := make([]byte, 64<<10)
	for {
		k, err := in.Read(buf)
		n += bytes.Count(buf[:k], []byte("\n"))
		if err == io.EOF {
			return n
		}
		must(t, err)
	}
}

// A check of many addresses, of which a third is suppressed, or all are: the whole way over loopback.
func BenchmarkSuppressionCheck(b *testing.B) {
	const text, plain = "u%d@example.com\n", "text/plain"
	for _, c := range []struct {
		name, format, contentType string
		suppressed                int // one in so many
	}{
		{"text", text, plain, 3},
		{"json", `{"account":"acme","address":"u%d@example.com"}` + "\n", linesType, 3},
		{"all", text, plain, 1},
	} {
		b.Run(c.name, func(b *testing.B) {
			w := newWorld(b, nil)
			w.suppressSome(max(1, b.N/c.suppressed))
			b.ResetTimer()
			before := cpuTime(b, syscall.RUSAGE_SELF)
			w.sendLines("/v1/suppressions/check?account=acme", c.format, c.contentType, b.N, 0)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "addresses/s")
			b.ReportMetric(each(cpuTime(b, syscall.RUSAGE_SELF)-before, b.N), "cpu-ns/op")
		})
	}
}

func BenchmarkSuppressionImport(b *testing.B) {
	w := newWorld(b, nil)
	b.ResetTimer()
	before := cpuTime(b, syscall.RUSAGE_SELF)
	w.suppressSome(b.N)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
	b.ReportMetric(each(cpuTime(b, syscall.RUSAGE_SELF)-before, b.N), "cpu-ns/op")
}

// Registrations whose recipients are looked up: none of the account's is suppressed, others are, all are.
func BenchmarkBulkRegistrationsSuppressed(b *testing.B) {
	const line = `{"account":"acme","sender":"alice@example.com","sequence":"q4-launch","contact":"c-9812","message":"20261121174503.%[1]d.alice@mail.example.com",` +
		`"recipient":"%[2]s%[1]d@example.com","links":["https://example.com/offers?utm_source=mail#a","https://example.com/imprint"],"sent_at":"2026-11-21T12:00:00Z"}` + "\n"
	for _, c := range []struct {
		name, recipient string
		suppressed      int
	}{{"nobody", "v", 0}, {"others", "v", 20_000}, {"all", "u", 20_000}} {
		b.Run(c.name, func(b *testing.B) {
			w := newWorld(b, nil)
			w.suppressSome(c.suppressed)
			format := fmt.Sprintf(line, -1, c.recipient)
			format = string(bytes.ReplaceAll([]byte(format), []byte("-1"), []byte("%[1]d")))
			b.ResetTimer()
			w.sendLines("/v1/messages", format, linesType, b.N, 0)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
		})
	}
}

// An export takes no more memory the more rows it has.
func BenchmarkSuppressionExport(b *testing.B) {
	w := newWorld(b, nil)
	w.suppressSome(max(b.N, 1))
	r, err := http.NewRequest("GET", w.base+"/v1/suppressions?account=acme", nil)
	must(b, err)
	r.Header.Set("Accept", "text/csv")
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	resp, err := http.DefaultClient.Do(r)
	must(b, err)
	defer resp.Body.Close()
	if n := countLines(b, resp.Body); n != max(b.N, 1)+1 {
		b.Fatalf("%d rows of %d", n, b.N)
	}
	b.StopTimer()
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric((float64(after.HeapInuse)-float64(before.HeapInuse))/(1<<20), "MB-more")
}
