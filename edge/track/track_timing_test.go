package track

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"carom/edge/ref"
	"carom/pipeline"
	"carom/pipeline/event"
)

// noSink takes everything and does nothing.
type noSink struct{}

func (noSink) Hit(*event.Event, *event.Request) error { return nil }
func (noSink) Facts(...*event.Event) error            { return nil }

// BenchmarkHandler measures the edge alone: route, token, headers, answer.
func BenchmarkHandler(b *testing.B) {
	w := newWhole(b, pipeline.Default(), behindProxies())
	w.sink = noSink{}
	for name, target := range map[string]string{
		"open":  "/o/" + seal(b, w.keys, ref.OpenPixel, typical) + ".gif",
		"click": "/c/" + seal(b, w.keys, ref.Click, linkTo("https://example.com/offers?utm_source=mail")),
		"bad":   "/o/" + strings.Repeat("A", 200),
	} {
		b.Run(name, func(b *testing.B) { benchmarkHandler(b, w, target) })
	}
}

// BenchmarkWhole measures the way of an open from the request to the journal, which is in memory here: what is left out
// is the socket, the parsing of the request, and a real disk.
func BenchmarkWhole(b *testing.B) {
	for _, entries := range []int{0, 1 << 17} {
		accept := pipeline.Default()
		accept.RepeatEntries = entries
		w := newWhole(b, accept, behindProxies())
		name := "recorded"
		if entries > 0 {
			name = "repeat"
		}
		target := "/o/" + seal(b, w.keys, ref.OpenPixel, typical) + ".gif"
		for _, parallel := range []int{1, 64, 1024} {
			b.Run(fmt.Sprintf("%s/%d", name, parallel), func(b *testing.B) {
				b.SetParallelism(parallel)
				benchmarkHandler(b, w, target)
			})
		}
	}
}

func benchmarkHandler(b *testing.B, w *whole, target string) {
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		ctx := inProcess(b, browserRequest(target))
		for pb.Next() {
			ctx.Response.Reset()
			w.handle(ctx)
		}
	})
}

// BenchmarkServer measures requests over one connection in memory: fasthttp's share is in it.
func BenchmarkServer(b *testing.B) {
	w := newWhole(b, pipeline.Default(), behindProxies())
	w.sink = noSink{}
	request := browserRequest("/o/" + seal(b, w.keys, ref.OpenPixel, typical) + ".gif")
	c := &repeatingConn{request: request, left: b.N}
	b.SetBytes(int64(len(request)))
	b.ReportAllocs()
	b.ResetTimer()
	_ = w.http.ServeConn(newListener(nil, w.Server).admit(c))
	if c.left != 0 {
		b.Fatalf("%d requests were not read", c.left)
	}
}

// repeatingConn sends one request again and again, and takes the answers.
type repeatingConn struct {
	scriptedConn
	request string
	left    int
}

func (c *repeatingConn) Read(b []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	c.left--
	return copy(b, c.request), nil
}

func (c *repeatingConn) Write(b []byte) (int, error) { return len(b), nil }
