package scenario

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"carom/bench/node"
)

// world is an account of a few facts, and the events that a right node makes of them.
type world struct {
	plan    *plan
	ledger  *ledger
	checker *checker
	events  []node.Event
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s := Default()
	s.Name, s.Messages = "x", 10
	a, b := defaultSender(), defaultSender()
	a.Name, b.Name, b.Count = "a", "b", 3
	s.Senders = []Sender{a, b}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	w := &world{plan: newPlan(&s, "acc", "run", time.Now()), ledger: newLedger(time.Now())}
	w.checker = newChecker(w.plan, w.ledger, "events", true)
	person, scan := visitorNamed("iphone"), visitorNamed("curl")
	for i := range s.Messages {
		w.fact(newFact(i, sent, nobody, 0), "", "")
		w.fact(newFact(i, open, 1, 0), person.opens, "human")
		w.fact(newFact(i, click, 3, 1), scan.clicks, "scanner")
	}
	w.fact(newFact(3, bounce, nobody, 1), "", "")
	return w
}

// fact notes an acknowledged fact and its event.
func (w *world) fact(f fact, agent, verdict string) {
	w.ledger.try(f)
	w.ledger.ack(f, time.Now())
	w.events = append(w.events, w.event(f, agent, verdict))
}

func (w *world) event(f fact, agent, verdict string) node.Event {
	e := node.Event{ID: fmt.Sprintf("id-%d", f), Kind: f.kind().String(), Message: w.plan.messageID(f.message()), Sender: w.plan.senderOf(f.message())}
	e.Client.UserAgent, e.Actor.Verdict, e.Link.Index = agent, verdict, f.link()
	if f.kind() == bounce {
		e.Bounce.Hard, e.Bounce.Category, e.Bounce.Status, e.Bounce.Recipient = true, "invalid_recipient", "5.1.1", w.plan.recipient(f.message())
	}
	return e
}

// The check fails for everything that a wrong node could do, says what it is, and for nothing else.
func TestCheckCanFail(t *testing.T) {
	const opened, clicked, bounced = 1, 2, 30 // events of message 0 and 3
	tests := []struct {
		name string
		do   func(*world)
		want map[string]int64
		says string
	}{
		{"right", func(*world) {}, nil, ""},
		{"withheld", func(w *world) { w.events = append(w.events[:opened], w.events[opened+1:]...) }, map[string]int64{missing: 1}, "open by a person of run.0@"},
		{"twice", func(w *world) {
			e := w.events[clicked]
			e.ID = "another"
			w.events = append(w.events, e)
		}, map[string]int64{double: 1}, "click on link 1 by a scanner of run.0@"},
		{"told twice", func(w *world) { w.events = append(w.events, w.events[clicked]) }, map[string]int64{retold: 1}, "run.0@"},
		{"revised", func(w *world) {
			e := w.events[clicked]
			e.Revision = 1
			w.events = append(w.events, e)
		}, nil, ""},
		{"wrong verdict", func(w *world) { w.events[clicked].Actor.Verdict = "human" }, map[string]int64{actor: 1}, "run.0@"},
		{"wrong verdict, mended", func(w *world) {
			e := w.events[clicked]
			w.events[clicked].Actor.Verdict = "human"
			e.Revision = 1
			w.events = append(w.events, e)
		}, nil, ""},
		{"wrong sender", func(w *world) { w.events[0].Sender = "b-9-run" }, map[string]int64{sender: 1}, "sent of run.0@"},
		{"wrong bounce", func(w *world) { w.events[bounced].Bounce.Category = "other" }, map[string]int64{reason: 1}, "bounce of run.3@"},
		{"another's address", func(w *world) { w.events[bounced].Bounce.Recipient = w.plan.recipient(4) }, map[string]int64{reason: 1}, "bounce of run.3@"},
		{"invented", func(w *world) {
			w.events = append(w.events, w.event(newFact(5, reply, nobody, 0), "", ""))
		}, map[string]int64{invented: 1}, "reply of run.5@"},
		{"invented message", func(w *world) {
			w.events = append(w.events, node.Event{Kind: "open", Message: "run.10@scenario.example.com"})
		}, map[string]int64{invented: 1}, "run.10@"},
		{"unanswered, missing", func(w *world) { w.ledger.try(newFact(5, reply, nobody, 0)) }, nil, ""},
		{"unanswered, there", func(w *world) {
			f := newFact(5, complaint, nobody, 0)
			w.ledger.try(f)
			w.events = append(w.events, w.event(f, "", ""))
		}, nil, ""},
		{"unanswered, there twice", func(w *world) {
			f := newFact(5, complaint, nobody, 0)
			w.ledger.try(f)
			e := w.event(f, "", "")
			again := e
			again.ID = "another"
			w.events = append(w.events, e, again)
		}, map[string]int64{double: 1}, "complaint of run.5@"},
		{"taken back for another", func(w *world) {
			back, e := w.events[clicked], w.events[clicked]
			back.Revision, back.Actor.Verdict, back.Actor.Reasons = 1, "unknown", []string{"repeat"}
			e.ID = "another"
			w.events = append(w.events, e, back)
		}, nil, ""},
		{"taken back for nothing", func(w *world) {
			back := w.events[clicked]
			back.Revision, back.Actor.Verdict, back.Actor.Reasons = 1, "unknown", []string{"repeat"}
			w.events = append(w.events, back)
		}, map[string]int64{missing: 1}, "run.0@"},
		{"an open inferred for nothing", func(w *world) {
			e := w.event(newFact(0, open, nobody, 0), "", "human")
			e.ID, e.Inferred = "inferred", true
			w.events = append(w.events, e)
		}, map[string]int64{inferred: 1}, "inferred open of run.0@"},
		{"no open inferred", func(w *world) {
			w.events = append(w.events[:opened], w.events[opened+1:]...)
			w.fact(newFact(0, reply, nobody, 0), "", "")
		}, map[string]int64{missing: 1, deduced: 1}, "run.0@"},
	}
	for _, tt := range tests {
		w := newWorld(t)
		tt.do(w)
		for i := range w.events {
			w.checker.event(&w.events[i])
		}
		check, _ := w.checker.finish()
		if !maps.Equal(check.Differences, tt.want) || check.Right() != (len(tt.want) == 0) {
			t.Errorf("%s: %v, want %v", tt.name, check.Differences, tt.want)
		}
		if got := strings.Join(check.Named, "\n"); !strings.Contains(got, tt.says) {
			t.Errorf("%s: it is called %s", tt.name, got)
		}
		if tt.want == nil && w.ledger.arrived.Load() != w.ledger.acked.Load() {
			t.Errorf("%s: %d of %d arrived", tt.name, w.ledger.arrived.Load(), w.ledger.acked.Load())
		}
	}
}

// An account of many facts is exact, and small.
func TestLedger(t *testing.T) {
	l := newLedger(time.Now())
	random := rand.New(rand.NewPCG(1, 2))
	want := map[fact]bool{} // acknowledged
	const facts = 50_000
	for len(want) < facts {
		f := newFact(random.IntN(facts/4), kind(1+random.IntN(9)), who(random.IntN(4)), random.IntN(3))
		l.try(f)
		if want[f] = want[f] || random.IntN(2) == 0; want[f] {
			l.ack(f, time.Now())
		}
	}
	n := 0
	l.each(func(e *entry) {
		n++
		if acked, ok := want[e.fact]; !ok || acked != (e.acked != 0) {
			t.Fatalf("%v: %v, %v", e.fact, acked, ok)
		}
	})
	if n != facts {
		t.Errorf("%d facts of %d", n, facts)
	}
	if most := l.bytes() / facts; most > 64 {
		t.Errorf("%d bytes a fact", most)
	}
	// A play of 240 hours outlives the ticks; what is acknowledged then counts once all the same.
	before, last := l.acked.Load(), newFact(facts+1, open, person, 0)
	for range 2 {
		l.ack(last, l.begin.Add((1<<32-1)*tick))
	}
	if n := l.acked.Load() - before; n != 1 {
		t.Errorf("a late fact is acknowledged %d times", n)
	}
	if _, _, invented := l.see(newFact(facts, open, person, 0), &sighting{id: "x"}, time.Now()); !invented {
		t.Error("a fact that nobody tried is known")
	}
}
