package refine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

// running opens a world inside a synctest bubble and runs its partition until the test ends.
func running(t *testing.T, o Options) *world {
	t.Helper()
	w := openWorld(t, o, vfs.NewMem(), newFeed())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		w.close()
	})
	return w
}

func hitAt(at event.Millis, kind event.Kind, message string) event.Event {
	e := event.Event{
		Kind: kind, Time: at, KnownBy: event.ByRef, Key: event.KeyOf("acme", message),
		Ref:   event.Ref{Account: "acme", Sender: "alice", Contact: "c", Message: message},
		Actor: event.Actor{Verdict: event.Human},
	}
	return e
}

func (w *world) kinds() (kinds []event.Kind) {
	for _, r := range refinedOf(w.t, contents(w.t, w.events)) {
		kinds = append(kinds, r.Kind)
	}
	return kinds
}

// A click in a silent log is released by a tick when its time has come, and the log is left alone afterwards.
func TestTickReleasesClick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := running(t, testOptions()), newBuilder("n1")
		begin := time.Now()
		w.feed.append(b.record(event.Now(), hitAt(event.Now(), event.Click, "m1")))

		time.Sleep(12*time.Second - time.Millisecond)
		synctest.Wait()
		if w.feed.ticked() != 0 || len(w.kinds()) != 0 {
			t.Fatalf("after 11.999 s: %d ticks, events %v", w.feed.ticked(), w.kinds())
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		events := refinedOf(t, contents(t, w.events))
		if w.feed.ticked() != 1 || len(events) != 2 || events[1].Kind != event.Click {
			t.Fatalf("after 12 s: %d ticks, %d events", w.feed.ticked(), len(events))
		}
		if events[1].Time != event.FromTime(begin) || events[1].Origin.Offset != 1 {
			t.Errorf("the click is of %v with origin %+v, want the time of the hit and the tick's offset", events[1].Time, events[1].Origin)
		}
		time.Sleep(time.Hour)
		if w.feed.ticked() != 1 {
			t.Errorf("%d ticks though nothing waits", w.feed.ticked())
		}
	})
}

// A log that is not silent needs no ticks: its records move the clock.
func TestNoTickWhileRecordsCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := running(t, testOptions()), newBuilder("n1")
		w.feed.append(b.record(event.Now(), hitAt(event.Now(), event.Click, "m1")))
		for range 40 {
			time.Sleep(500 * time.Millisecond)
			w.feed.append(b.record(event.Now(), hitAt(event.Now(), event.Open, "m2")))
		}
		synctest.Wait()
		if w.feed.ticked() != 0 {
			t.Errorf("%d ticks", w.feed.ticked())
		}
		if m := w.message("acme", "m1"); m.Status != StatusClicked {
			t.Errorf("status %s, want clicked", m.Status)
		}
	})
}

// If the log went silent only just before something is due, it is given its second.
func TestTickWaitsForSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := running(t, testOptions()), newBuilder("n1")
		w.feed.append(b.record(event.Now(), hitAt(event.Now(), event.Click, "m1")))
		time.Sleep(11800 * time.Millisecond)
		w.feed.append(b.record(event.Now(), hitAt(event.Now(), event.Open, "m2")))
		time.Sleep(silence - time.Millisecond)
		synctest.Wait()
		if w.feed.ticked() != 0 {
			t.Fatalf("%d ticks before the log was silent for a second", w.feed.ticked())
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if w.feed.ticked() != 1 {
			t.Errorf("%d ticks, want 1", w.feed.ticked())
		}
	})
}

// What is parked waits its time without a tick, and then needs one. (An hour, not a week: the store has a timer of its
// own, which makes a simulated week long.)
func TestTickForParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := testOptions()
		o.Park = time.Hour
		w, b := running(t, o), newBuilder("n1")
		e := event.Event{Kind: event.Complaint, Time: event.Now(), KnownBy: event.ByKey, Key: event.KeyOf("acme", "m1")}
		w.feed.append(b.record(event.Now(), e))
		time.Sleep(time.Hour - time.Millisecond)
		synctest.Wait()
		if w.feed.ticked() != 0 || w.value("carom_refine_parked_facts") != 1 {
			t.Fatalf("%d ticks in the hour", w.feed.ticked())
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if rejects := contents(t, w.rejects); w.feed.ticked() != 1 || len(rejects) != 1 {
			t.Errorf("%d ticks, %d rejects, want 1 and 1", w.feed.ticked(), len(rejects))
		}
	})
}

// A tick that fails, or that a slow clock stamps too early, is tried again a second later.
func TestTickIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := running(t, testOptions()), newBuilder("n1")
		w.feed.append(b.record(event.Now(), hitAt(event.Now(), event.Click, "m1")))
		due := event.Now().Add(12 * time.Second)
		w.feed.setTick(event.Now, errors.New("full"))
		time.Sleep(13 * time.Second)
		synctest.Wait()
		if w.feed.ticked() != 2 || w.value("carom_refine_tick_errors_total") != 2 {
			t.Fatalf("%d ticks tried, want 2", w.feed.ticked())
		}
		w.feed.setTick(func() event.Millis { return due - 1 }, nil)
		time.Sleep(time.Second)
		synctest.Wait()
		if len(w.kinds()) != 0 {
			t.Fatal("the click is out before its log time")
		}
		w.feed.setTick(event.Now, nil)
		time.Sleep(time.Second)
		synctest.Wait()
		if len(w.kinds()) != 2 {
			t.Errorf("events %v, want the inferred open and the click", w.kinds())
		}
	})
}

// Waiting goes on after a restart, on the same log time.
func TestTickAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBuilder("n1")
		f := newFeed(b.record(event.Now(), hitAt(event.Now(), event.Click, "m1")))
		fs := vfs.NewMem()
		w := openWorld(t, testOptions(), fs, f)
		w.drain(all)
		w.close()
		time.Sleep(time.Minute)

		w = openWorld(t, testOptions(), fs, f)
		if got := w.value("carom_refine_waiting_clicks"); got != 1 {
			t.Errorf("%v clicks wait, want 1", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.p.Run(ctx) }()
		time.Sleep(silence)
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if f.ticked() != 1 || len(w.kinds()) != 2 {
			t.Errorf("%d ticks, events %v", f.ticked(), w.kinds())
		}
		w.close()
	})
}

// The context's end is no error; a reader's is.
func TestRunEnds(t *testing.T) {
	f := newFeed()
	w := openWorld(t, testOptions(), vfs.NewMem(), f)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.p.Run(ctx); err != nil {
		t.Errorf("Run with a context that is done: %v", err)
	}
	f.append(tickAtTime(epoch))
	w.drain(all)
	w.reopen(testOptions())
	f.append(tickAtTime(epoch), tickAtTime(epoch))
	f.oldest = 2
	if err := w.p.Run(t.Context()); !errors.Is(err, log.ErrTrimmed) {
		t.Errorf("Run over a trimmed input: %v", err)
	}
	w.close()
}
