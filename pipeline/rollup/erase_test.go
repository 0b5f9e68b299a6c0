package rollup

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"carom/pipeline/event"
)

// lacks fails if a row names something.
func (f *fixture) lacks(names ...string) {
	f.t.Helper()
	for key, value := range dump(f.t, f) {
		for _, name := range names {
			if strings.Contains(key, name) || strings.Contains(value, name) {
				f.t.Errorf("%s is in %q: %q", name, key, value)
			}
		}
	}
}

// bobs are facts of one contact in two sequences and in none, of every kind that counts, and of another contact.
func bobs() (events []event.Refined) {
	for i, in := range []string{"q4", "q5", ""} {
		of := func(kind event.Kind, after event.Millis, change ...func(*event.Refined)) {
			change = append(change, contact("bob"), sequence(in), message("m-bob-"+in))
			events = append(events, ev(kind, hour0+event.Millis(i)*hour+after, change...))
		}
		of(event.Sent, 0)
		of(event.Delivered, second)
		of(event.Open, minute)
		of(event.Open, 2*minute, verdict(event.Proxy))
		of(event.Click, 3*minute)
		switch i {
		case 0:
			of(event.Reply, 4*minute)
		case 1:
			of(event.Bounce, 5*minute, hard)
		case 2:
			of(event.Complaint, 6*minute)
		}
		events = append(events, ev(event.Sent, hour0, contact("eve"), sequence(in), message("m-eve-"+in)), ev(event.Open, hour0+minute, contact("eve"), sequence(in), message("m-eve-"+in)))
	}
	return events
}

// erases are what refine tells of bob: one event for each sequence.
func erases(at event.Millis) (events []event.Refined) {
	for _, in := range []string{"q4", "q5", ""} {
		events = append(events, ev(event.Erase, at, contact("bob"), sequence(in), message(""), func(r *event.Refined) { r.Messages = []string{"m-bob-" + in} }))
	}
	return events
}

// asked are scores of the sender and of its sequences over time.
func (f *fixture) asked() (scores []Score) {
	f.t.Helper()
	for _, in := range []*string{nil, ptr(""), ptr("q4"), ptr("q5")} {
		for at := hour0; at < hour0+8*day; at += 7 * hour {
			scores = append(scores, f.ask(Query{Account: "a", Sender: "s", Sequence: in, Window: 7 * 24 * time.Hour, AsOf: at}))
		}
	}
	return scores
}

// TestErase: an erased contact's enrollments go on to count, under names that lead to nobody, and when cohorts are
// computed anew, by the same rules or others.
func TestErase(t *testing.T) {
	for _, atOnce := range []int{1, 3, 1000} {
		o := Default()
		o.StepRecords = atOnce
		f, plain := newFixture(t, o), newFixture(t, o)
		told, told2 := bobs(), bobs()
		f.tell(told...)
		plain.tell(told2...)
		before := f.asked()
		if !reflect.DeepEqual(before, plain.asked()) || before[len(before)-1].Bounced != 1 {
			t.Fatal("the two differ before")
		}
		f.tell(erases(hour0 + day)...)
		if !reflect.DeepEqual(f.asked(), before) {
			t.Error("the scores have changed")
		}
		f.lacks("bob")

		// Erased again, and revised, nothing is there that it could be about.
		rows := len(dump(t, f))
		f.tell(erases(hour0 + day + hour)...)
		if got := len(dump(t, f)) - len(erases(0)); got > rows { // a scrub each
			t.Errorf("%d rows were %d", got, rows)
		}
		f.lacks("bob")
		f.tell(revised(told[2], verdict(event.Scanner)))
		if !reflect.DeepEqual(f.asked(), before) {
			t.Error("a late revision has changed the scores")
		}

		for _, d := range []time.Duration{time.Hour, 30 * time.Hour, o.CompleteAfter} {
			other := o
			other.CompleteAfter = d
			f.open(other)
			plain.open(other)
			if !reflect.DeepEqual(f.asked(), plain.asked()) {
				t.Errorf("computed anew for %v, the scores differ", d)
			}
		}

		// He comes back.
		f.tell(ev(event.Sent, hour0+2*day, contact("bob"), sequence("q4"), message("m-new")))
		if got := f.ask(Query{Account: "a", Sender: "s", Window: 7 * 24 * time.Hour, AsOf: hour0 + 7*day}); got.Completed != 7 {
			t.Errorf("%d completed, want the six from before and his new one", got.Completed)
		}
	}
}

// An erase is a job for who rewrites the copies, until he says that it is done.
func TestEraseIsScrubbed(t *testing.T) {
	f := newFixture(t, Default())
	f.tell(bobs()...)
	bob, eve := event.ContactKeyOf("a", "bob"), event.ContactKeyOf("a", "eve")
	if list, err := f.p.Scrubs(10); len(list) != 0 || err != nil {
		t.Fatal(list, err)
	}
	f.tell(erases(hour0 + day)...)
	for _, limit := range []int{2, 10} {
		list, err := f.p.Scrubs(limit)
		if err != nil || len(list) != min(limit, 3) || list[0].Contact != bob || list[0].At != hour0+day {
			t.Fatalf("%+v, %v", list, err)
		}
	}
	f.open(Default())
	is := func(c event.ContactKey, want bool) {
		t.Helper()
		if got, err := f.p.Scrubbing(c); got != want || err != nil {
			t.Errorf("%v, %v, want %v", got, err, want)
		}
	}
	is(bob, true)
	is(eve, false)
	for range 3 {
		is(bob, true)
		list, err := f.p.Scrubs(1)
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		if err := f.p.Scrubbed(list); err != nil {
			t.Fatal(err)
		}
	}
	is(bob, false)
}

// A log that was scrubbed before it is counted tells nobody's name, and counts nothing of him: his facts are gone.
func TestErasedBeforeCounted(t *testing.T) {
	f := newFixture(t, Default())
	events := append(bobs(), erases(hour0+day)...)
	for i := range events {
		if events[i].Contact == "bob" {
			events[i].Blank()
		}
	}
	f.tell(events...)
	if got := f.ask(Query{Account: "a", Sender: "s", Window: 7 * 24 * time.Hour, AsOf: hour0 + 5*day}); got.Completed != 3 || got.Opened != 3 {
		t.Errorf("got %+v", got.Counts)
	}
	if list, err := f.p.Scrubs(10); len(list) != 0 || err != nil {
		t.Error(list, err)
	}
	f.lacks("bob")
}
