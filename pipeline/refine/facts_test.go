package refine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// ofKind returns the facts about addresses of one kind.
func (w *world) ofKind(k event.Kind) (list []event.AddressFact) {
	w.t.Helper()
	for _, f := range factsOf(w.t, contents(w.t, w.addresses)) {
		if f.Kind == k {
			list = append(list, f)
		}
	}
	return list
}

// A contact fares as if all of his messages were one, in however many partitions they are.
func TestStatusOfContact(t *testing.T) {
	unsent := func(contact, message string, at event.Millis) event.Event {
		e := sentTo(contact, message, "q", at)
		e.Flags |= event.NotSent
		return e
	}
	about := func(kind event.Kind, of event.Event, at event.Millis) event.Event {
		e := event.Event{Kind: kind, Time: at, KnownBy: event.ByKey, Key: of.Key, Bounce: event.Diagnosis{Hard: true, Status: "5.1.1"}}
		e.Mail = event.Mail{ID: fmt.Sprint("mail", at), FeedbackType: "abuse"}
		return e
	}
	one, two := sentTo("bob", "m-1", "q", epoch), sentTo("bob", "m-2", "q", epoch+1)
	enrollment := event.Event{Kind: event.Unsubscribe, Time: epoch, KnownBy: event.ByRef, Ref: event.Ref{Account: "acme", Sender: "alice", Contact: "bob"}}
	enrollment.Message = event.EnrollmentID("acme", "alice", "", "bob")
	enrollment.Key = event.KeyOf("acme", enrollment.Message)
	completed := enrollment
	completed.Kind = event.Completed
	for _, c := range []struct {
		want string
		evs  []event.Event
	}{
		{"", nil},
		{"", []event.Event{completed}},
		{StatusUnsubscribed, []event.Event{enrollment}},
		{StatusUnsubscribed, []event.Event{one, enrollment}},
		{StatusSent, []event.Event{one}},
		{StatusNotSent, []event.Event{unsent("bob", "m-1", epoch), unsent("bob", "m-2", epoch)}},
		{StatusSent, []event.Event{unsent("bob", "m-1", epoch), two}},
		{StatusOpened, []event.Event{unsent("bob", "m-1", epoch), hitOf(event.Open, two, epoch+5)}},
		{StatusBouncedPermanent, []event.Event{one, two, about(event.Bounce, one, epoch+10), about(event.Delivered, two, epoch+9)}},
		{StatusSent, []event.Event{one, two, about(event.Bounce, one, epoch+10), about(event.Delivered, two, epoch+11)}},
		{StatusComplained, []event.Event{one, two, about(event.Complaint, one, epoch+10), hitOf(event.Open, two, epoch+20)}},
	} {
		b := newBuilder("n1")
		parts := make([]ContactPage, 2)
		for i := range parts { // each has some of the messages, and all of the others'
			var recs []log.Record
			for _, e := range c.evs {
				if e.Key[15]%2 == byte(i) {
					recs = append(recs, b.record(epoch+1000, e))
				}
			}
			recs = append(recs, b.record(epoch+1000, sentTo("eve", "m-eve", "q", epoch)), tickAtTime(epoch+1e6))
			w := openWorld(t, testOptions(), vfs.NewMem(), newFeed(recs...))
			w.drain(all)
			var err error
			parts[i], err = w.p.Contact("acme", "bob", "", 1)
			w.check(err)
			w.close()
			told, err := json.Marshal(parts[i].Facts) // as a node tells another
			w.check(err)
			parts[i].Facts = Facts{}
			w.check(json.Unmarshal(told, &parts[i].Facts))
		}
		merged := MergeContact(1, parts)
		if got := merged.Facts.Status(); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.evs, got, c.want)
		}
	}
}

// Each partition tells so many contacts of an account, and no more; a restart changes nothing.
func TestContactsTold(t *testing.T) {
	f := newFeed()
	w := openWorld(t, testOptions(), vfs.NewMem(), f)
	b, n := newBuilder("n1"), 0
	send := func(account, contact string) {
		n++
		e := event.Event{Kind: event.Sent, Time: epoch, KnownBy: event.ByRef, Ref: event.Ref{Account: account, Contact: contact, Message: fmt.Sprint("m", n)}}
		finishKey(&e)
		f.append(b.record(epoch, e))
	}
	send("acme", "a")
	w.drain(all)
	w.p.known.counts["acme"] = MaxContactsTold - 2
	for _, c := range []string{"a", "b", "b", "c", "d", "a", ""} {
		send("acme", c)
	}
	send("other", "a")
	w.drain(func() int { return 3 })
	w.reopen(testOptions())
	send("acme", "e")
	send("other", "a")
	send("other", "b")
	w.drain(all)
	var got, want []string
	for _, f := range w.ofKind(event.Contact) {
		got = append(got, f.Account+" "+f.ContactKey)
	}
	for _, c := range []string{"acme a", "acme b", "acme c", "other a", "other b"} {
		account, contact, _ := strings.Cut(c, " ")
		want = append(want, account+" "+event.ContactKeyOf(account, contact).String())
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("told\n%v\nwant\n%v", got, want)
	}
	w.close()
}

// What is counted comes out whole, in records that a reader takes, wherever it is cut.
func TestVolume(t *testing.T) {
	rng := seeded(t)
	want := make(map[string]int)
	var recs []log.Record
	b := newBuilder("n1")
	const many = 2*maxVolumes + 100
	for i := range many {
		domain := strings.Repeat("x", 1+rng.IntN(60)) + fmt.Sprint(rng.IntN(many)) + ".example"
		hour := event.Millis(rng.IntN(3) * hourMillis)
		e := sentTo("bob", fmt.Sprint("m", i), "q", epoch+hour)
		e.Recipient = pick(rng, "bob@", "Eve@") + domain
		if rng.IntN(10) == 0 {
			e.Recipient = pick(rng, "", "bob", `bob@"}{"`, "bob@a\x80")
		} else {
			want[(epoch+hour).Time().Truncate(time.Hour).Format(time.RFC3339)+" "+domain]++
		}
		recs = append(recs, b.record(epoch, e))
	}
	recs = append(recs, tickAtTime(epoch+2*volumeEvery))
	w := openWorld(t, testOptions(), vfs.NewMem(), newFeed(recs...))
	w.drain(func() int {
		if rng.IntN(20) == 0 {
			w.reopen(testOptions())
		}
		return 1 + rng.IntN(200)
	})
	told := w.ofKind(event.Volume)
	ids := make(map[event.ID]bool)
	for _, f := range told {
		ids[f.ID] = true
		var body struct {
			Hours []struct {
				Hour string
				Sent map[string]int
			}
		}
		decodeJSON(t, f.Body, &body)
		for _, h := range body.Hours {
			for name, n := range h.Sent {
				want[h.Hour+" "+name] -= n
			}
		}
	}
	for k, n := range want {
		if n != 0 {
			t.Errorf("%s: %d are missing", k, n)
		}
	}
	if len(told) < 10 || len(ids) != len(told) {
		t.Errorf("%d facts, %d ids", len(told), len(ids))
	}
	if len(w.p.volume.sent) != 0 || w.p.timers.next() != nil {
		t.Error("something waits still")
	}
	w.close()
}

// A hard bounce is never compared with less than was sent; what was sent elsewhere waits for its minute.
func TestVolumeBeforeBounce(t *testing.T) {
	b := newBuilder("n1")
	sent := func(message, domain string) event.Event {
		e := sentTo("bob", message, "q", epoch)
		e.Recipient = "bob@" + domain
		return e
	}
	bounced := func(of event.Event, hard bool) event.Event {
		return event.Event{Kind: event.Bounce, Time: epoch + 1, KnownBy: event.ByKey, Key: of.Key, Bounce: event.Diagnosis{Hard: hard, Status: "5.1.1"}}
	}
	soft, hard := sent("m-1", "gmail.com"), sent("m-2", "gmail.com")
	w := openWorld(t, testOptions(), vfs.NewMem(), newFeed(
		b.record(epoch, soft), b.record(epoch, hard), b.record(epoch, sent("m-3", "example.com")),
		b.record(epoch, bounced(soft, false)), b.record(epoch, bounced(hard, true)),
		b.record(epoch, sent("m-4", "gmail.com")), tickAtTime(epoch+2*volumeEvery),
	))
	w.drain(func() int { w.reopen(testOptions()); return 1 })
	var told []string
	for _, f := range factsOf(t, contents(t, w.addresses)) {
		switch f.Kind {
		case event.Bounce:
			told = append(told, f.Message)
		case event.Volume:
			_, counts, _ := strings.Cut(string(f.Body), `"sent":`)
			told = append(told, counts)
		}
	}
	if want := []string{"m-1", `{"google":2}}]}`, "m-2", `{"example.com":1,"google":1}}]}`}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	if len(w.p.volume.sent) != 0 || w.p.timers.next() != nil {
		t.Error("something waits still")
	}
	w.close()
}

func TestVolumeDecode(t *testing.T) {
	v := volume{timer: timerKey{due: 7, offset: 9, what: timerVolume}, sent: map[volumeKey]uint64{{1, "a.example"}: 3, {2, "google"}: 1 << 40}, changed: true}
	w := openWorld(t, testOptions(), vfs.NewMem(), newFeed())
	b := w.store.NewBatch()
	w.check(v.write(w.p.keys, b))
	w.check(w.store.Commit(b))
	w.check(w.p.loadVolume())
	v.changed = false
	if fmt.Sprint(w.p.volume) != fmt.Sprint(v) {
		t.Errorf("got %+v, want %+v", w.p.volume, v)
	}
	stored := stored(t, w.store)[string(w.p.keys.table(nil, tableVolume))]
	for i := range len(stored) {
		if err := new(volume).decode([]byte(stored[:i])); !errors.Is(err, errDamaged) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
	w.close()
}

// An erase tells the addresses that the contact had, and what is told of him can be taken from the log.
func TestEraseTellsAddresses(t *testing.T) {
	f := newFeed()
	w := openWorld(t, testOptions(), vfs.NewMem(), f)
	b := newBuilder("n1")
	for i := range 2*eraseAtOnce + 3 {
		e := sentTo("bob", fmt.Sprint("m-", i), fmt.Sprint("q", i%5), epoch)
		e.Recipient = []string{"Bob@Example.COM", "Bob@example.com", "b@example.net", ""}[i%4]
		f.append(b.record(epoch, e))
	}
	later := sentTo("bob", "m-later", "q", epoch+10_000)
	later.Recipient = "later@example.com"
	f.append(b.record(epoch, later), b.record(epoch, sentTo("eve", "m-eve", "q", epoch)), b.record(epoch+1, eraseOf("acme", "bob", epoch+1)))
	f.append(b.record(epoch+2, eraseOf("acme", "nobody", epoch+1)))
	w.drain(all)
	addresses := make(map[string]int)
	ids := make(map[event.ID]bool)
	for _, e := range w.ofKind(event.Erase) {
		if e.Account != "acme" || e.Contact != "bob" || e.Message != "" || e.Time != epoch+1 {
			t.Fatalf("%+v", e)
		}
		addresses[e.Recipient]++
		ids[e.ID] = true
		e.Blank()
		if text := e.AppendJSON(nil); bytes.Contains(text, []byte("xample")) || bytes.Contains(text, []byte("bob")) {
			t.Errorf("left: %s", text)
		}
	}
	if len(addresses) != 2 || addresses["Bob@example.com"] == 0 || addresses["b@example.net"] == 0 {
		t.Errorf("told %v", addresses)
	}
	if n := addresses["Bob@example.com"] + addresses["b@example.net"]; n > 6 || n != len(ids) {
		t.Errorf("%d facts, %d ids", n, len(ids))
	}
	w.lacks("b@example.net", kv.PrefixRefine)
	w.close()
}
