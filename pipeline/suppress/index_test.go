package suppress

import (
	"testing"

	"carom/pipeline/event"
)

// What was read in after a row had changed does not undo the change, and what an index can't say it does not say.
func TestIndexFollowsItsRows(t *testing.T) {
	x := newIndex()
	row := func(name string, w *wireSuppression) indexed { return x.indexed("a", name, w) }
	holds := &wireSuppression{wireCause: wireCause{Reason: Complaint, Category: "abuse", Since: 10}}
	want := func(name string, at event.Millis, transactional bool, stops, known bool) {
		t.Helper()
		s, gotStops, gotKnown := x.get(x.key("a", name), at, transactional)
		if gotStops != stops || gotKnown != known || stops != (s == Stop{Reason: Complaint, Category: "abuse", Since: 10}) {
			t.Errorf("%s at %d: %+v, %v, %v", name, at, s, gotStops, gotKnown)
		}
	}
	x.put(row("before", holds))
	x.begin()
	x.put(row("new", holds))
	x.forget(row("changing", nil))
	x.put(row("gone", holds), row("gone", nil))
	for _, name := range []string{"old", "new", "changing", "gone"} {
		x.read(row(name, holds))
	}
	x.end()
	want("before", 20, false, true, true)
	want("old", 20, false, true, true)
	want("new", 20, false, true, true)
	want("changing", 20, false, false, false)
	want("gone", 20, false, false, false)
	want("old", 9, false, false, true)
	want("old", 20, true, false, true)
	x.forget(row("old", nil))
	want("old", 20, false, false, false)
	for name, w := range map[string]wireCause{
		"until": {Reason: Bounce, Since: 1, Until: 2}, "ended": {Reason: Bounce, Since: 1, Ended: 2}, "quarantined": {Reason: Bounce, Quarantined: true},
		"unknown": {Reason: "newer", Since: 1}, "negative": {Reason: Bounce, Since: -1},
	} {
		x.put(row(name, &wireSuppression{wireCause: w}))
		want(name, 20, false, false, false)
	}
	x.put(row("others", &wireSuppression{wireCause: holds.wireCause, Others: []wireCause{holds.wireCause}}))
	want("others", 20, false, false, false)
}

// A restart reads the index in from the rows, and what it says is what they say.
func TestIndexIsReadIn(t *testing.T) {
	f := newFixture(t, Default())
	f.hear(f.bounce("a", "m1", bob, t0, true))
	f.hear(f.bounce("b", "m2", bob, t0, true))
	f.order(Order{Op: OpRemove, Account: "b", Address: bob, Time: t0 + dayMS})
	if err := f.b.buildIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, stops, known := f.b.index.get(f.b.index.key("a", bob), t0, false); !stops || !known {
		t.Error("a row is not at hand")
	}
	f.want("a", bob, t0, "account bounce invalid_recipient")
	f.want("a", bob, t0-1, "")
	f.want("b", bob, t0, "account bounce invalid_recipient")
	f.want("b", bob, t0+dayMS, "")
}
