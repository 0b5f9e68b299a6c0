package rollup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"carom/pipeline/event"
)

// told collects alerts as a journal would.
type told struct {
	events []event.Event
	fail   int // so many times
}

func (j *told) Facts(evs ...*event.Event) error {
	if j.fail > 0 {
		j.fail--
		return errors.New("journal: full")
	}
	for _, e := range evs {
		j.events = append(j.events, *e)
	}
	return nil
}

// rules returns what was told, as rule and level or bands, and forgets it.
func (j *told) rules(t testing.TB) (list []string) {
	t.Helper()
	for _, e := range j.events {
		var a Alert
		if err := json.Unmarshal(e.Body, &a); err != nil {
			t.Fatal(err)
		}
		if e.Kind != event.Alert || e.KnownBy != event.ByKey || e.Account != "a" || e.Sender != "s" || Stamp(e.Time) != a.AsOf || a.Of == 0 {
			t.Errorf("got %+v, %s", e, e.Body)
		}
		if a.Rule == "score_band" {
			list = append(list, fmt.Sprintf("%s>%s", a.From, a.To))
			continue
		}
		list = append(list, fmt.Sprintf("%s %v", a.Rule, a.Level))
	}
	j.events = nil
	slices.Sort(list)
	return list
}

// alerting opens f anew with alerts told to j.
func (f *fixture) alerting(j *told) {
	f.t.Helper()
	f.open(Default())
	f.p.TellAlerts(j, func() bool { return true })
	f.restarted()
}

// look does what the alerter does after some steps.
func (f *fixture) look() {
	f.t.Helper()
	senders, _ := f.p.alerter.take()
	if err := f.p.alerter.look(senders); err != nil {
		f.t.Fatal(err)
	}
}

// restarted does what it does at its start.
func (f *fixture) restarted() {
	f.t.Helper()
	if err := f.p.alerter.lookAtAll(context.Background(), hour0+365*day, false); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) expect(j *told, step string, want ...string) {
	f.t.Helper()
	if got := j.rules(f.t); !slices.Equal(got, want) {
		f.t.Errorf("%s: told %q, want %q", step, got, want)
	}
}

// mails are n sends at a time, of which some bounce.
func mails(name string, at event.Millis, n, bounced int) (events []event.Refined) {
	for i := range n {
		of := message(fmt.Sprint(name, i))
		events = append(events, ev(event.Sent, at, of))
		if i < bounced {
			events = append(events, ev(event.Bounce, at+second, of, hard))
		}
	}
	return events
}

// TestAlertsOncePerCrossing goes through repeats, revisions and restarts.
func TestAlertsOncePerCrossing(t *testing.T) {
	f, j := newFixture(t, Default()), &told{}
	f.alerting(j)
	// 10 of 100 is 5.5 % at least.
	first := mails("m", hour0+minute, 100, 10)
	f.tell(first...)
	f.look()
	f.expect(j, "10 of 100", "bounce_rate 0.03", "bounce_rate 0.05")
	f.tell(first...)
	f.tell(revised(first[1], hard))
	f.look()
	f.alerting(j)
	f.tell(first[0])
	f.look()
	f.expect(j, "repeats, a revision, a restart")
	f.tell(mails("n", hour0+2*minute, 10, 10)...)
	f.look()
	f.expect(j, "20 of 110", "bounce_rate 0.08")
	// Below for less than an hour is no end of it.
	f.tell(mails("o", hour0+10*minute, 2000, 0)...)
	f.look()
	f.tell(mails("p", hour0+20*minute, 400, 400)...)
	f.look()
	f.expect(j, "below for ten minutes")
	// A day later none of that is of the last day any more.
	f.tell(ev(event.Sent, hour0+27*hour, message("q")))
	f.look()
	f.alerting(j)
	f.tell(mails("r", hour0+28*hour, 100, 10)...)
	f.look()
	f.expect(j, "a day later", "bounce_rate 0.03", "bounce_rate 0.05")
}

// What was counted and not looked at, because the process was killed between the two, is looked at when it is back.
func TestAlertsAfterAKill(t *testing.T) {
	f, j := newFixture(t, Default()), &told{}
	f.alerting(j)
	f.tell(mails("m", hour0+minute, 100, 10)...)
	f.alerting(j)
	f.expect(j, "10 of 100, never looked at", "bounce_rate 0.03", "bounce_rate 0.05")
	f.tell(mails("n", hour0+30*hour, 10000, 0)...)
	f.look()
	f.tell(mails("o", hour0+60*hour, 100, 10)...)
	f.alerting(j)
	f.expect(j, "10 of 100 again, looked at before", "bounce_rate 0.03", "bounce_rate 0.05")
	f.alerting(j)
	f.expect(j, "another restart")
}

// TestAlertsOfABacklog: what crosses within one step is seen at the whole hours that it spans.
func TestAlertsOfABacklog(t *testing.T) {
	f, j := newFixture(t, Default()), &told{}
	f.alerting(j)
	f.tell(append(mails("m", hour0+minute, 100, 10), mails("n", hour0+3*day, 1000, 0)...)...)
	f.look()
	f.expect(j, "three days in one step", "bounce_rate 0.03", "bounce_rate 0.05")
}

// TestAlertsThatCannotBeJournaled are told later, the same, whether there is a restart between or not.
func TestAlertsThatCannotBeJournaled(t *testing.T) {
	for _, restart := range []bool{false, true} {
		f, j := newFixture(t, Default()), &told{fail: 1}
		f.alerting(j)
		f.tell(mails("m", hour0+minute, 100, 10)...)
		f.look()
		f.expect(j, "the journal is full")
		if restart {
			f.alerting(j)
		} else {
			f.look()
		}
		f.expect(j, "it has room again", "bounce_rate 0.03", "bounce_rate 0.05")
		f.look()
		f.restarted()
		f.expect(j, "once")
	}
}

// TestAlertIDs: told before the crash and again after it, an alert is one.
func TestAlertIDs(t *testing.T) {
	f, j := newFixture(t, Default()), &told{}
	f.alerting(j)
	f.tell(mails("m", hour0+minute, 100, 10)...)
	before := dump(t, f)
	f.look()
	key := scope{account: "a", sender: "s"}.appendSender(appendHeader(nil, 0, tableAlert))
	if _, there := before[string(key)]; there {
		t.Fatal("the state is there before the look")
	}
	b := f.store.NewBatch()
	if err := b.Delete(key, nil); err != nil {
		t.Fatal(err)
	}
	if err := f.store.Commit(b); err != nil {
		t.Fatal(err)
	}
	f.p.alerter.changed([]heard{{"a", "s", hour0 + 30*minute}})
	f.look()
	ids := make(map[event.Key]int)
	for _, e := range j.events {
		ids[e.Key]++
	}
	if len(j.events) != 4 || len(ids) != 2 {
		t.Errorf("%d alerts with %d ids, want 4 with 2", len(j.events), len(ids))
	}
}

// TestAlertsOfCompleted: complaints, and a band that drops, once it means something.
func TestAlertsOfCompleted(t *testing.T) {
	f, j := newFixture(t, Default()), &told{}
	f.alerting(j)
	replied := func(name string, at event.Millis, n int) (events []event.Refined) {
		for i := range n {
			of := message(fmt.Sprint(name, i))
			events = append(events, ev(event.Sent, at, of), ev(event.Reply, at+second, of))
		}
		return events
	}
	f.tell(replied("m", hour0, 99)...)
	f.tell(mails("late", hour0+3*day+hour, 1, 0)...)
	f.look()
	f.tell(mails("n", hour0+2*hour, 99, 0)...)
	f.tell(mails("later", hour0+3*day+2*hour, 1, 0)...)
	f.look()
	f.expect(j, "half as many replies, of 99, then 198")
	f.tell(mails("o", hour0+2*hour, 1000, 0)...) // 8 % replied: 88 points
	f.look()
	f.expect(j, "fewer replies")
	f.tell(mails("p", hour0+2*hour, 3000, 0)...) // 2.4 %: 66 points
	f.look()
	f.expect(j, "fewer and fewer", "excellent>good")
	for i := range 13 { // of 4198, more than 0.3 %
		f.tell(ev(event.Complaint, hour0+3*day, message(fmt.Sprint("p", i)), feedback("abuse")))
		f.look()
	}
	f.expect(j, "13 complaints", "complaint_rate 0.001", "complaint_rate 0.003", "good>poor")
}

func TestAlertStateIsReadAsWritten(t *testing.T) {
	for _, want := range []alertState{
		{},
		{heard: hour0, looked: hour0 + 1, band: 3, better: hour0, raised: []raised{{1, 0.03, 0}, {2, 0.001, hour0}}, untold: [][]byte{[]byte("{}"), []byte("a")}},
	} {
		var got alertState
		if err := got.decode(want.append(nil)); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
}
