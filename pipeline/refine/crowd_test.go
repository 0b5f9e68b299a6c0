package refine

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

// makeCrowd makes n hits on one message, far more than are judged together, at times that go to and fro.
func makeCrowd(rng *rand.Rand, n int) []log.Record {
	b, at := newBuilder("n1"), epoch
	flags := pick(rng, 0, 0, 0, event.Shared, event.Anonymous)
	sent := sentEvent("m1")
	sent.Flags = flags
	recs := []log.Record{newBuilder("n2").record(at, sent)}
	for range n {
		at += event.Millis(rng.IntN(2_000))
		e := hitAt(at-event.Millis(rng.IntN(3)*rng.IntN(60_000)), pick(rng, event.Open, event.Click, event.Click), "m1")
		e.Flags = flags
		e.Actor.Verdict = pick(rng, event.Human, event.Human, event.Scanner, event.Unknown)
		e.Client.Hash = rng.Uint64N(40)
		e.Client.AddressHash = e.Client.Hash / 2
		if e.Kind == event.Click {
			e.Link, e.URL = uint32(rng.IntN(3)), "https://example.com/"
		}
		recs = append(recs, b.record(at, e))
		if rng.IntN(60) == 0 {
			recs = append(recs, b.record(at, bounceByKey("m1", len(recs))))
		}
	}
	return append(recs, tickAtTime(at.Add(time.Hour)))
}

// A crowd on one message: its latest hits are judged together, the others stay as they were published. Nothing waits
// for ever, and the output depends on nothing but the input.
func TestCrowdedMessage(t *testing.T) {
	rng := seeded(t)
	for range 12 {
		recs := makeCrowd(rng, 400)
		o := testOptions()
		o.Settle = pick(rng, 0, o.Settle)
		want := refineUncut(t, o, recs)
		w := openWorld(t, o, vfs.NewMem(), newFeed(recs...))
		w.drain(func() int {
			if rng.IntN(10) == 0 {
				w.reopen(o)
			}
			return 1 + rng.IntN(30)
		})
		sameRecords(t, "events", contents(t, w.events), want.events)
		sameRecords(t, "addresses", contents(t, w.addresses), want.addresses)
		sameStored(t, stored(t, w.store), want.stored)
		checkState(t, w)
		checkBounces(t, want)
		s := w.state("m1")
		if len(s.hits) != maxHits || s.horizon == 0 || want.counters["waiting_clicks"] != 0 {
			t.Errorf("%d hits are kept, %v wait", len(s.hits), want.counters["waiting_clicks"])
		}
		told := make(map[event.ID]event.Refined)
		for _, r := range refinedOf(t, want.events) {
			if before, again := told[r.ID]; again && r.Revision != before.Revision+1 {
				t.Fatalf("revision %d follows %d", r.Revision, before.Revision)
			}
			told[r.ID] = r
		}
		hits, firsts := 0, make(map[event.Kind]int)
		for _, r := range told {
			if (r.Kind == event.Open || r.Kind == event.Click) && !r.Inferred {
				hits++
			}
			if r.First {
				firsts[r.Kind]++
			}
		}
		if heard := hits + int(want.counters["repeat"]-want.counters["restored_total"]); heard != 400 {
			t.Errorf("%d of 400 hits ended somewhere", heard)
		}
		if firsts[event.Open] > 1 || firsts[event.Click] > 1 {
			t.Errorf("firsts: %v", firsts)
		}
		w.close()
	}
}

func (w *world) state(message string) *state {
	w.t.Helper()
	s, ok, err := w.p.readState(w.store.DB(), event.KeyOf("acme", message))
	w.check(err)
	if !ok {
		w.t.Fatalf("message %s is not known", message)
	}
	return &s
}
