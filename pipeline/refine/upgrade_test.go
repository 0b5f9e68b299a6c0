package refine

import (
	"bufio"
	"encoding/hex"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/kv"
	"carom/pipeline/event"
)

// openFormat1 opens what an earlier Carom kept (testdata/format1), with a feed of as many records as it had read. It
// returns the keys of its messages, too.
func openFormat1(t *testing.T, o Options) (*world, []event.Key) {
	t.Helper()
	file, err := os.Open("testdata/format1/store.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fs := vfs.NewMem()
	store, err := kv.Open("state", kv.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	b, messages, read := store.NewBatch(), []event.Key(nil), meta{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "#") {
			continue
		}
		k, v, _ := strings.Cut(lines.Text(), " ")
		key, err := hex.DecodeString(k)
		if err != nil {
			t.Fatal(err)
		}
		value, err := hex.DecodeString(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Set(key, value, nil); err != nil {
			t.Fatal(err)
		}
		switch table(key[tableBytes-1]) {
		case tableMeta:
			if err := read.decode(value); err != nil {
				t.Fatal(err)
			}
		case oldMessages:
			if value[0] != stateFormat1 {
				t.Fatalf("a message's state of format %d", value[0])
			}
			messages = append(messages, event.Key(key[tableBytes:]))
		}
	}
	if err := store.Commit(b); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	feed := newFeed()
	for range read.offset {
		feed.append(tickAtTime(read.logTime))
	}
	return openWorld(t, o, fs, feed), messages
}

// answersOf asks for all messages with these keys that are messages.
func (w *world) answersOf(keys []event.Key) map[event.Key]Message {
	w.t.Helper()
	all := make(map[event.Key]Message)
	for _, key := range keys {
		s, ok, err := w.p.readState(w.store.DB(), key)
		if w.check(err); !ok {
			w.t.Fatalf("no message %s", key)
		}
		if s.standing == enrollment {
			continue
		}
		all[key] = w.message(s.ref.Account, s.ref.Message)
	}
	return all
}

// A store of format 1 answers as before, is written anew message by message, and goes on: clicks that wait in it are
// judged, and the firsts that it knew are taken over by earlier ones.
func TestUpgradeFromFormat1(t *testing.T) {
	o := trafficOptions()
	w, keys := openFormat1(t, o)
	defer w.close()
	if w.value("carom_refine_waiting_clicks") < 3 {
		t.Fatal("no click waits in the store")
	}
	before := w.answersOf(keys)
	statuses, inferred := make(map[string]int), 0
	b, at := newBuilder("n9"), w.p.meta.logTime
	for key, m := range before {
		statuses[m.Status]++
		for _, e := range m.Events {
			if e.Inferred {
				inferred++
			}
		}
		w.feed.append(b.record(at, event.Event{Kind: event.AutoReply, Time: at, KnownBy: event.ByKey, Key: key}))
	}
	if len(statuses) < 4 || inferred == 0 {
		t.Fatalf("the store is too dull: %v, %d inferred opens", statuses, inferred)
	}
	w.drain(all)
	for key, m := range w.answersOf(keys) {
		if want := before[key]; m.Status != want.Status || len(m.Events) != len(want.Events)+1 {
			t.Errorf("message %s is %s with %d events, was %s with %d", key, m.Status, len(m.Events), want.Status, len(want.Events))
		}
		m.Events = nil
		want := before[key]
		if want.Events = nil; !reflect.DeepEqual(m, want) {
			t.Errorf("message %s is\n  %+v\nwas\n  %+v", key, m, want)
		}
		value, _, err := w.store.Get(nil, w.p.keys.message(nil, w.p.epochs.live()[0].id, key))
		if w.check(err); value[0] != stateFormat {
			t.Errorf("message %s is still of format %d", key, value[0])
		}
	}

	// The clicks that wait are judged one by one: what is kept of them is enough.
	w.feed.append(tickAtTime(at.Add(time.Minute)))
	w.drain(all)
	clicks := 0
	for _, e := range w.message("acme", "w1").Events {
		if e.Kind == event.Click && e.Actor.Verdict == event.Human {
			clicks++
		}
	}
	if clicks != 3 || w.value("carom_refine_waiting_clicks") != 0 {
		t.Errorf("%d clicks came out, want 3; %v wait", clicks, w.value("carom_refine_waiting_clicks"))
	}

	// An earlier open takes over from the one that was the first.
	open := hitAt(at.Add(-time.Hour), event.Open, "w2")
	open.Client.Hash = 5
	w.feed.append(b.record(at.Add(time.Minute), open))
	w.drain(all)
	var firsts []event.Millis
	for _, e := range w.message("acme", "w2").Events {
		if e.Kind == event.Open && e.First {
			firsts = append(firsts, e.Time)
		}
	}
	if len(firsts) != 1 || firsts[0] != open.Time {
		t.Errorf("the first opens are of %v, want of %v", firsts, open.Time)
	}
}
