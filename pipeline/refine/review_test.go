package refine

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/kv"
	"carom/pipeline/event"
)

// told returns each event as it was published last.
func (w *world) told() map[event.ID]event.Refined {
	w.t.Helper()
	told := make(map[event.ID]event.Refined)
	for _, r := range refinedOf(w.t, contents(w.t, w.events)) {
		told[r.ID] = r
	}
	return told
}

// A message whose timeline scanners have filled still has one first click by a human, and the open that it implies.
func TestFirstBeyondFullTimeline(t *testing.T) {
	b, f, at := newBuilder("n1"), newFeed(), epoch
	f.append(b.record(at, sentEvent("m1")))
	scan := func(n int) {
		for range n {
			at += 20_000
			e := hitAt(at, event.Click, "m1")
			e.Actor.Verdict, e.Client.Hash = event.Scanner, uint64(at)
			f.append(b.record(at, e))
		}
	}
	scan(maxTimelineHits)
	for range 3 {
		at += 20_000
		f.append(b.record(at, hitAt(at, event.Click, "m1")))
		scan(2 * maxHits)
	}
	f.append(tickAtTime(at.Add(time.Hour)))
	w := openWorld(t, testOptions(), vfs.NewMem(), f)
	w.drain(all)
	firsts, inferred := 0, 0
	for _, r := range w.told() {
		switch {
		case r.Kind == event.Click && r.First:
			firsts++
		case r.Inferred && r.Actor.Verdict == event.Human:
			inferred++
		}
	}
	if firsts != 1 || inferred != 1 {
		t.Errorf("%d clicks are the first, %d inferred opens stand", firsts, inferred)
	}
	checkState(t, w)
	w.close()
}

// lostReply is a reply known by the Message-ID, which can't be judged before its message has a recipient.
func lostReply(message string) event.Event {
	e := event.Event{
		Kind: event.Reply, Time: epoch + 1000, KnownBy: event.ByMessageID, Ref: event.Ref{Message: message},
		Mail: event.Mail{ID: "reply-of-bob", From: "bob@example.com", References: true},
	}
	finishKey(&e)
	return e
}

// A reply that waits for a recipient belongs to its message, whether it came before that was known or after.
func TestReplyBeforeUnregistered(t *testing.T) {
	var want string
	for try := range 2 {
		b, f := newBuilder("n1"), newFeed()
		evs := []event.Event{lostReply("m1"), hitAt(epoch, event.Open, "m1")}
		if try == 1 {
			evs[0], evs[1] = evs[1], evs[0]
		}
		for _, e := range evs {
			f.append(b.record(epoch, e))
		}
		f.append(tickAtTime(epoch.Add(8 * 24 * time.Hour)))
		w := openWorld(t, testOptions(), vfs.NewMem(), f)
		w.drain(all)
		got := fmt.Sprint(w.message("acme", "m1").Status, len(w.message("acme", "m1").Events), len(contents(t, w.rejects)))
		if try == 0 {
			want = got
		} else if got != want {
			t.Errorf("the reply first: %s; the open first: %s", want, got)
		}
		w.close()
	}
}

// Nor does it outlive an erase.
func TestEraseTakesWaitingReply(t *testing.T) {
	b, f := newBuilder("n1"), newFeed()
	for _, e := range []event.Event{lostReply("m1"), hitAt(epoch, event.Open, "m1"), eraseOf("acme", "c", epoch+5000)} {
		f.append(b.record(epoch, e))
	}
	w := openWorld(t, testOptions(), vfs.NewMem(), f)
	w.drain(all)
	w.lacks("bob@example.com", kv.PrefixRefine)
	f.append(tickAtTime(epoch.Add(8 * 24 * time.Hour)))
	w.drain(all)
	if n := len(contents(t, w.rejects)); n != 0 {
		t.Errorf("%d rejects tell of an erased contact", n)
	}
	w.close()
}

// A fact that names an erased message by its Message-ID alone is nobody else's.
func TestErasedMessageIDStaysAmbiguous(t *testing.T) {
	b, f := newBuilder("n1"), newFeed()
	mine, other := sentEvent("m1"), sentEvent("m1")
	other.Account = "other"
	other.Contact = "eve"
	other.Key = event.KeyOf("other", "m1")
	complaint := event.Event{Kind: event.Complaint, Time: epoch, KnownBy: event.ByMessageID, Ref: event.Ref{Message: "m1"}, Mail: event.Mail{ID: "x"}}
	finishKey(&complaint)
	for _, e := range []event.Event{mine, other, eraseOf("acme", "c", epoch+5000), complaint} {
		f.append(b.record(epoch, e))
	}
	w := openWorld(t, testOptions(), vfs.NewMem(), f)
	w.drain(all)
	if got := w.message("other", "m1"); len(got.Events) != 1 {
		t.Errorf("%s has the complaint about another account's message", got.Contact)
	}
	w.close()
}

// A token that names an erased message's contact in another way brings nothing back.
func TestErasedMessageStaysGone(t *testing.T) {
	b, f := newBuilder("n1"), newFeed()
	open := hitAt(epoch+1000, event.Open, "m1")
	open.Contact = ""
	for _, e := range []event.Event{sentEvent("m1"), eraseOf("acme", "c", epoch+5000), open} {
		f.append(b.record(epoch, e))
	}
	w := openWorld(t, testOptions(), vfs.NewMem(), f)
	w.drain(all)
	if _, known, err := w.p.Message("acme", "m1"); known || err != nil {
		t.Error("the message is known again", err)
	}
	w.close()
}

// What is told of a message that was sent again after an erase, under the same id, is not taken for the erased one's.
func TestBuriedKnowsTheTime(t *testing.T) {
	b, f := newBuilder("n1"), newFeed()
	again := sentEvent("m1")
	again.Time, again.SentAt = epoch+10_000, epoch+10_000
	for _, e := range []event.Event{sentEvent("m1"), eraseOf("acme", "c", epoch+5000), again} {
		f.append(b.record(epoch, e))
	}
	w := openWorld(t, testOptions(), vfs.NewMem(), f)
	w.drain(all)
	late, early := bounceByKey("m1", 1), bounceByKey("m1", 2)
	late.Time = epoch + 20_000
	for _, c := range []struct {
		e    event.Event
		want bool
	}{{early, true}, {late, false}} {
		if got, err := w.p.Buried(&c.e); err != nil || got != c.want {
			t.Errorf("a bounce of %v: buried %t, %v", c.e.Time, got, err)
		}
	}
	w.close()
}

// Wherever an erase falls among the records of a message, nothing is left of it, and the steps do not show.
func TestEraseAnywhere(t *testing.T) {
	rng := seeded(t)
	for round := range 20 {
		recs := makeSet(rng)
		for m := range setMessages { // what no ref ever names is nobody's
			id := fmt.Sprint("m", m)
			sent := sentTo("c-"+id, id, "q4", epoch)
			sent.Recipient = id + "@example.com"
			recs = append(recs, newBuilder("s"+id).record(0, sent))
		}
		recs = arrive(rng, recs)
		at := rng.IntN(len(recs))
		for m := range setMessages {
			r := newBuilder(fmt.Sprint("e", m)).record(recs[at].Time, eraseOf("acme", fmt.Sprint("c-m", m), epoch+1_000_000))
			recs = slices.Insert(recs, at, r)
		}
		o := testOptions()
		o.Settle = pick(rng, 0, o.Settle)
		w := openWorld(t, o, vfs.NewMem(), newFeed(recs...))
		w.drain(func() int {
			if rng.IntN(10) == 0 {
				w.reopen(o)
			}
			return 1 + rng.IntN(20)
		})
		for m := range setMessages {
			if _, known, err := w.p.Message("acme", fmt.Sprint("m", m)); known || err != nil {
				t.Fatal(round, "known", m, err)
			}
			w.lacks(fmt.Sprint("c-m", m), kv.PrefixRefine)
			w.lacks(fmt.Sprint("m", m, "@example.com"), kv.PrefixRefine)
		}
		want := refineUncut(t, o, recs)
		sameRecords(t, "events", contents(t, w.events), want.events)
		sameRecords(t, "addresses", contents(t, w.addresses), want.addresses)
		if w.p.parked.total != int(want.counters["parked_facts"]) {
			t.Fatal("parked")
		}
		w.close()
	}
}
