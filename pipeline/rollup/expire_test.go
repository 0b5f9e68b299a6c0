package rollup

import (
	"fmt"
	"testing"
	"time"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

// aging is a partition that is told events at log times of its own.
type aging struct {
	*fixture
	o Options
}

func newAging(t *testing.T) *aging {
	o := Default()
	o.Keep, o.KeepCohorts = 35*24*time.Hour, 80*24*time.Hour
	return &aging{newFixture(t, o), o}
}

// at tells events at a log time, and has a sweep made.
func (a *aging) at(now event.Millis, events ...event.Refined) {
	a.t.Helper()
	if len(events) == 0 { // of somebody else
		events = append(events, ev(event.Delay, now, sender("other"), message("x")))
	}
	var recs []log.Record
	for i := range events {
		events[i].Origin = event.Origin{Node: "n", Offset: a.n}
		a.n++
		recs = append(recs, log.Record{Time: now, Value: events[i].AppendJSON(nil)})
	}
	a.publishRecords(recs)
	a.drain()
	for first := true; first || a.p.sweep.from != nil; first = false {
		if err := a.p.expire(); err != nil {
			a.t.Fatal(err)
		}
	}
}

// rows counts those of sender s, by table.
func (a *aging) rows(tables ...byte) (n []int) {
	a.t.Helper()
	for _, table := range tables {
		prefix := string(scope{account: "a", sender: "s"}.appendSender(appendHeader(nil, 0, table)))
		count := 0
		for key := range dump(a.t, a.fixture) {
			if len(key) >= len(prefix) && key[:len(prefix)] == prefix {
				count++
			}
		}
		n = append(n, count)
	}
	return n
}

func (a *aging) want(when string, want []int, tables ...byte) {
	a.t.Helper()
	if got := a.rows(tables...); fmt.Sprint(got) != fmt.Sprint(want) {
		a.t.Errorf("%s: %v rows, want %v", when, got, want)
	}
}

// completed returns how many enrollments of a sequence completed in the day before.
func (a *aging) completed(asOf event.Millis, of string) int64 {
	a.t.Helper()
	return a.ask(Query{Account: "a", Sender: "s", Sequence: &of, Window: 24 * time.Hour, AsOf: asOf}).Completed
}

// campaign are sends of a sequence to n contacts.
func campaign(of string, at event.Millis, n int) (events []event.Refined) {
	for i := range n {
		events = append(events, ev(event.Sent, at, sequence(of), contact(fmt.Sprint("c", i)), message(fmt.Sprint(of, i)), func(r *event.Refined) { r.SentAt = at }))
	}
	return events
}

func TestExpire(t *testing.T) {
	a := newAging(t)
	start := event.Now() / day * day // a rebuild goes by the clock: on a fixed day it would find everything gone, from some day on
	a.at(start, campaign("q1", start, 100)...)
	a.at(start+30*day, campaign("q2", start+30*day, 50)...)
	tables := []byte{tableEnrollment, tableCompletion, tableSequence}
	a.at(start + 37*day)
	a.want("kept", []int{150, 150, 2}, tables...)
	a.at(start + 39*day)
	a.want("the first have gone", []int{50, 50, 2}, tables...)
	if got := a.completed(start+3*day, "q1"); got != 100 {
		t.Errorf("%d count still, want 100", got)
	}

	// What comes too late begins nothing, and takes nothing away.
	late := ev(event.Bounce, start+40*day, sequence("q1"), contact("c7"), message("q17"), hard, func(r *event.Refined) { r.SentAt = start })
	a.at(start+40*day, late)
	a.want("a late bounce", []int{50, 50, 2}, tables...)
	if got := counterOf(t, a.p.metrics.skipped.WithLabelValues(skipExpired)); got != 1 {
		t.Errorf("%v facts came too late", got)
	}
	// A fact of what is kept counts.
	a.at(start+40*day, ev(event.Bounce, start+31*day, sequence("q2"), contact("c7"), message("q27"), hard, func(r *event.Refined) { r.SentAt = start + 30*day }))
	q2 := "q2"
	if s := a.ask(Query{Account: "a", Sender: "s", Sequence: &q2, Window: 24 * time.Hour, AsOf: start + 33*day}); s.Completed != 50 || s.Bounced != 1 {
		t.Errorf("%d completed, %d bounced", s.Completed, s.Bounced)
	}

	// Cohorts whose enrollments are gone can't be computed anew, and stay as they are; the others move.
	a.o.CompleteAfter = 24 * time.Hour
	a.open(a.o)
	if got := a.completed(start+3*day, "q1"); got != 100 {
		t.Errorf("after a rebuild %d count, want 100", got)
	}
	if old, now := a.completed(start+33*day, "q2"), a.completed(start+31*day, "q2"); old != 0 || now != 50 {
		t.Errorf("after a rebuild %d and %d count, want 0 and 50", old, now)
	}
	a.open(a.o)

	a.at(start + 70*day)
	a.want("all enrollments have gone", []int{0, 0, 2}, tables...)
	a.at(start + 90*day)
	if got := a.completed(start+3*day, "q1"); got != 0 {
		t.Errorf("after their time %d count", got)
	}
	if got := a.completed(start+31*day, "q2"); got != 50 {
		t.Errorf("%d count of what is kept", got)
	}
	a.at(start + 92*day)
	a.want("a sequence of which nothing is left", []int{0, 0, 1}, tables...)
	a.at(start + 150*day)
	a.at(start + 152*day)
	a.want("nothing is left", []int{0, 0, 0, 0, 0, 0, 0}, append(tables, tableSender, tableCohort, tableProvider, tableDomains)...)
	if s := a.score(start + 152*day); s.Known {
		t.Error("the sender is known")
	}
	// It may come again.
	a.at(start+160*day, campaign("q1", start+160*day, 3)...)
	if got := a.completed(start+161*day, "q1"); got != 3 {
		t.Errorf("%d count when it comes again", got)
	}
}

// History that is told afterwards is kept as if it were of today.
func TestExpireHistory(t *testing.T) {
	a := newAging(t)
	old := hour0 - 1000*day
	a.at(hour0, campaign("q1", old, 20)...)
	a.at(hour0+20*day, ev(event.Bounce, old+1, sequence("q1"), contact("c1"), message("q11"), hard))
	a.at(hour0 + 50*day) // after the others' time, and not after his
	a.want("what was told 50 and 30 days ago", []int{1, 1}, tableEnrollment, tableCompletion)
	if got := a.completed(old+3*day, "q1"); got != 20 {
		t.Errorf("%d count, want 20", got)
	}
	a.at(hour0 + 60*day)
	a.at(hour0 + 62*day)
	a.at(hour0 + 64*day)
	a.want("nothing is left", []int{0, 0, 0}, tableEnrollment, tableCohort, tableSender)
}

// A sweep of many goes on where it was, between steps.
func TestExpireInPieces(t *testing.T) {
	a := newAging(t)
	var events []event.Refined
	for i := range sweepSenders + 10 {
		events = append(events, ev(event.Sent, hour0, sender(fmt.Sprint("s", i)), message(fmt.Sprint("m", i))))
	}
	a.at(hour0, events...)
	a.at(hour0, campaign("q1", hour0, sweepRows+10)...)
	a.p.sweep.begins = 0
	pieces := 0
	a.p.now = hour0 + 60*day
	for first := true; first || a.p.sweep.from != nil; first = false {
		if err := a.p.expire(); err != nil {
			t.Fatal(err)
		}
		pieces++
	}
	a.want("all are gone", []int{0, 0}, tableEnrollment, tableCompletion)
	if pieces != 3 {
		t.Errorf("%d pieces", pieces)
	}
	if got := counterOf(t, a.p.metrics.expired); got != sweepRows+sweepSenders+20 {
		t.Errorf("%v enrollments have gone", got)
	}
}

func TestKeepOptions(t *testing.T) {
	for _, c := range []struct {
		keep, cohorts int // days
		ok            bool
	}{{120, 400, true}, {0, 0, true}, {120, 0, true}, {32, 35, true}, {31, 0, false}, {0, 400, false}, {120, 122, false}, {120, 123, true}, {5000, 0, false}} {
		o := Default()
		o.Keep, o.KeepCohorts = time.Duration(c.keep)*24*time.Hour, time.Duration(c.cohorts)*24*time.Hour
		if err := o.Validate(); (err == nil) != c.ok {
			t.Errorf("%d and %d days: %v", c.keep, c.cohorts, err)
		}
	}
}
