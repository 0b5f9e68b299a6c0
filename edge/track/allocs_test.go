//go:build !race

// The race detector makes pools forget what they hold, at random, so that allocations can't be counted.

package track

import (
	"strings"
	"testing"
	"time"

	"carom/edge/ref"
	"carom/pipeline"
	"carom/pipeline/event"
)

// TestHitAllocatesNothing counts the allocations on the whole way of a hit, from the request to the journal's disk.
func TestHitAllocatesNothing(t *testing.T) {
	accept := pipeline.Default()
	accept.RepeatEntries = 0 // every hit is recorded
	accept.KeepAgent = pipeline.KeepTruncated
	accept.SelfAddresses = []string{"acme/alice@example.com=192.0.2.0/24"}
	accept.Accounts = []string{"acme/keep_address=whole"}
	o := behindProxies()
	o.Self = true
	w := newWhole(t, accept, o)
	var own ref.Marks
	own.Add("acme", typical.Sender, event.Now(), time.Hour)
	open := browserRequest("/o/" + seal(t, w.keys, ref.OpenPixel, typical) + ".gif")
	for name, request := range map[string]string{
		"open":  open,
		"click": browserRequest("/c/" + seal(t, w.keys, ref.Click, linkTo("https://example.com/offers?utm_source=mail"))),
		"own":   strings.Replace(open, "Referer:", "Cookie: carom_self="+string(w.keys.SealMarks(nil, &own))+"\r\nReferer:", 1),
	} {
		ctx := inProcess(t, request)
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

// TestLaneAllocatesNothing counts those of the fast lane, from the bytes of the connection to those of the answer.
func TestLaneAllocatesNothing(t *testing.T) {
	accept := pipeline.Default()
	accept.RepeatEntries = 0 // every hit is recorded
	w := newWhole(t, accept, behindProxies())
	for name, target := range map[string]string{
		"open":  "/o/" + seal(t, w.keys, ref.OpenPixel, typical) + ".gif",
		"click": "/c/" + seal(t, w.keys, ref.Click, linkTo("https://example.com/offers?utm_source=mail")),
	} {
		request := []byte(browserRequest(target))
		c := newListener(nil, w.Server).admit(&repeatingConn{null: openNull(t)}).(*conn)
		_, before := w.journal.Bounds()
		const runs = 1000
		if n := testing.AllocsPerRun(runs, func() {
			if c.turn.Lock(); !c.begin() || w.takePlain(c, request) != taken {
				t.Error("not taken")
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		c.turn.Lock() // the last is answered
		if _, after := w.journal.Bounds(); after-before != runs+1 {
			t.Errorf("%s: %d records, want %d", name, after-before, runs+1)
		}
	}
}
