package refine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"carom/pipeline/event"
	"carom/pipeline/log"
	"carom/pipeline/rollup"
	"carom/pipeline/score"
)

// set makes records that may come in any order: each is of a journal of its own. It has all that bears on verdicts,
// firsts, statuses and inferred opens, of messages whose identity is the same whoever tells it.
type set struct {
	rng  *rand.Rand
	recs []log.Record
}

const setMessages = 8

func makeSet(rng *rand.Rand) []log.Record {
	st := &set{rng: rng}
	for m := range setMessages {
		st.message(fmt.Sprint("m", m))
	}
	return st.recs
}

func (st *set) message(id string) {
	rng := st.rng
	flags := pick(rng, 0, 0, 0, 0, event.Shared, event.Transactional)
	ref := event.Ref{
		Account: "acme", Sender: "alice", Sequence: "q4", Contact: "c-" + id, Message: id, SentAt: epoch, Flags: flags,
	}
	e := event.Event{Kind: event.Sent, Time: epoch, Ref: ref, KnownBy: event.ByRef, Recipient: id + "@example.com"}
	if rng.IntN(4) == 0 {
		unsent := e
		unsent.Flags |= event.NotSent
		st.add(unsent)
	}
	if rng.IntN(8) > 0 {
		st.add(e)
	}
	for range rng.IntN(25) {
		st.hit(ref)
	}
	for n := range rng.IntN(6) {
		e := event.Event{
			Kind: pick(rng, event.Delivered, event.Bounce, event.Bounce, event.Reply, event.Complaint, event.Unsubscribe),
			Time: st.time(), KnownBy: event.ByKey, Ref: ref,
		}
		switch e.Kind {
		case event.Delivered:
			e.Recipient = fmt.Sprint("r", n, "@example.com")
		case event.Bounce:
			e.Recipient = ref.Message + "@example.com"
			e.Bounce = event.Diagnosis{Hard: n%2 == 0, Category: "invalid_recipient", Status: fmt.Sprint("5.1.", n)}
		default:
			e.Mail = event.Mail{ID: fmt.Sprint("mail", n), From: id + "@example.com", References: rng.IntN(4) > 0, FeedbackType: pick(rng, "abuse", notSpam)}
		}
		if e.Kind == event.Unsubscribe {
			e.Time = epoch // told twice, it is one fact
		}
		st.add(e)
	}
}

// time returns one of few, so that some are equal, and many are near each other.
func (st *set) time() event.Millis {
	return epoch + event.Millis(1+st.rng.IntN(3))*pick[event.Millis](st.rng, 0, 700, 9_000, 29_000, 31_000) + event.Millis(st.rng.IntN(8))*500
}

func (st *set) hit(ref event.Ref) {
	rng := st.rng
	e := event.Event{Kind: pick(rng, event.Open, event.Click, event.Click), Time: st.time(), KnownBy: event.ByRef, Ref: ref}
	e.Actor.Verdict = pick(rng, event.Human, event.Human, event.Human, event.Human, event.Scanner, event.Proxy, event.Unknown, event.Self)
	if rng.IntN(4) == 0 {
		e.Actor.Reasons = []string{pick(rng, "agent", "accept_no_html")}
	}
	e.Client = event.Client{UserAgent: "agent", Hash: rng.Uint64N(4)}
	e.Client.AddressHash = e.Client.Hash / 2
	if e.Kind == event.Click {
		e.Link, e.URL = uint32(rng.IntN(4)), "https://example.com/"
		if rng.IntN(30) == 0 {
			e.Flags |= event.Honeypot
		}
	}
	if rng.IntN(5) == 0 {
		e.Soon = event.Soon{Within: 30_000, Verdict: pick(rng, event.Scanner, event.Unknown)}
	}
	st.add(e)
}

func (st *set) add(e event.Event) {
	finishKey(&e)
	b := newBuilder(fmt.Sprint("n", len(st.recs)))
	st.recs = append(st.recs, b.record(0, e))
}

// arrive puts recs into some order and gives them log times.
func arrive(rng *rand.Rand, recs []log.Record) []log.Record {
	out := append([]log.Record(nil), recs...)
	rng.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	at := epoch
	for i := range out {
		at += event.Millis(rng.IntN(2) * rng.IntN(4_000))
		out[i].Time = at
	}
	return append(out, tickAtTime(at.Add(10*time.Minute)))
}

// seen is what is known of all messages in the end, but for how it came about.
type seen struct {
	Messages map[string]Message
	// Counted are the latest revisions of events that count: what was taken back is as if it had never been.
	Counted  map[event.ID]event.Refined
	Inferred int
	Score    rollup.Score
	Contacts map[string]Facts
	// Sent is what the volumes add up to.
	Sent map[string]int
}

func (w *world) seen() (out seen) {
	w.t.Helper()
	out = seen{Messages: make(map[string]Message), Counted: make(map[event.ID]event.Refined), Contacts: make(map[string]Facts), Sent: make(map[string]int)}
	for _, f := range w.ofKind(event.Volume) {
		var body struct {
			Hours []struct{ Sent map[string]int }
		}
		decodeJSON(w.t, f.Body, &body)
		for _, h := range body.Hours {
			for name, n := range h.Sent {
				out.Sent[name] += n
			}
		}
	}
	for m := range setMessages {
		id := fmt.Sprint("m", m)
		page, err := w.p.Contact("acme", "c-"+id, "", 1)
		w.check(err)
		out.Contacts[id] = page.Facts
		got, ok, err := w.p.Message("acme", id)
		w.check(err)
		if !ok {
			continue
		}
		for i := range got.Events {
			got.Events[i] = plain(got.Events[i])
			if got.Events[i].Inferred {
				out.Inferred++
			}
		}
		out.Messages[id] = got
	}
	out.Score = w.score()
	revisions := make(map[event.ID]uint32)
	for _, r := range refinedOf(w.t, contents(w.t, w.events)) {
		if last, told := revisions[r.ID]; told && r.Revision != last+1 || !told && r.Revision != 0 {
			w.t.Fatalf("revision %d of %s does not follow", r.Revision, r.ID)
		}
		revisions[r.ID] = r.Revision
		out.Counted[r.ID] = plain(r)
		if n := len(r.Actor.Reasons); n > 0 && (r.Actor.Reasons[n-1] == reasonRepeat || r.Actor.Reasons[n-1] == reasonWithdrawn) {
			delete(out.Counted, r.ID)
		}
	}
	return out
}

// score is what rollup makes of the events.
func (w *world) score() rollup.Score {
	w.t.Helper()
	_, end := w.events.Bounds()
	p, err := rollup.Open(rollup.Default(), score.Default(), w.store, w.events, nil, zap.NewNop(), nil)
	w.check(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	for p.Passed() < end {
		select {
		case err := <-done:
			w.t.Fatalf("rollup ended: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	w.check(<-done)
	s, err := p.Score(rollup.Query{Account: "acme", Sender: "alice", Window: 30 * 24 * time.Hour, AsOf: epoch.Add(80 * time.Hour)})
	w.check(err)
	return s
}

func plain(r event.Refined) event.Refined {
	r.Revision, r.Origin = 0, event.Origin{}
	return r
}

// Whatever the order in which the records of a message come, and wherever the partition is stopped, cut or short of
// memory meanwhile, it ends the same: timelines, statuses, firsts, inferred opens, and what counts.
func TestEndDoesNotDependOnOrder(t *testing.T) {
	rng := seeded(t)
	moved, inferredOpens, scored := 0, 0, 0
	for round := range 24 {
		recs := makeSet(rng)
		o := testOptions()
		o.Settle = pick(rng, 0, 0, o.Settle)
		o.Burst.Weights.Threshold = pick(rng, 0, 0, 2.0)
		o.Burst.Weights.EarlyClick, o.Burst.Weights.AcceptNoHTML = 1, 1
		var want seen
		for try := range 4 {
			w := openWorld(t, o, vfs.NewMem(), newFeed(arrive(rng, recs)...))
			w.drain(func() int {
				if rng.IntN(20) == 0 {
					w.reopen(o)
				}
				return 1 + rng.IntN(20)
			})
			checkState(t, w)
			got := w.seen()
			moved += int(w.value("carom_refine_revisions_total"))
			inferredOpens += got.Inferred
			scored += int(got.Score.Clicked)
			w.close()
			if try == 0 {
				want = got
				continue
			}
			diffSeen(t, round, got, want)
		}
	}
	if moved == 0 || inferredOpens == 0 || scored == 0 {
		t.Errorf("%d revisions, %d inferred opens, %d clicked: the sets are too dull", moved, inferredOpens, scored)
	}
}

func diffSeen(t *testing.T, round int, got, want seen) {
	t.Helper()
	for id, m := range want.Messages {
		g := got.Messages[id]
		if reflect.DeepEqual(g, m) {
			continue
		}
		for i := range max(len(g.Events), len(m.Events)) {
			var a, b string
			if i < len(g.Events) {
				a = describeEvent(&g.Events[i])
			}
			if i < len(m.Events) {
				b = describeEvent(&m.Events[i])
			}
			if a != b {
				t.Logf("event %d is\n  %s\nwant\n  %s", i, a, b)
			}
		}
		t.Fatalf("round %d: message %s has status %s, want %s", round, id, g.Status, m.Status)
	}
	if !reflect.DeepEqual(got.Score, want.Score) {
		t.Fatalf("round %d: the score is\n  %+v\nwant\n  %+v", round, got.Score, want.Score)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("round %d: what counts differs: %d events, %d", round, len(got.Counted), len(want.Counted))
	}
}

// checkState checks what must hold of every stored message: its counts are those of its timeline, and its latest events
// those that were published.
func checkState(t *testing.T, w *world) {
	t.Helper()
	table := w.p.keys.table(nil, tableMessages)
	entries := make(map[event.Key][2]int)
	last := make(map[event.ID]string)
	for _, r := range contents(t, w.events) {
		var e event.Refined
		if err := e.DecodeJSON(r.Value); err != nil {
			t.Fatal(err)
		}
		last[e.ID] = string(r.Value)
	}
	all := stored(t, w.store)
	timeline := string(w.p.keys.table(nil, tableTimeline))
	for k, v := range all {
		if len(k) != epochBytes+32 || k[:tableBytes] != timeline {
			continue
		}
		withheld, value := isWithheld([]byte(v))
		var e event.Refined
		if err := e.DecodeJSON(value); err != nil {
			t.Fatal(err)
		}
		if !withheld && last[e.ID] != string(value) {
			t.Fatalf("the timeline has\n  %s\nand the events\n  %s", value, last[e.ID])
		}
		key := event.Key([]byte(k[epochBytes : epochBytes+16]))
		n := entries[key]
		if e.Kind == event.Open || e.Kind == event.Click {
			n[0]++
		} else {
			n[1]++
		}
		entries[key] = n
	}
	for k, v := range all {
		if len(k) != epochBytes+16 || k[:tableBytes] != string(table) {
			continue
		}
		s := &state{}
		if err := s.decode([]byte(v)); err != nil {
			t.Fatal(err)
		}
		n := entries[event.Key([]byte(k[epochBytes:]))]
		if s.events != uint32(n[0]) || s.facts != uint32(n[1]) {
			t.Fatalf("message %x counts %d and %d entries, the timeline has %d and %d", k[epochBytes:], s.events, s.facts, n[0], n[1])
		}
		if len(s.hits) > maxHits {
			t.Fatalf("%d hits are kept", len(s.hits))
		}
	}
}
