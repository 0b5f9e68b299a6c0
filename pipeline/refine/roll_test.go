package refine

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/pipeline/event"
)

// storedButRolls is what is stored but for the rolls, whose order is that in which the messages became known.
func (w *world) storedButRolls() map[string]string {
	w.t.Helper()
	all := stored(w.t, w.store)
	maps.DeleteFunc(all, func(k, _ string) bool { return table(k[tableBytes-1]) == tableRolls })
	return all
}

// allEnrolled fails if a message that is kept is not on the roll of its epoch.
func (w *world) allEnrolled() {
	w.t.Helper()
	n := 0
	for k := range stored(w.t, w.store) {
		if table(k[tableBytes-1]) != tableMessages {
			continue
		}
		n++
		for _, e := range w.p.epochs.live() {
			if e.id == epochID(binary.BigEndian.Uint32([]byte(k[tableBytes:]))) && !e.roll.mayHave(event.Key([]byte(k[epochBytes:]))) {
				w.t.Errorf("message %x is not on the roll of its epoch", k[epochBytes:])
			}
		}
	}
	if n == 0 {
		w.t.Error("no message is kept")
	}
}

func rollKey(n int) event.Key {
	h := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
	return event.Key(h[:16])
}

// A roll forgets nobody, however it grew, and takes few for one of its own; read again it is the same.
func TestRoll(t *testing.T) {
	const names, others = 3*minPart + 77, 100_000
	w := openWorld(t, testOptions(), vfs.NewMem(), newFeed())
	defer w.close()
	keys := keyspace(9)
	grown := newRoll(&rollMemory{bound: 1 << 20}, 0)
	b := w.store.NewBatch()
	for n := range names {
		grown.add(rollKey(n))
		if n%1000 == 0 {
			w.check(grown.write(keys, 5, b))
		}
	}
	w.check(grown.write(keys, 5, b))
	w.check(w.store.Commit(b))
	read, err := openRoll(w.store, keys, 5, &rollMemory{bound: 1 << 20}, 0)
	w.check(err)
	if !read.mayHave(rollKey(-1)) {
		t.Error("a roll that is not read yet says that a message is not on it")
	}
	// What comes meanwhile is not lost, and not counted twice.
	const meanwhile = 2 * minPart
	var adding sync.WaitGroup
	adding.Go(func() {
		for n := range meanwhile {
			read.add(rollKey(-2 - n))
		}
	})
	w.check(read.read(t.Context(), w.store, keys, 5))
	adding.Wait()
	for n := range meanwhile {
		if !read.mayHave(rollKey(-2 - n)) {
			t.Fatalf("name %d, which came while the roll was read, is not on it", n)
		}
	}
	for name, r := range map[string]*roll{"grown": grown, "read": read} {
		wrong := 0
		for n := range names + others {
			switch has := r.mayHave(rollKey(n)); {
			case n < names && !has:
				t.Fatalf("%s: name %d is not on it", name, n)
			case n >= names && has:
				wrong++
			}
		}
		if wrong > others/25 {
			t.Errorf("%s: %d of %d others seem to be on it", name, wrong, others)
		}
	}
	if len(*grown.parts.Load()) < 2 || len(*read.parts.Load()) != 2 {
		t.Errorf("%d parts grown, %d read: want several, and two", len(*grown.parts.Load()), len(*read.parts.Load()))
	}
	if read.names != names+meanwhile || len(read.unwritten) != (names%rollPage+meanwhile)*nameBytes {
		t.Errorf("%d names were read, %d bytes of them in an open page", read.names, len(read.unwritten))
	}

	w.check(w.store.DeleteRange(keys.rollPage(nil, 5, 1), keys.rollPage(nil, 5, 2)))
	damaged, err := openRoll(w.store, keys, 5, &rollMemory{bound: 1 << 20}, 0)
	w.check(err)
	if err := damaged.read(t.Context(), w.store, keys, 5); !errors.Is(err, errDamaged) {
		t.Errorf("without its second page it is read: %v", err)
	}
	damaged.drop()
	if err := damaged.read(t.Context(), w.store, keys, 5); err != nil {
		t.Errorf("of a roll that is gone something is missing: %v", err)
	}
}

// Rolls take no more memory than they may. One that finds no room knows nothing, and gives back what it has.
func TestRollMemory(t *testing.T) {
	m := &rollMemory{bound: 4 * minPart} // three parts of minPart names
	first, second := newRoll(m, 0), newRoll(m, 0)
	for n := range 2 * minPart {
		first.add(rollKey(n))
	}
	if first.mayHave(rollKey(-1)) || second.mayHave(rollKey(-1)) || m.used > m.bound {
		t.Fatalf("%d of %d bytes are used", m.used, m.bound)
	}
	for n := range minPart + 1 {
		second.add(rollKey(n))
	}
	if !second.mayHave(rollKey(-1)) || first.mayHave(rollKey(-1)) {
		t.Error("the one that found no room should be it that knows nothing")
	}
	first.drop()
	second.drop()
	if m.used != 0 {
		t.Errorf("%d bytes are used by none", m.used)
	}
}

// Of an epoch without a roll, which an earlier Carom began, messages are found as ever; the next one has one.
func TestEpochWithoutRoll(t *testing.T) {
	w := openWorld(t, keepOptions(30*day), vfs.NewMem(), newFeed())
	defer w.close()
	b := newBuilder("n1")
	w.feed.append(b.record(epoch, sentEvent("m1")))
	w.drain(all)
	w.p.epochs.rows[0].roll = nil
	batch := w.store.NewBatch()
	w.check(w.p.epochs.write(batch, &w.p.epochs.rows[0]))
	w.check(batch.Delete(w.p.keys.rollPage(nil, w.p.epochs.rows[0].id, 0), nil))
	w.check(w.store.Commit(batch))
	w.reopen(keepOptions(30 * day))
	for n := 2; n < 5; n++ {
		at := epoch.Add(15 * day)
		w.feed.append(b.record(at, sentEvent(fmt.Sprint("m", n))), b.record(at, event.Event{
			Kind: event.AutoReply, Time: at, KnownBy: event.ByKey, Key: event.KeyOf("acme", "m1"), Ref: event.Ref{Message: fmt.Sprint("a", n)},
		}))
	}
	w.drain(all)
	if got := len(w.message("acme", "m1").Events); got < 2 {
		t.Errorf("the message of the epoch without a roll has %d events", got)
	}
	if live := w.p.epochs.live(); len(live) != 2 || live[1].roll != nil || live[0].roll == nil || live[0].roll.names != 3 {
		t.Errorf("epochs: %+v", live)
	}
	w.allEnrolled()
}
