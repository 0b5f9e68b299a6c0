package refine

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/pipeline/event"
)

// TestWhoComesAfterAnAnonymousHit: the hit names no contact, what comes later with a whole reference does, and neither
// contradicts the other, whichever comes first.
func TestWhoComesAfterAnAnonymousHit(t *testing.T) {
	open := hitAt(epoch, event.Open, "m1")
	open.Contact, open.Flags = "", event.Anonymous
	bounce := event.Event{
		Kind: event.Bounce, Time: epoch + 1000, KnownBy: event.ByRef, Key: open.Key, Ref: open.Ref,
		Recipient: "bob@example.com", Bounce: event.Diagnosis{Status: "5.1.1", Hard: true, Category: "invalid_recipient"},
	}
	bounce.Contact = "c-7"
	for name, order := range map[string][]event.Event{"hit first": {open, bounce}, "bounce first": {bounce, open}} {
		t.Run(name, func(t *testing.T) {
			b := newBuilder("n1")
			f := newFeed()
			for i, e := range order {
				f.append(b.record(epoch+2000+event.Millis(i), e))
			}
			w := openWorld(t, testOptions(), vfs.NewMem(), f)
			defer w.close()
			w.drain(all)
			for _, r := range refinedOf(t, contents(t, w.events)) {
				want := "c-7"
				if r.Kind == event.Open {
					want = event.Someone
				}
				if r.Contact != want {
					t.Errorf("%v names %q, want %q", r.Kind, r.Contact, want)
				}
			}
			if m := w.message("acme", "m1"); m.Contact != "c-7" {
				t.Errorf("the message is that of %q", m.Contact)
			}
			if n := w.value("carom_refine_conflicts_total"); n != 0 {
				t.Errorf("%v conflicts", n)
			}
		})
	}
}

// TestAnonymousRepeatThatCameFirst: of two anonymous hits that are one, the later is heard first. It can't be taken back,
// so the other counts for nothing.
func TestAnonymousRepeatThatCameFirst(t *testing.T) {
	for _, flag := range []event.Flags{event.Anonymous, event.Shared} {
		b, f := newBuilder("n1"), newFeed()
		for i, at := range []event.Millis{5000, 0, 30_000} {
			e := hitAt(epoch+at, event.Open, "m1")
			e.Contact, e.Flags, e.Client.Hash = "", flag, 7
			f.append(b.record(epoch+40_000+event.Millis(i), e))
		}
		w := openWorld(t, testOptions(), vfs.NewMem(), f)
		w.drain(all)
		counts := make(map[event.ID]bool)
		for _, r := range refinedOf(t, contents(t, w.events)) {
			counts[r.ID] = r.Actor.Verdict == event.Human
		}
		humans := 0
		for _, human := range counts {
			if human {
				humans++
			}
		}
		if humans != 2 {
			t.Errorf("flags %b: %d opens by humans, want 2", flag, humans)
		}
		w.close()
	}
}
