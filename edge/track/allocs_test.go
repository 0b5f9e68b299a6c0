//go:build !race

// The race detector makes pools forget what they hold, at random, so that allocations can't be counted.

package track

import (
	"testing"

	"carom/edge/ref"
	"carom/pipeline"
)

// TestHitAllocatesNothing counts the allocations on the whole way of a hit, from the request to the journal's disk.
func TestHitAllocatesNothing(t *testing.T) {
	accept := pipeline.Default()
	accept.RepeatEntries = 0 // every hit is recorded
	accept.KeepAgent = pipeline.KeepTruncated
	w := newWhole(t, accept, behindProxies())
	for name, target := range map[string]string{
		"open":  "/o/" + seal(t, w.keys, ref.OpenPixel, typical) + ".gif",
		"click": "/c/" + seal(t, w.keys, ref.Click, linkTo("https://example.com/offers?utm_source=mail")),
	} {
		ctx := inProcess(t, browserRequest(target))
		_, before := w.journal.Bounds()
		const runs = 1000
		if n := testing.AllocsPerRun(runs, func() {
			ctx.Response.Reset()
			w.handle(ctx)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if _, after := w.journal.Bounds(); after-before != runs+1 { // AllocsPerRun warms up once
			t.Errorf("%s: %d records, want %d", name, after-before, runs+1)
		}
	}
}
