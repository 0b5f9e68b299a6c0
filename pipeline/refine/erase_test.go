package refine

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// sentTo is the registration of a message.
func sentTo(contact, message, sequence string, at event.Millis) event.Event {
	e := event.Event{
		Kind: event.Sent, Time: at, KnownBy: event.ByRef, Recipient: contact + "@example.com",
		Ref: event.Ref{Account: "acme", Sender: "alice", Sequence: sequence, Contact: contact, Message: message, SentAt: at},
	}
	finishKey(&e)
	return e
}

// hitOf is an open or click that brings the ref of a message.
func hitOf(kind event.Kind, of event.Event, at event.Millis) event.Event {
	e := event.Event{Kind: kind, Time: at, KnownBy: event.ByRef, Key: of.Key, Ref: of.Ref, Actor: event.Actor{Verdict: event.Human}}
	e.Client.Hash = uint64(at)
	return e
}

// listed returns all messages of a contact, page by page.
func (w *world) listed(contact string, limit int) (ids []string) {
	w.t.Helper()
	after := ""
	for {
		page, err := w.p.Contact("acme", contact, after, limit)
		w.check(err)
		if len(page.Messages) > limit || len(page.Messages) != len(page.Places) {
			w.t.Fatalf("%d messages and %d places", len(page.Messages), len(page.Places))
		}
		for _, m := range page.Messages {
			ids = append(ids, m.Message)
		}
		if !page.More {
			slices.Sort(ids)
			return ids
		}
		after = page.Places[len(page.Places)-1]
	}
}

func TestErase(t *testing.T) {
	f := newFeed()
	w := openWorld(t, testOptions(), vfs.NewMem(), f)
	b := newBuilder("n1")
	at := epoch
	tell := func(evs ...event.Event) {
		for _, e := range evs {
			at += 10
			f.append(b.record(at, e))
		}
		w.drain(all)
	}
	const many = 2*eraseAtOnce + 7
	var first event.Event
	for i := range many {
		sent := sentTo("bob", fmt.Sprint("m-", i), fmt.Sprint("q", i%2), epoch)
		if i == 0 {
			first = sent
		}
		tell(sent)
	}
	other := sentTo("eve", "m-eve", "q0", epoch)
	tell(other, hitOf(event.Open, first, epoch+5000), hitOf(event.Open, other, epoch+5000), hitOf(event.Click, first, epoch+6000))
	if got := w.listed("bob", 100); len(got) != many {
		t.Fatalf("%d messages are listed", len(got))
	}
	before := len(refinedOf(t, contents(t, w.events)))
	tell(eraseOf("acme", "bob", at))

	if got := w.listed("bob", 100); len(got) != 0 {
		t.Fatalf("%d messages are left", len(got))
	}
	if _, known, err := w.p.Message("acme", "m-0"); known || err != nil {
		t.Fatal("a message is still known", err)
	}
	if got := w.message("acme", "m-eve"); len(got.Events) != 2 {
		t.Fatalf("another contact's: %+v", got)
	}
	told, sequences := 0, map[string]bool{}
	for _, r := range refinedOf(t, contents(t, w.events))[before:] {
		if r.Kind != event.Erase || r.Contact != "bob" || r.Sender != "alice" || r.Message != "" {
			t.Fatalf("after the erase: %+v", r)
		}
		told += len(r.Messages)
		sequences[r.Sequence] = true
	}
	if told != many || len(sequences) != 2 {
		t.Fatalf("told of %d messages in %v", told, sequences)
	}

	// Late facts are dropped, however they name the message; the waiting click too.
	byKey := event.Event{Kind: event.Bounce, Time: at, KnownBy: event.ByKey, Key: first.Key, Recipient: "bob@example.com"}
	byID := event.Event{Kind: event.Complaint, Time: at, KnownBy: event.ByMessageID, Ref: event.Ref{Message: "m-1"}, Mail: event.Mail{ID: "c"}}
	finishKey(&byID)
	unknown := hitOf(event.Open, first, at)
	unknown.SentAt = 0
	before = len(contents(t, w.events))
	tell(byKey, byID, hitOf(event.Open, first, at), unknown)
	at += event.Millis(time.Hour.Milliseconds())
	f.append(tickAtTime(at))
	w.drain(all)
	if got := contents(t, w.events)[before:]; len(got) != 0 {
		t.Fatalf("recorded: %s", got[0].Value)
	}
	if got := w.value("carom_refine_dropped_total", "reason", "erased"); got != 5 {
		t.Errorf("%v dropped as erased, want 5", got)
	}
	if len(contents(t, w.rejects)) != 0 || w.p.parked.total != 0 {
		t.Error("rejected or parked")
	}
	for _, name := range []string{"bob", "m-0", "m-1"} {
		w.lacks(name, kv.PrefixRefine)
	}

	// What is sent to him later is recorded, even under an old id.
	again := sentTo("bob", "m-0", "q0", at)
	tell(again, hitOf(event.Open, again, at+1))
	if got := w.message("acme", "m-0"); len(got.Events) != 2 {
		t.Fatalf("sent after the erase: %+v", got)
	}
	page, err := w.p.Contact("acme", "bob", "", 10)
	if err != nil || page.ErasedAt == 0 || page.Erasing || len(page.Messages) != 1 {
		t.Fatalf("%+v, %v", page, err)
	}
	w.close()
}

// lacks fails if a key or value of the store under prefix holds text.
func (w *world) lacks(text string, prefix byte) {
	w.t.Helper()
	it, err := w.store.DB().NewIter(nil)
	w.check(err)
	for ok := it.SeekGE([]byte{prefix}); ok && it.Key()[0] == prefix; ok = it.Next() {
		if bytes.Contains(it.Key(), []byte(text)) || bytes.Contains(it.Value(), []byte(text)) {
			w.t.Errorf("%s is kept under %x", text, it.Key())
		}
	}
	w.check(it.Close())
}

func TestBadPlace(t *testing.T) {
	w := openWorld(t, testOptions(), vfs.NewMem(), newFeed(log.Record{Value: []byte{1}}))
	for _, place := range []string{"x", "00", string(make([]byte, 2*placeBytes))} {
		if _, err := w.p.Contact("acme", "bob", place, 10); err == nil {
			t.Errorf("%q is taken", place)
		}
	}
	w.close()
}
