package rollup

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"carom/pipeline/event"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the random tests; 0 is a new one each time")

// newRand returns a source of random numbers whose seed is told when the test fails.
func newRand(t testing.TB) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("again with: go test -run '%s' -seed %d", t.Name(), seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

// randomEvents tells of a few enrollments whose names try to be taken for one another, at times that like to fall on the
// edges of minutes and hours. Messages belong to one enrollment and are sent once, as refine sees to it.
func randomEvents(rng *rand.Rand, n int) []event.Refined {
	type mail struct {
		event.Ref
		sent bool
	}
	mails := make([]mail, 0, 20)
	for i := range 20 {
		mails = append(mails, mail{Ref: event.Ref{
			Account:  "a",
			Sender:   pick(rng, []string{"s", "s/q", "s\x00"}),
			Sequence: pick(rng, []string{"", "", "q", "q/c", "q\x00"}),
			Contact:  pick(rng, []string{"c", "d", "c/x", "\x00c"}),
			Message:  fmt.Sprint("m", nextID, "-", i),
		}})
	}
	kinds := []event.Kind{
		event.Sent, event.Sent, event.Sent, event.Sent, event.Delivered, event.Open, event.Open, event.Click, event.Bounce, event.Bounce,
		event.Delay, event.Complaint, event.Complaint, event.Unsubscribe, event.Reply, event.AutoReply, event.Completed,
	}
	verdicts := []event.Verdict{event.Human, event.Human, event.Proxy, event.Scanner, event.Self, event.Unknown}
	var events []event.Refined
	for range n {
		m := &mails[rng.IntN(len(mails))]
		e := ev(pick(rng, kinds), randomTime(rng))
		e.Ref = m.Ref
		switch e.Kind {
		case event.Sent:
			if m.sent {
				continue
			}
			m.sent = true
			e.Provider = pick(rng, []string{"", "google", "yahoo", "example.com", "a.example.org"})
		case event.Open, event.Click, event.Reply:
			e.Actor.Verdict = pick(rng, verdicts)
			if e.Kind != event.Reply && rng.IntN(8) == 0 {
				someone(&e)
			} else if e.Kind == event.Open && rng.IntN(4) == 0 {
				e.Inferred, e.Actor.Verdict = true, event.Human
			}
		case event.Bounce:
			e.Bounce.Hard = rng.IntN(2) == 0
			e.Bounce.Category = pick(rng, []string{"", "blocked", "invalid_recipient", "of another Carom"})
		case event.Complaint:
			e.FeedbackType = pick(rng, []string{"abuse", "fraud", "not-spam"})
		case event.Completed:
			if rng.IntN(2) == 0 {
				e.Message = ""
			}
		}
		events = append(events, e)
		for hit := e; (e.Kind == event.Open || e.Kind == event.Click) && rng.IntN(4) == 0; {
			hit = revised(hit, verdict(pick(rng, verdicts))) // unknown, among others: taken back
			if hit.Inferred {
				hit.Time = randomTime(rng) // it goes where the click or the reply is that implies it
			}
			events = append(events, hit)
		}
	}
	return events
}

func randomTime(rng *rand.Rand) event.Millis {
	at := hour0 + event.Millis(rng.Int64N(int64(5*day)))
	switch rng.IntN(4) {
	case 0:
		at = roundUp(at, hour)
	case 1:
		at = roundUp(at, minute)
	}
	return at + event.Millis(rng.IntN(3)-1)
}

// compareWithModel asks both about every sender and sequence at several times.
func compareWithModel(t *testing.T, rng *rand.Rand, f *fixture, m *model) {
	t.Helper()
	for range 40 {
		q := Query{
			Account: "a",
			Sender:  pick(rng, []string{"s", "s/q", "s\x00", "nobody"}),
			Window:  pick(rng, []time.Duration{24 * time.Hour, 168 * time.Hour, 720 * time.Hour}),
			AsOf:    randomTime(rng) + event.Millis(rng.IntN(4))*day,
		}
		if rng.IntN(2) == 0 {
			q.Sequence = ptr(pick(rng, []string{"", "q", "q/c", "q\x00", "none"}))
		} else if rng.IntN(2) == 0 {
			q.Provider = ptr(pick(rng, []string{"", "google", "yahoo", "example.com", "none"}))
		}
		got, want := f.ask(q), m.score(q)
		if q.Provider != nil {
			got.Known, want.Known = false, false
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, as of %s:\n got %+v\nwant %+v", q, q.AsOf.Time(), got, want)
		}
		if rng.IntN(8) == 0 {
			compareOpened(t, rng, f, m, q, &got)
		}
	}
}

// TestAgainstModel counts random streams in random steps and asks in between.
func TestAgainstModel(t *testing.T) {
	rng := newRand(t)
	for range 30 {
		o := Options{CompleteAfter: pick(rng, []time.Duration{0, time.Minute, 36 * time.Hour, 72 * time.Hour}), PublishEvery: time.Minute, Domains: 10, StepRecords: 1 + rng.IntN(40), CacheEnrollments: 8, CacheRows: 8}
		f := newFixture(t, o)
		m := newModel(event.Millis(o.CompleteAfter / time.Millisecond))
		for range 1 + rng.IntN(3) {
			events := randomEvents(rng, rng.IntN(200))
			f.tell(events...)
			m.tell(events...)
			compareWithModel(t, rng, f, m)
		}
	}
}

// TestOrderDoesNotMatter shuffles a stream and repeats parts of it, as if refine had told it so.
func TestOrderDoesNotMatter(t *testing.T) {
	rng := newRand(t)
	for range 30 {
		o := Options{CompleteAfter: 72 * time.Hour, PublishEvery: time.Minute, Domains: 10, StepRecords: 1 + rng.IntN(40), CacheEnrollments: 8, CacheRows: 8}
		events := randomEvents(rng, 2+rng.IntN(300))
		m := newModel(72 * hour)
		m.tell(events...)
		for range rng.IntN(100) {
			events = append(events, pick(rng, events))
		}
		rng.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		f := newFixture(t, o)
		f.tell(events...)
		compareWithModel(t, rng, f, m)
	}
}

// TestStepsDoNotMatter: the same log in other steps leaves the same bytes, except where they say how far it got.
func TestStepsDoNotMatter(t *testing.T) {
	rng := newRand(t)
	for range 10 {
		events := randomEvents(rng, 300)
		one := newFixture(t, Options{CompleteAfter: time.Hour, PublishEvery: time.Minute, Domains: 10, StepRecords: 1, CacheEnrollments: 8, CacheRows: 8})
		one.tell(events...)
		all := newFixture(t, Options{CompleteAfter: time.Hour, PublishEvery: time.Minute, Domains: 10, StepRecords: 1000, CacheEnrollments: 8, CacheRows: 8})
		all.tell(events...)
		if a, b := dump(t, one), dump(t, all); !reflect.DeepEqual(a, b) {
			t.Fatalf("in steps of one: %q\nin one step: %q", a, b)
		}
	}
}

// dump returns all rows of the rollup.
func dump(t testing.TB, f *fixture) map[string]string {
	t.Helper()
	r, err := f.p.read()
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	rows := make(map[string]string)
	for ok := r.it.First(); ok; ok = r.it.Next() {
		value := string(r.it.Value())
		if r.it.Key()[headerSize-1] == tableCompletion { // the day on which it was written is no part of what is counted
			var c completion
			if err := c.decode(r.it.Value()); err != nil {
				t.Fatal(err)
			}
			value = fmt.Sprint(c.flags, c.category, string(c.provider))
		}
		rows[string(r.it.Key())] = value
	}
	return rows
}
