package refine

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

func bounceByKey(message string, n int) event.Event {
	return event.Event{
		Kind: event.Bounce, Time: epoch, KnownBy: event.ByKey, Key: event.KeyOf("acme", message),
		Recipient: fmt.Sprintf("r%d@example.com", n), Bounce: event.Diagnosis{Status: "4.2.2"},
	}
}

func sentEvent(message string) event.Event {
	e := hitAt(epoch, event.Sent, message)
	e.Actor, e.Recipient = event.Actor{}, message+"@example.com"
	return e
}

// What waits for one message is bounded, and released in full.
func TestParkedPerMessageIsBounded(t *testing.T) {
	b, f := newBuilder("n1"), newFeed()
	for n := range maxParkedPerMessage + 5 {
		f.append(b.record(epoch, bounceByKey("m1", n)))
	}
	w := openWorld(t, testOptions(), vfs.NewMem(), f)
	defer w.close()
	w.drain(func() int { return 100 })
	if got := w.value("carom_refine_parked_facts"); got != maxParkedPerMessage {
		t.Errorf("%v facts are parked, want %d", got, maxParkedPerMessage)
	}
	if got := w.value("carom_refine_rejects_total", "reason", rejectParkFull); got != 5 {
		t.Errorf("%v facts were rejected, want 5", got)
	}
	f.append(b.record(epoch, sentEvent("m1")))
	w.drain(all)
	// One place of the timeline is kept for the sent event.
	// They are all of one time, so that the first among them changes now and then.
	if got := w.value("carom_refine_events_total", "kind", "bounce") - w.value("carom_refine_revisions_total"); got != maxTimelineFacts-1 {
		t.Errorf("%v bounces came out, want %d", got, maxTimelineFacts-1)
	}
	if got := w.value("carom_refine_parked_facts"); got != 0 {
		t.Errorf("%v facts are still parked", got)
	}
}

// So is what waits in all, and how big one fact may be.
func TestParkedIsBounded(t *testing.T) {
	b, f := newBuilder("n1"), newFeed()
	big := bounceByKey("big", 0)
	big.Bounce.Diagnostic = string(make([]byte, maxParkedBytes))
	f.append(b.record(epoch, big))
	for n := range 13 {
		f.append(b.record(epoch, bounceByKey(fmt.Sprint("m", n), n)))
	}
	o := testOptions()
	o.MaxParked = 10
	w := openWorld(t, o, vfs.NewMem(), f)
	defer w.close()
	w.drain(func() int { return 3 })
	if got := w.value("carom_refine_rejects_total", "reason", rejectParkFull); got != 4 {
		t.Errorf("%v facts were rejected, want the big one and 3", got)
	}
}

// One tick may fire more timers than fit into a step: the commits then fall into the middle of the tick's record, and
// a restart between them goes on where the last one ended.
func TestCommitsWithinARecord(t *testing.T) {
	b, f := newBuilder("n1"), newFeed()
	for n := range 300 {
		e := hitAt(epoch, event.Click, fmt.Sprint("m", n%7))
		e.Link = uint32(n)
		f.append(b.record(epoch, e))
	}
	f.append(tickAtTime(epoch.Add(time.Minute)))
	o := testOptions()
	want := refineUncut(t, o, f.recs)

	o.StepBytes = 4 << 10
	w := openWorld(t, o, vfs.NewMem(), f)
	defer func() { w.close() }()
	within := 0
	for w.p.Passed() < int64(len(f.recs)) {
		// As refine does it, but with a restart after each commit.
		rec := f.recs[w.p.Passed()]
		w.p.timers.bound = frontBound{timers: 10, bytes: 1 << 20}
		done, err := w.p.advance(&rec)
		w.check(err)
		w.check(w.p.commit(t.Context()))
		if !done {
			within++
			w.reopen(o)
		}
	}
	if within < 10 {
		t.Errorf("only %d commits fell into a record", within)
	}
	sameRecords(t, "events", contents(t, w.events), want.events)
	sameStored(t, stored(t, w.store), want.stored)
}

// A flood of hits on one message fills its timeline, not the disk; the events go on.
func TestTimelineIsBounded(t *testing.T) {
	b, f := newBuilder("n1"), newFeed(newBuilder("n2").record(epoch, sentEvent("m1")))
	for n := range maxTimelineHits + 50 {
		e := hitAt(epoch+event.Millis(n), event.Open, "m1")
		e.Client.Hash = uint64(n)
		f.append(b.record(epoch, e))
	}
	for n := range maxTimelineFacts + 50 {
		f.append(b.record(epoch, bounceByKey("m1", n)))
	}
	w := openWorld(t, testOptions(), vfs.NewMem(), f)
	defer w.close()
	w.drain(func() int { return 500 })
	m := w.message("acme", "m1")
	if !m.Truncated || len(m.Events) != MaxEvents {
		t.Errorf("%d events in the timeline, truncated %t", len(m.Events), m.Truncated)
	}
	if got := w.value("carom_refine_events_total", "kind", "open"); got != maxTimelineHits+50 {
		t.Errorf("%v opens were published, want all %d", got, maxTimelineHits+50)
	}
	if got := w.value("carom_refine_rejects_total", "reason", rejectMessageFull); got != 51 {
		t.Errorf("%v bounces were rejected, want 51", got)
	}
	for i := 1; i < len(m.Events); i++ {
		if m.Events[i].Time < m.Events[i-1].Time {
			t.Fatalf("event %d is older than the one before it", i)
		}
	}
}

// Messages whose ids' hashes begin alike, made on purpose, end in a reject and not in an endless search.
func TestCandidatesAreBounded(t *testing.T) {
	w := openWorld(t, testOptions(), vfs.NewMem(), newFeed())
	defer w.close()
	// States are put there by hand: to find that many ids takes a day.
	pre := event.PartialKey("m1")
	e1, err := w.p.epochs.at(w.p.step.batch, epoch)
	w.check(err)
	for n := range maxCandidates + 1 {
		key := pre
		h := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
		copy(key[4:], h[:])
		s := w.p.cache.create(key, e1, registered)
		s.identify(&event.Ref{Account: "acme", Sender: "alice", Message: fmt.Sprint("other", n)}, "")
	}
	w.check(w.p.commit(t.Context()))
	e := event.Event{Kind: event.AutoReply, Time: epoch, KnownBy: event.ByMessageID, Key: pre, Ref: event.Ref{Message: "m1"}}
	w.feed.append(newBuilder("n1").record(epoch, e))
	w.drain(all)
	if got := w.value("carom_refine_rejects_total", "reason", rejectAmbiguous); got != 1 {
		t.Errorf("%v rejects, want 1", got)
	}
}

// Names that no edge would take are refused here too, because the state that they go into must be readable again.
func TestNamesAreBounded(t *testing.T) {
	long := string(make([]byte, maxText+1))
	b, f := newBuilder("n1"), newFeed()
	for _, edit := range []func(e *event.Event){
		func(e *event.Event) { e.Account = long },
		func(e *event.Event) { e.Sender = long },
		func(e *event.Event) { e.Sequence = long },
		func(e *event.Event) { e.Contact = long },
		func(e *event.Event) { e.Message = long },
		func(e *event.Event) { e.Recipient = long },
	} {
		e := sentEvent("m1")
		edit(&e)
		e.Key = event.KeyOf(e.Account, e.Message)
		f.append(b.record(epoch, e))
	}
	w := openWorld(t, testOptions(), vfs.NewMem(), f)
	defer w.close()
	w.drain(all)
	if got := w.value("carom_refine_rejects_total", "reason", rejectBadFact); got != 6 {
		t.Errorf("%v rejects, want 6", got)
	}
}

// The journal that was silent the longest is forgotten first, on disk too.
func TestSourcesAreBounded(t *testing.T) {
	w := openWorld(t, testOptions(), vfs.NewMem(), newFeed())
	defer w.close()
	source := func(n int) event.Source {
		s := event.Source{Node: "n", Sequence: 5}
		binary.BigEndian.PutUint32(s.Incarnation[:], uint32(n+1))
		return s
	}
	for n := range maxSources {
		w.p.sources.pass(source(n), epoch+event.Millis(n))
	}
	w.check(w.p.commit(t.Context()))
	if !w.p.sources.pass(source(0), epoch) {
		t.Error("a record that was seen counts as new")
	}
	w.p.sources.pass(source(maxSources), epoch+maxSources)
	w.check(w.p.commit(t.Context()))
	back, err := openSources(w.store, w.p.keys)
	w.check(err)
	if _, ok := back.seen[source(0).Incarnation]; ok || len(back.seen) != maxSources {
		t.Errorf("%d sources are remembered, the oldest %t", len(back.seen), ok)
	}
}

// State and input must belong together, and a newer state is refused.
func TestOpenErrors(t *testing.T) {
	fs, f := vfs.NewMem(), newFeed()
	for n := range 5 {
		f.append(newBuilder("n1").record(epoch, sentEvent(fmt.Sprint("m", n))))
	}
	w := openWorld(t, testOptions(), fs, f)
	w.drain(all)
	reopen := func() error {
		p, err := Open(testOptions(), w.store, f, w.outputs(), f, zap.NewNop(), w.reg)
		if err != nil {
			return err
		}
		defer func() { w.check(p.step.batch.Close()) }()
		return p.begin(t.Context())
	}
	w.check(reopen())

	f.badEnd = true
	if err := reopen(); err == nil {
		t.Error("an input that ends before the state's offset is accepted")
	}
	f.badEnd = false
	f.oldest = 6
	if err := reopen(); !errors.Is(err, log.ErrTrimmed) {
		t.Errorf("an input that was trimmed beyond the state's offset: %v", err)
	}
	f.oldest = 0

	b := w.store.NewBatch()
	w.check(b.Set(w.p.keys.table(nil, tableMeta), []byte{metaFormat + 1}, nil))
	w.check(w.store.Commit(b))
	if err := reopen(); err == nil {
		t.Error("a newer meta is accepted")
	}
	w.close()

	bad := testOptions()
	bad.Park = 0
	if _, err := Open(bad, nil, f, Outputs{}, nil, zap.NewNop(), nil); err == nil {
		t.Error("bad options are accepted")
	}
}

// Offsets may have gaps, as those of a topic do.
func TestOffsetsWithGaps(t *testing.T) {
	w, b := openWorld(t, testOptions(), vfs.NewMem(), newFeed()), newBuilder("n1")
	defer w.close()
	var recs []log.Record
	for _, offset := range []int64{4, 5, 90} {
		rec := b.record(epoch, sentEvent(fmt.Sprint("m", offset)))
		rec.Offset = offset
		recs = append(recs, rec)
	}
	w.check(w.p.refine(t.Context(), recs))
	for i, r := range refinedOf(t, contents(t, w.events)) {
		if r.Origin.Offset != recs[i].Offset || r.Origin.N != 0 {
			t.Errorf("origin %+v, want offset %d", r.Origin, recs[i].Offset)
		}
	}
	if w.p.Passed() != 91 {
		t.Errorf("passed %d, want 91", w.p.Passed())
	}
	if err := w.p.refine(t.Context(), recs[:1]); err == nil {
		t.Error("an offset that was passed is taken again")
	}
}

// A store without state begins at the oldest record that there is.
func TestBeginsAtTheOldest(t *testing.T) {
	f, b := newFeed(), newBuilder("n1")
	for n := range 5 {
		f.append(b.record(epoch, sentEvent(fmt.Sprint("m", n))))
	}
	f.oldest = 3
	w := openWorld(t, testOptions(), vfs.NewMem(), f)
	defer w.close()
	w.begin()
	if w.p.Passed() != 3 {
		t.Errorf("passed %d, want 3", w.p.Passed())
	}
	w.drain(all)
	if events := contents(t, w.events); len(events) != 2 {
		t.Errorf("%d events, want 2", len(events))
	}
}

// Message may be asked at any time: what it answers is of one moment.
func TestMessageWhileRunning(t *testing.T) {
	f, b := newFeed(b1(sentEvent("m1"))), newBuilder("n2")
	for n := range 400 {
		e := hitAt(epoch+event.Millis(n*11_000), event.Open, "m1")
		f.append(b.record(epoch, e))
	}
	w := openWorld(t, testOptions(), vfs.NewMem(), f)
	defer w.close()
	stop := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() {
		for last := 0; ; {
			select {
			case <-stop:
				return
			default:
			}
			m, ok, err := w.p.Message("acme", "m1")
			switch {
			case err != nil:
				t.Error(err)
				return
			case ok && (len(m.Events) < last || len(m.Events) > 1 != (m.Status == StatusOpened)):
				t.Errorf("%d events after %d, status %s", len(m.Events), last, m.Status)
				return
			}
			last = len(m.Events)
		}
	})
	w.drain(func() int { return 7 })
	close(stop)
	asking.Wait()
	if m := w.message("acme", "m1"); len(m.Events) != 401 {
		t.Errorf("%d events, want 401", len(m.Events))
	}
}

func b1(e event.Event) log.Record { return newBuilder("n1").record(epoch, e) }

// The timers fire in order, whatever part of them is in memory.
func TestTimersAgainstModel(t *testing.T) {
	rng := seeded(t)
	for range 20 {
		w := openWorld(t, testOptions(), vfs.NewMem(), newFeed())
		ts := w.p.timers
		ts.bound = frontBound{timers: 1 + rng.IntN(6), bytes: 50}
		commit := func() {
			w.check(w.p.commit(t.Context()))
			ts = w.p.timers
		}
		model := make(map[timerKey]string)
		at := event.Millis(1)
		for n := range 400 {
			switch rng.IntN(4) {
			case 0, 1:
				k := timerKey{due: at + 1 + event.Millis(rng.IntN(50)), offset: int64(rng.IntN(50)), what: timerPark}
				if _, taken := model[k]; taken {
					continue
				}
				v := fmt.Sprintf("%-16d", n)
				model[k] = v
				w.check(ts.add(w.p.step.batch, timer{timerKey: k, value: []byte(v)}))
			case 2:
				for k := range model {
					delete(model, k)
					w.check(ts.remove(w.p.step.batch, k))
					break
				}
			case 3:
				at += event.Millis(rng.IntN(20))
				for {
					if ts.exhausted() {
						commit()
						continue
					}
					next := ts.next()
					if next == nil || next.due > at {
						break
					}
					got, err := ts.pop(w.p.step.batch)
					w.check(err)
					if want := earliest(model); got.timerKey != want || string(got.value) != model[want] {
						t.Fatalf("timer %+v fires, want %+v", got.timerKey, want)
					}
					delete(model, got.timerKey)
				}
				if want := earliest(model); want.due <= at {
					t.Fatalf("timer %+v did not fire at %d", want, at)
				}
			}
			if rng.IntN(30) == 0 {
				commit()
			}
		}
		w.close()
	}
}

func earliest(model map[timerKey]string) timerKey {
	first := timerKey{due: math.MaxInt64}
	for k := range model {
		if k.compare(first) < 0 {
			first = k
		}
	}
	return first
}

func TestOptionsValidate(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Fatal(err)
	}
	for key, edit := range map[string]func(o *Options){
		"settle":         func(o *Options) { o.Settle = -1 },
		"settle: 1.5ms":  func(o *Options) { o.Settle = 1500 * time.Microsecond },
		"settle: 11m":    func(o *Options) { o.Settle = 11 * time.Minute },
		"park: 999ms":    func(o *Options) { o.Park = 999 * time.Millisecond },
		"park: 2161h":    func(o *Options) { o.Park = 2161 * time.Hour },
		"repeat: -1":     func(o *Options) { o.Repeat = -1 },
		"repeat: 1h0m1s": func(o *Options) { o.Repeat = time.Hour + time.Second },
		"step_records":   func(o *Options) { o.StepRecords = 0 },
		"step_bytes":     func(o *Options) { o.StepBytes = 100 },
		"cache_messages": func(o *Options) { o.CacheMessages = 1 },
		"max_parked":     func(o *Options) { o.MaxParked = 1 << 30 },
	} {
		o := Default()
		edit(&o)
		err := o.Validate()
		if err == nil || len(err.Error()) < len(key) || err.Error()[:len(key)] != key {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// Those who ask for a message are not stopped before the store is closed.
func TestMessageAfterClose(t *testing.T) {
	w := openWorld(t, testOptions(), vfs.NewMem(), newFeed())
	w.close()
	if _, _, err := w.p.Message("acme", "m1"); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("Message after Close: %v, want %v", err, kv.ErrClosed)
	}
}
