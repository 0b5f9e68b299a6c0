package track

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/valyala/fasthttp"

	"carom/edge/ref"
	"carom/pipeline"
	"carom/pipeline/event"
)

// noSink takes everything and does nothing.
type noSink struct{}

func (noSink) Hit(*event.Event, *event.Request) error                     { return nil }
func (noSink) HitThen(_ *event.Event, _ *event.Request, done func(error)) { done(nil) }
func (noSink) Facts(...*event.Event) error                                { return nil }

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
		for _, connections := range []int{1, 64, 1024} {
			b.Run(fmt.Sprintf("%s/%d", name, connections), func(b *testing.B) { benchmarkAtOnce(b, w, target, connections) })
		}
	}
}

func benchmarkHandler(b *testing.B, w *whole, target string) {
	ctx := inProcess(b, browserRequest(target))
	b.ReportAllocs()
	for b.Loop() {
		ctx.Response.Reset()
		w.handle(ctx)
	}
}

// benchmarkAtOnce lets so many connections wait for their answers at once.
func benchmarkAtOnce(b *testing.B, w *whole, target string, connections int) {
	contexts := make([]*fasthttp.RequestCtx, connections)
	for i := range contexts {
		contexts[i] = inProcess(b, browserRequest(target))
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for _, ctx := range contexts {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				ctx.Response.Reset()
				w.handle(ctx)
			}
		})
	}
	wg.Wait()
}

// BenchmarkServer measures requests over one connection in memory: fasthttp's share is in it.
func BenchmarkServer(b *testing.B) {
	w := newWhole(b, pipeline.Default(), behindProxies())
	w.sink = noSink{}
	request := browserRequest("/o/" + seal(b, w.keys, ref.OpenPixel, typical) + ".gif")
	c := &repeatingConn{request: request, left: b.N, null: openNull(b)}
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
	null    *os.File
}

func (c *repeatingConn) Read(b []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	c.left--
	return copy(b, c.request), nil
}

func (c *repeatingConn) Write(b []byte) (int, error) { return len(b), nil }

func (c *repeatingConn) SyscallConn() (syscall.RawConn, error) { return c.null.SyscallConn() }

// openNull opens what takes everything.
func openNull(tb testing.TB) *os.File {
	tb.Helper()
	f, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = f.Close() })
	return f
}
