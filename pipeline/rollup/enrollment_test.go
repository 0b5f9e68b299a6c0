package rollup

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"carom/pipeline/event"
	"carom/pipeline/score"
)

// TestManyHits: of a flood of hits an enrollment keeps a bounded number, and still counts right.
func TestManyHits(t *testing.T) {
	for _, rising := range []bool{true, false} {
		f := newFixture(t, Default())
		events := []event.Refined{ev(event.Sent, hour0), ev(event.Bounce, hour0+500*minute)}
		for i := range event.Millis(1000) {
			at := hour0 + i*minute
			if !rising {
				at = hour0 + (1000-i)*minute
			}
			events = append(events, ev(event.Open, at), ev(event.Click, at-1, verdict(event.Scanner)))
		}
		f.tell(events...)
		got := f.score(hour0 + 3*day)
		if want := (score.Counts{Completed: 1, Opened: 1, MachineClicked: 1, Opens: 1000, MachineClicks: 1000}); got.Counts != want {
			t.Errorf("got %+v, want %+v", got.Counts, want)
		}
		if got := f.score(hour0).Recent.Hour; got != (Period{1, 0}) {
			t.Errorf("recent: got %+v", got)
		}
		f.tell(ev(event.Bounce, hour0+998*minute))
		if got := f.score(hour0 + 3*day).Bounced; got != 0 {
			t.Error("the last open still lifts a bounce before it")
		}
		f.tell(ev(event.Bounce, hour0+1001*minute))
		if got := f.score(hour0 + 3*day).Bounced; got != 1 {
			t.Error("nothing lifts the last bounce")
		}
		for key, value := range dump(t, f) {
			if key[headerSize-1] == tableEnrollment && len(value) > 16*maxFacts {
				t.Errorf("an enrollment takes %d bytes", len(value))
			}
		}
	}
}

// TestManyHitsRevised: refine revises the 64 latest hits of a message. Of an enrollment with one message all of them are
// remembered, however many came before, and so nothing drifts.
func TestManyHitsRevised(t *testing.T) {
	const revisable = 64
	rng := newRand(t)
	for range 10 {
		o := Options{CompleteAfter: 36 * 3600e9, PublishEvery: 60e9, Domains: 10, StepRecords: 1 + rng.IntN(50), CacheEnrollments: 8, CacheRows: 8}
		f := newFixture(t, o)
		m := newModel(36 * hour)
		events := []event.Refined{ev(event.Sent, hour0), ev(event.Delivered, hour0+1), ev(event.Bounce, hour0+2)}
		verdicts := []event.Verdict{event.Human, event.Human, event.Scanner, event.Unknown, event.Proxy}
		var hits []event.Refined // by time
		for range 400 {
			hit := ev(pick(rng, []event.Kind{event.Open, event.Click}), hour0+event.Millis(rng.Int64N(int64(day))), verdict(pick(rng, verdicts)))
			at, _ := slices.BinarySearchFunc(hits, hit.Time, func(h event.Refined, at event.Millis) int { return cmp.Compare(h.Time, at) })
			if at < len(hits)-revisable {
				hit.Actor.Verdict = event.Human // too late to be judged with others: published once
			}
			hits = slices.Insert(hits, at, hit)
			events = append(events, hit)
			for range rng.IntN(3) {
				i := max(0, len(hits)-revisable) + rng.IntN(min(len(hits), revisable))
				hits[i] = revised(hits[i], verdict(pick(rng, verdicts)))
				events = append(events, hits[i])
			}
		}
		f.tell(events...)
		m.tell(events...)
		q := Query{Account: "a", Sender: "s", Window: 720 * 3600e9, AsOf: hour0 + 2*day}
		if got, want := f.ask(q), m.score(q); got.Counts != want.Counts || got.Opens < 50 {
			t.Fatalf("got %+v\nwant %+v", got.Counts, want.Counts)
		}
	}
}

// TestForgottenHitRevised: a revision of a hit that was forgotten does not count it twice.
func TestForgottenHitRevised(t *testing.T) {
	f := newFixture(t, Default())
	events := []event.Refined{ev(event.Sent, hour0)}
	for i := range event.Millis(200) {
		events = append(events, ev(event.Open, hour0+i*minute), ev(event.Click, hour0+i*minute, verdict(event.Scanner)))
	}
	f.tell(events...)
	f.tell(revised(events[1]), revised(events[2]), revised(events[3], verdict(event.Unknown)))
	want := score.Counts{Completed: 1, Opened: 1, Opens: 200, MachineClicked: 1, MachineClicks: 200}
	if got := f.score(hour0 + 3*day); got.Counts != want {
		t.Errorf("got %+v, want %+v", got.Counts, want)
	}
}

// TestManyMessages: of a long sequence the oldest messages are forgotten one by one. What the enrollment counts as does
// not change by that, nor what was counted as sent and bounced of late.
func TestManyMessages(t *testing.T) {
	rng := newRand(t)
	o := Options{CompleteAfter: 36 * 3600e9, PublishEvery: 60e9, Domains: 10, StepRecords: 1 + rng.IntN(50), CacheEnrollments: 8, CacheRows: 8}
	f := newFixture(t, o)
	m := newModel(36 * hour)
	in := sequence("q")
	for i := range event.Millis(200) {
		at, mail := hour0+i*11*minute, message(fmt.Sprint("m", i))
		events := []event.Refined{ev(event.Sent, at, in, mail)}
		for _, r := range []event.Refined{
			ev(event.Delivered, at+2, in, mail), ev(event.Open, at+3, in, mail, verdict(pick(rng, []event.Verdict{event.Human, event.Proxy}))),
			ev(event.Bounce, at+1+event.Millis(rng.IntN(4)), in, mail, hard), ev(event.Complaint, at+4, in, mail, feedback("abuse")),
			ev(event.Completed, hour0+hour+i, in, message("")),
		} {
			if rng.IntN(3) > 0 {
				events = append(events, r)
			}
		}
		f.tell(events...)
		m.tell(events...)
		for range 3 {
			q := Query{Account: "a", Sender: "s", Sequence: ptr("q"), Window: 720 * 3600e9, AsOf: randomTime(rng)}
			if got, want := f.ask(q), m.score(q); got.Counts != want.Counts || got.Recent != want.Recent {
				t.Fatalf("message %d, as of %s:\n got %+v %+v\nwant %+v %+v", i, q.AsOf.Time(), got.Counts, got.Recent, want.Counts, want.Recent)
			}
		}
	}
}

// TestShrinkKeepsWhatCounts compares what random enrollments add up to before and after.
func TestShrinkKeepsWhatCounts(t *testing.T) {
	rng := newRand(t)
	for range 2000 {
		var e enrollment
		messages := 1 + rng.IntN(40)
		for !e.full() {
			e.add(randomFact(rng, messages))
		}
		var before, after contribution
		e.contribution(&before, hour, nil)
		e.shrink()
		e.contribution(&after, hour, nil)
		if before.counted != after.counted || before.at != after.at || before.flags != after.flags || before.again != after.again {
			t.Fatalf("before %+v\nafter  %+v", before, after)
		}
		if len(e.facts) > keptFacts {
			t.Fatalf("%d facts are left", len(e.facts))
		}
	}
}

func randomFact(rng *rand.Rand, messages int) fact {
	f := fact{
		id:       rng.Uint64() >> 16,
		message:  uint64(rng.IntN(messages)) * 0x10101010101,
		what:     what(rng.IntN(int(whatEnd))),
		at:       hour0 + event.Millis(rng.IntN(50)-25),
		revision: uint32(rng.IntN(3)) * uint32(rng.IntN(2)) << (rng.IntN(2) * 28),
	}
	if rng.IntN(10) == 0 {
		f.at = event.Millis(rng.Int64() - 1<<62)
	}
	if f.what == bouncedSoft || f.what == bouncedHard {
		f.category = uint8(rng.IntN(len(categories)))
	}
	return f
}
