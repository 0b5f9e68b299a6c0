package api

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"carom/pipeline/event"
)

const benchRegistration = `{"account":"acme","sender":"alice@example.com","sequence":"q4-launch","contact":"c-9812","message":"20261121174503.%d.alice@mail.example.com",` +
	`"recipient":"bob@example.com","links":["https://example.com/offers?utm_source=mail#a","https://example.com/imprint","https://example.com/preferences"],"sent_at":"2026-11-21T12:00:00Z"}`

const benchFact = `{"kind":"bounce","time":"2026-11-21T12:00:00Z","account":"acme","message":"20261121174503.%d.alice@mail.example.com","reply":"550 5.1.1 user unknown"}`

func BenchmarkReadRegistration(b *testing.B) {
	benchRead(b, registrar(b).readRegistration, fmt.Sprintf(benchRegistration, 1))
}

func BenchmarkReadFact(b *testing.B) { benchRead(b, registrar(b).readFact, fmt.Sprintf(benchFact, 1)) }

func benchRead(b *testing.B, read reader, text string) {
	b.ReportAllocs()
	b.SetBytes(int64(len(text)))
	var dst []byte
	for b.Loop() {
		var e event.Event
		var p *problem
		if dst, p = read(text, event.FromTime(testNow), &e, dst[:0]); p != nil {
			b.Fatal(p)
		}
	}
}

// The whole way of a bulk over loopback, to a journal in memory; refine and rollup take their share of the cores.
func BenchmarkBulkRegistrations(b *testing.B) { benchBulk(b, "/v1/messages", benchRegistration) }

func BenchmarkBulkFacts(b *testing.B) { benchBulk(b, "/v1/events", benchFact) }

func benchBulk(b *testing.B, path, line string) {
	w := newWorld(b, nil)
	body := &lines{format: line + "\n", n: b.N}
	r, err := http.NewRequest("POST", w.base+path, body)
	must(b, err)
	r.Header.Set("Content-Type", linesType)
	b.ReportAllocs()
	b.ResetTimer()
	resp, err := http.DefaultClient.Do(r)
	must(b, err)
	defer resp.Body.Close()
	answers := 0
	buf := make([]byte, 64<<10)
	for {
		n, err := resp.Body.Read(buf)
		answers += bytes.Count(buf[:n], []byte("\n"))
		if err == io.EOF {
			break
		}
		must(b, err)
	}
	b.StopTimer()
	if answers != b.N {
		b.Fatalf("%d answers to %d lines", answers, b.N)
	}
	calls, _ := w.sink.count()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
	b.ReportMetric(float64(b.N)/float64(calls), "lines/commit")
}

// lines reads n lines, each with its number.
type lines struct {
	format string
	i, n   int
	rest   []byte
}

func (l *lines) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		if l.i == l.n {
			return 0, io.EOF
		}
		l.rest = fmt.Appendf(l.rest[:0], l.format, l.i)
		l.i++
		for len(l.rest) < 16<<10 && l.i < l.n {
			l.rest = fmt.Appendf(l.rest, l.format, l.i)
			l.i++
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// One page of events, filtered and not.
func BenchmarkPage(b *testing.B) {
	w := newWorld(b, nil)
	var body strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&body, benchRegistration+"\n", i)
	}
	w.bulk("/v1/messages", body.String())
	w.await(func() bool { _, next := w.events.Bounds(); return next == 2000 })
	for _, query := range []string{"limit=1000", "limit=1000&kind=sent"} {
		b.Run(query, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				a := w.get("/v1/events?" + query)
				b.SetBytes(int64(len(a.body)))
			}
		})
	}
}
