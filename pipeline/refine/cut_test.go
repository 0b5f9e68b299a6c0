package refine

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

// uncut is what refine makes of records in one go.
type uncut struct {
	events, addresses, rejects []log.Record
	stored                     map[string]string
	counters                   map[string]float64
}

func refineUncut(t testing.TB, o Options, recs []log.Record) uncut {
	t.Helper()
	o.StepBytes, o.CacheMessages = 64<<20, 1<<20
	w := openWorld(t, o, vfs.NewMem(), newFeed(recs...))
	defer w.close()
	w.drain(all)
	u := uncut{
		events: contents(t, w.events), addresses: contents(t, w.addresses), rejects: contents(t, w.rejects),
		stored: stored(t, w.store), counters: make(map[string]float64),
	}
	for _, name := range []string{"records_total", "parked_facts", "waiting_clicks", "restored_total", "revisions_total", "expired_epochs_total"} {
		u.counters[name] = w.value("carom_refine_" + name)
	}
	for _, reason := range dropReasons {
		u.counters[reason] = w.value("carom_refine_dropped_total", "reason", reason)
	}
	return u
}

// Neither the cuts between steps, nor restarts, nor the sizes of caches show in the output or in the state.
func TestOutputDoesNotDependOnSteps(t *testing.T) {
	rng := seeded(t)
	for range 6 {
		recs := makeTraffic(rng, 400)
		o := trafficOptions()
		o.Keep = pick(rng, time.Minute, o.Keep)
		want := refineUncut(t, o, recs)
		if len(want.events) < 100 || len(want.rejects) < 5 {
			t.Fatalf("the traffic is too dull: %d events, %d rejects", len(want.events), len(want.rejects))
		}
		for range 3 {
			o.StepBytes = 4<<10 + rng.IntN(8<<10)
			o.CacheMessages = 16 + rng.IntN(8)
			w := openWorld(t, o, vfs.NewMem(), newFeed(recs...))
			w.p.timers.bound = frontBound{timers: 1 + rng.IntN(4), bytes: 1 << 10}
			w.p.hand = newHand(1 + rng.IntN(2_000))
			longest := 1 + rng.IntN(100)
			w.drain(func() int {
				if rng.IntN(10) == 0 {
					w.reopen(o)
					w.p.timers.bound = frontBound{timers: 1 + rng.IntN(4), bytes: 1 << 10}
					w.p.hand = newHand(1 + rng.IntN(2_000))
				}
				return 1 + rng.IntN(longest)
			})
			sameRecords(t, "events", contents(t, w.events), want.events)
			sameRecords(t, "addresses", contents(t, w.addresses), want.addresses)
			sameRecords(t, "rejects", contents(t, w.rejects), want.rejects)
			sameStored(t, stored(t, w.store), want.stored)
			w.close()
		}
	}
}

// Origins of the events only grow, and so do those of the rejects; each record's begin at 0.
func TestOriginsGrow(t *testing.T) {
	u := refineUncut(t, trafficOptions(), makeTraffic(seeded(t), 1000))
	events := refinedOf(t, u.events)
	for i := range events {
		o := events[i].Origin
		switch {
		case o.Partition != 3 || o.Node != "n1" && o.Node != "n2":
			t.Fatalf("event %d: origin %+v", i, o)
		case i > 0 && !o.After(events[i-1].Origin):
			t.Fatalf("event %d: origin %+v does not follow %+v", i, o, events[i-1].Origin)
		case i > 0 && o.Offset == events[i-1].Origin.Offset && o.N != events[i-1].Origin.N+1:
			t.Fatalf("event %d: origin %+v leaves a gap after %+v", i, o, events[i-1].Origin)
		case (i == 0 || o.Offset != events[i-1].Origin.Offset) && o.N != 0:
			t.Fatalf("event %d: origin %+v does not begin at 0", i, o)
		}
	}
	rejects := rejectsOf(t, u.rejects)
	for i := 1; i < len(rejects); i++ {
		o, before := rejects[i].Origin, rejects[i-1].Origin
		if o.Offset < before.Offset || o.Offset == before.Offset && o.N != before.N+1 {
			t.Fatalf("reject %d: origin %+v does not follow %+v", i, o, before)
		}
	}
}

// Every record that was told ends in exactly one place: an event, a reject, or a counted drop.
func TestEveryFactIsAccountedFor(t *testing.T) {
	recs := makeTraffic(seeded(t), 4000) // enough for every reason to drop one
	u := refineUncut(t, trafficOptions(), recs)
	ticks, erases := 0, make(map[event.Source]bool)
	for _, r := range recs {
		f := fact{raw: r.Value}
		if f.decode() == nil && f.Kind.String() == "tick" {
			ticks++
		}
		if f.Kind == event.Erase {
			erases[r.Source] = true // it becomes no event or several
		}
	}
	told := make(map[event.ID]bool) // whatever its revisions
	for _, e := range refinedOf(t, u.events) {
		if !e.Inferred && e.Kind != event.Erase {
			told[e.ID] = true
		}
	}
	dropped := 0.0
	for _, reason := range dropReasons {
		if u.counters[reason] == 0 {
			t.Errorf("the traffic drops nothing as %s", reason)
		}
		dropped += u.counters[reason]
	}
	passedOn := 0
	for _, f := range factsOf(t, u.addresses) {
		if f.Kind == event.Order || f.Kind == event.Life {
			passedOn++
		}
	}
	heard := float64(len(recs) - ticks)
	ends := float64(len(told)+passedOn+len(u.rejects)+len(erases)) + dropped - u.counters["restored_total"]
	if heard != ends || u.counters["parked_facts"] != 0 || u.counters["waiting_clicks"] != 0 {
		t.Errorf("%v facts were told, %v ended somewhere; %v", heard, ends, u.counters)
	}
	if u.counters["records_total"] != float64(len(recs)) {
		t.Errorf("%v records passed, want %d", u.counters["records_total"], len(recs))
	}
}

// A relay may send again from any earlier point of any journal, whenever it likes: nothing comes of it.
func TestRepeatsChangeNothing(t *testing.T) {
	rng := seeded(t)
	for range 6 {
		recs := makeTraffic(rng, 300)
		o := trafficOptions()
		repeated := repeatSources(rng, recs)
		if len(repeated) < len(recs)+20 {
			t.Fatalf("only %d repeats", len(repeated)-len(recs))
		}
		got, want := refineUncut(t, o, repeated), refineUncut(t, o, recs)
		events, wantEvents := refinedOf(t, got.events), refinedOf(t, want.events)
		for i := range min(len(events), len(wantEvents)) {
			events[i].Origin, wantEvents[i].Origin = event.Origin{Node: events[i].Origin.Node}, event.Origin{Node: wantEvents[i].Origin.Node}
			if !reflect.DeepEqual(events[i], wantEvents[i]) {
				t.Fatalf("event %d is\n  %+v\nwant\n  %+v", i, events[i], wantEvents[i])
			}
		}
		if len(events) != len(wantEvents) || len(got.addresses) != len(want.addresses) || len(got.rejects) != len(want.rejects) {
			t.Fatalf("%d events, %d facts about addresses, %d rejects; want %d, %d, %d", len(events), len(got.addresses),
				len(got.rejects), len(wantEvents), len(want.addresses), len(want.rejects))
		}
	}
}

// repeatSources puts repeats between recs: runs of one journal's records, interleaved with those of others as a topic
// interleaves its producers.
func repeatSources(rng *rand.Rand, recs []log.Record) (out []log.Record) {
	type again struct{ next, end int } // of recs, one journal's records of them
	runs := make(map[string]*again)
	for i, rec := range recs {
		if node := rec.Source.Node; node != "" && rng.IntN(20) == 0 {
			runs[node] = &again{next: max(0, i-rng.IntN(60)), end: i}
		}
		for _, node := range []string{"n1", "n2"} {
			for run := runs[node]; run != nil && run.next < run.end && rng.IntN(4) > 0; run.next++ {
				if repeat := recs[run.next]; repeat.Source.Node == node {
					repeat.Time = rec.Time // so that the clock does not move otherwise
					out = append(out, repeat)
				}
			}
		}
		out = append(out, rec)
	}
	return out
}

// The log of addresses holds exactly what the events hold that bears on an address, each with an origin of its own.
func TestAddressesFollowEvents(t *testing.T) {
	recs := makeTraffic(seeded(t), 2000)
	u := refineUncut(t, trafficOptions(), recs)
	told, kinds := make(map[event.ID]event.AddressFact), make(map[event.Kind]int)
	var last event.Origin
	for i, f := range factsOf(t, u.addresses) {
		if i > 0 && (!f.Origin.After(last) || f.Origin.N != 0 && f.Origin.N != last.N+1) || f.Origin.Partition != 3 {
			t.Fatalf("fact %d: origin %+v does not follow %+v", i, f.Origin, last)
		}
		last = f.Origin
		if f.Kind > event.Alert { // made of no event
			kinds[f.Kind]++
			continue
		}
		told[f.ID] = f
	}
	for _, r := range refinedOf(t, u.events) {
		if r.Revision > 0 {
			continue
		}
		f, ok := told[r.ID]
		switch r.Kind {
		case event.Bounce, event.Complaint, event.Unsubscribe:
			if !ok {
				t.Fatalf("not told: %+v", r)
			}
			if f.Kind != r.Kind || f.Time != r.Time || f.Account != r.Account || f.Contact != r.Contact || f.Message != r.Message ||
				f.Bounce != r.Bounce || f.Reported != r.Recipient && r.Kind == event.Bounce || f.FeedbackType != r.FeedbackType {
				t.Fatalf("told as %+v: %+v", f, r)
			}
		case event.Delay, event.AutoReply, event.Dropped, event.Completed:
			if ok {
				t.Fatalf("told: %+v", r)
			}
		}
		if ok {
			kinds[f.Kind]++
			delete(told, r.ID)
		}
	}
	// What is left are repeats of hits that lifted a bounce, and registrations of what was not sent.
	for _, f := range told {
		if f.Kind != event.Open && f.Kind != event.Click && f.Kind != event.Sent {
			t.Errorf("told of no event: %+v", f)
		}
	}
	if stand, lifted := checkBounces(t, u); stand == 0 || lifted == 0 {
		t.Errorf("%d bounces stand and %d are lifted: the traffic is too dull", stand, lifted)
	}
	for _, k := range addressKinds {
		if kinds[k] == 0 && k != event.Click && k != event.Reply { // few of those lift a bounce that an open didn't
			t.Errorf("no %v was told", k)
		}
	}
}

// checkBounces follows the log of addresses as its reader does, and compares which bounces it believes to stand with what
// the states of the messages know.
func checkBounces(t *testing.T, u uncut) (stand, lifted int) {
	t.Helper()
	type known struct {
		bounces marks
		alive   event.Millis
	}
	read := make(map[event.Key]*known)
	for _, f := range factsOf(t, u.addresses) {
		if f.Message == "" {
			continue
		}
		key := event.KeyOf(f.Account, f.Message)
		k := read[key]
		if k == nil {
			k = &known{}
			read[key] = k
		}
		switch f.Kind {
		case event.Bounce:
			k.bounces.add(bounceMark(&f.Bounce), f.Time)
			k.alive = f.AliveAt
		case event.Delivered, event.Open, event.Click, event.Reply:
			k.alive = f.AliveAt
		}
	}
	for key, k := range read {
		if _, erased := u.stored[string(keyspace(3).tomb(nil, 1, key))]; erased {
			continue
		}
		s := &state{}
		if err := s.decode([]byte(u.stored[string(keyspace(3).message(nil, 1, key))])); err != nil {
			t.Fatal(err)
		}
		truth := s.living()
		for _, m := range bounceMarks {
			if !k.bounces.has(m) {
				continue
			}
			stands := k.bounces.time[m] >= k.alive
			if stands != truth.bounced(m) {
				t.Errorf("message %s: bounce %d stands: %t by the log of addresses, %t in truth", key, m, stands, truth.bounced(m))
			}
			if stands {
				stand++
			} else {
				lifted++
			}
		}
	}
	return stand, lifted
}
