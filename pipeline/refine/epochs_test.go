package refine

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/kv"
	"carom/pipeline/event"
)

const day = 24 * time.Hour

// knows reports whether a message is known.
func (w *world) knows(id string) bool {
	w.t.Helper()
	_, ok, err := w.p.Message("acme", id)
	w.check(err)
	return ok
}

func keepOptions(keep time.Duration) Options {
	o := testOptions()
	o.Keep = keep
	return o
}

// A message a day over many days: each is known for at least keep from its first record, for less than a third more, and
// leaves nothing. All the while facts find those that are known, however old they are.
func TestMessagesExpire(t *testing.T) {
	const keep, days = 30, 100
	w := openWorld(t, keepOptions(keep*day), vfs.NewMem(), newFeed())
	defer w.close()
	b := newBuilder("n1")
	for d := range days {
		at := epoch.Add(time.Duration(d) * day)
		id := fmt.Sprint("m", d)
		w.feed.append(b.record(at, sentEvent(id)))
		if d >= keep { // by key, and by Message-ID alone
			old := fmt.Sprint("m", d-keep)
			w.feed.append(b.record(at, event.Event{Kind: event.AutoReply, Time: at, KnownBy: event.ByKey, Key: event.KeyOf("acme", old)}))
			w.feed.append(b.record(at, event.Event{
				Kind: event.Bounce, Time: at, KnownBy: event.ByMessageID, Key: event.PartialKey(old), Ref: event.Ref{Message: old},
			}))
		}
		w.drain(all)
		for e := range d + 1 {
			age, known := d-e, w.knows(fmt.Sprint("m", e))
			if age <= keep && !known || age >= keep*4/3+1 && known {
				t.Fatalf("day %d: a message of %d days is known: %v", d, age, known)
			}
		}
		if n := len(w.p.epochs.live()); n > 5 {
			t.Fatalf("day %d: %d epochs", d, n)
		}
		if d%10 == 0 {
			w.reopen(keepOptions(keep * day))
		}
	}
	for d := range days - keep {
		if m := fmt.Sprint("m", d); w.knows(m) && d+keep < days && len(w.message("acme", m).Events) != 3 {
			t.Errorf("message %s has %d events, want 3", m, len(w.message("acme", m).Events))
		}
	}
	if rejects := contents(t, w.rejects); len(rejects) > 0 {
		t.Errorf("%d rejects: %s", len(rejects), rejects[0].Value)
	}
	w.lacks("m5@example.com", kv.PrefixRefine)
	w.onlyLive()
	if first := w.p.epochs.rows[0].id; first < 5 {
		t.Errorf("epoch %d is live still", first)
	}
}

// onlyLive fails if something is kept of an epoch that is not live.
func (w *world) onlyLive() {
	w.t.Helper()
	for k := range stored(w.t, w.store) {
		if len(k) < epochBytes || !slices.Contains(epochTables[:], table(k[tableBytes-1])) {
			continue
		}
		live := false
		for _, e := range w.p.epochs.live() {
			live = live || strings.HasPrefix(k, string(w.p.keys.epoch(nil, table(k[tableBytes-1]), e.id)))
		}
		if !live {
			w.t.Errorf("key %x is of no live epoch", k)
		}
	}
}

// What comes after a message's end begins it anew; a click just before it is told at once, as it would else be lost.
func TestEndOfAnEpoch(t *testing.T) {
	o := keepOptions(30 * day)
	w := openWorld(t, o, vfs.NewMem(), newFeed())
	defer w.close()
	b := newBuilder("n1")
	w.feed.append(b.record(epoch, sentEvent("m1")))
	w.drain(all)
	row := w.p.epochs.rows[0]
	end := row.start + row.length + w.p.epochs.keep
	for i, c := range []struct {
		before time.Duration
		wait   float64 // how many do then
	}{{o.Settle + time.Millisecond, 1}, {o.Settle, 1}, {time.Millisecond, 0}} {
		click := hitAt(end.Add(-c.before), event.Click, "m1")
		click.Link = uint32(i + 1)
		w.feed.append(b.record(click.Time, click))
		w.drain(all)
		if got := w.value("carom_refine_waiting_clicks"); got != c.wait {
			t.Errorf("%v before the end: %v clicks wait, want %v", c.before, got, c.wait)
		}
	}
	w.feed.append(b.record(end, hitAt(end, event.Open, "m1")))
	w.drain(all)
	m := w.message("acme", "m1")
	if m.Registered || len(m.Events) != 1 {
		t.Errorf("after the end the message has %d events, registered: %v", len(m.Events), m.Registered)
	}
	clicks := 0
	for _, e := range refinedOf(t, contents(t, w.events)) {
		if e.Kind == event.Click && e.Revision == 0 {
			clicks++
		}
	}
	if clicks != 3 {
		t.Errorf("%d clicks came out, want 3", clicks)
	}
	w.feed.append(b.record(end, sentEvent("m1")))
	w.drain(all)
	if m := w.message("acme", "m1"); !m.Registered || m.Status != StatusOpened {
		t.Errorf("sent again it is %s, registered: %v", m.Status, m.Registered)
	}
}

// Keep may change: for ever is for ever as long as it stays, and what is there keeps to the span it began in.
func TestKeepChanges(t *testing.T) {
	w := openWorld(t, keepOptions(0), vfs.NewMem(), newFeed())
	defer func() { w.close() }()
	b, at := newBuilder("n1"), epoch
	sent := func(id string) {
		w.feed.append(b.record(at, sentEvent(id)))
		w.drain(all)
	}
	sent("m1")
	at = at.Add(4000 * day)
	sent("m2")
	if !w.knows("m1") || len(w.p.epochs.live()) != 1 {
		t.Fatalf("%d epochs", len(w.p.epochs.live()))
	}
	w.reopen(keepOptions(30 * day))
	at = at.Add(day)
	sent("m3")
	at = at.Add(30*day - 1)
	sent("m4")
	if !w.knows("m1") || !w.knows("m2") {
		t.Error("what was kept for ever went before 30 days of the other setting")
	}
	at++
	sent("m5")
	if w.knows("m1") || w.knows("m2") || !w.knows("m3") {
		t.Error("what was kept for ever did not go after 30 days of the other setting, or too much went")
	}
	w.reopen(keepOptions(90 * day))
	at = at.Add(50 * day)
	sent("m6")
	if !w.knows("m3") || !w.knows("m4") {
		t.Error("a message is gone after 80 days, of 90")
	}
	w.onlyLive()
}

// asBefore writes what is kept as a Carom without epochs did.
func (w *world) asBefore() {
	w.t.Helper()
	b := w.store.NewBatch()
	old := map[table]table{tableMessages: oldMessages, tableTimeline: oldTimeline, tableTombs: oldTombs}
	for k, v := range stored(w.t, w.store) {
		t := table(k[tableBytes-1])
		if to, ok := old[t]; ok {
			w.check(b.Set(append(w.p.keys.table(nil, to), k[epochBytes:]...), []byte(v), nil))
		}
		if _, ok := old[t]; ok || t >= tableContacts && t < tableContactCounts {
			w.check(b.Delete([]byte(k), nil))
		}
	}
	// It had an index of another layout.
	w.check(b.Set(w.p.keys.table(nil, oldContacts), []byte{1}, nil))
	w.check(b.Set(append(w.p.keys.table(nil, oldContacts), make([]byte, 40)...), nil, nil))
	w.check(w.store.Commit(b))
	w.check(b.Close())
}

// A folder of before there were epochs is brought over when it is opened, whatever crashes meanwhile: it then holds what
// it would if there had been epochs from the beginning.
func TestMigrate(t *testing.T) {
	rng := seeded(t)
	f := newFeed(makeTraffic(rng, 200)...)
	o := trafficOptions()
	mem := vfs.NewCrashableMem()
	w := openWorld(t, o, mem, f)
	w.drain(all)
	want := w.storedButRolls()
	w.asBefore()
	w.close()

	c := newCrasher(rng, mem)
	w = openWorld(t, o, c.fs(), f)
	sameStored(t, w.storedButRolls(), want)
	w.close()
	for _, crash := range c.crashes {
		w := openWorld(t, o, crash.fs, f)
		sameStored(t, w.storedButRolls(), want)
		w.allEnrolled()
		w.close()
	}
	if len(c.crashes) < 5 {
		t.Errorf("only %d writes: too few to crash at", len(c.crashes))
	}
}
