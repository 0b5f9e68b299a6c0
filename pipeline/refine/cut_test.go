package refine

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

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
	for _, name := range []string{"records_total", "parked_facts", "waiting_clicks"} {
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
		want := refineUncut(t, o, recs)
		if len(want.events) < 100 || len(want.rejects) < 5 {
			t.Fatalf("the traffic is too dull: %d events, %d rejects", len(want.events), len(want.rejects))
		}
		for range 3 {
			o.StepBytes = 4<<10 + rng.IntN(8<<10)
			o.CacheMessages = 16 + rng.IntN(8)
			w := openWorld(t, o, vfs.NewMem(), newFeed(recs...))
			w.p.timers.bound = frontBound{timers: 1 + rng.IntN(4), bytes: 1 << 10}
			longest := 1 + rng.IntN(100)
			w.drain(func() int {
				if rng.IntN(10) == 0 {
					w.reopen(o)
					w.p.timers.bound = frontBound{timers: 1 + rng.IntN(4), bytes: 1 << 10}
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
	recs := makeTraffic(seeded(t), 1500)
	u := refineUncut(t, trafficOptions(), recs)
	ticks, inferred := 0, 0
	for _, r := range recs {
		f := fact{raw: r.Value}
		if f.decode() == nil && f.Kind.String() == "tick" {
			ticks++
		}
	}
	for _, e := range refinedOf(t, u.events) {
		if e.Inferred {
			inferred++
		}
	}
	dropped := 0.0
	for _, reason := range dropReasons {
		if u.counters[reason] == 0 {
			t.Errorf("the traffic drops nothing as %s", reason)
		}
		dropped += u.counters[reason]
	}
	told := float64(len(recs) - ticks)
	ends := float64(len(u.events)-inferred+len(u.rejects)) + dropped
	if told != ends || u.counters["parked_facts"] != 0 || u.counters["waiting_clicks"] != 0 {
		t.Errorf("%v facts were told, %v ended somewhere; %v", told, ends, u.counters)
	}
	if u.counters["records_total"] != float64(len(recs)) {
		t.Errorf("%v records passed, want %d", u.counters["records_total"], len(recs))
	}
}
