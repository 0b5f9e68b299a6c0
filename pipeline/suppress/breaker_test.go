package suppress

import (
	"encoding/json"
	"fmt"
	"testing"

	"carom/pipeline/event"
)

// past gives a provider days with so many sent, and so many of them bounced hard.
func (f *fixture) past(provider string, days, sent, hard int) {
	f.t.Helper()
	for d := range days {
		at := t0 + event.Millis(d)*dayMS
		f.volume(provider, at, sent)
		for i := range hard {
			f.hear(f.bounce("past", fmt.Sprint("p", d, i), fmt.Sprintf("p%d-%d@%s", d, i, provider), at, true))
		}
	}
}

// wave lets so many bounce in an account, one a second.
func (f *fixture) wave(account, domain string, from event.Millis, n int) {
	f.t.Helper()
	var facts []event.AddressFact
	for i := range n {
		facts = append(facts, f.bounce(account, fmt.Sprintf("w%d-%d", from, i), fmt.Sprintf("w%d@%s", i, domain), from+event.Millis(i)*second, true))
	}
	f.hear(facts...)
}

func (f *fixture) states(account, domain string, n int) (active, quarantined, none int) {
	f.t.Helper()
	for i := range n {
		switch s := f.get(account, fmt.Sprintf("w%d@%s", i, domain), t0+300*dayMS); {
		case s == nil:
			none++
		case s.Active:
			active++
		case s.Quarantined && s.Ended == 0:
			quarantined++
		default:
			none++
		}
	}
	return active, quarantined, none
}

func TestBreaker(t *testing.T) {
	const start = t0 + 5*dayMS
	f := newFixture(t, Default())
	f.past("example.com", 4, 500, 2)
	f.volume("example.com", start, 200)
	f.wave("a", "example.com", start, 60)
	active, quarantined, none := f.states("a", "example.com", 60)
	// The 20th bounce opens the breaker: 20 of 200, but the interval's lower end reaches 10 % with the 29th.
	if active != 28 || quarantined != 32 || none != 0 {
		t.Fatalf("%d active, %d in quarantine, %d not", active, quarantined, none)
	}
	f.want("a", "w59@example.com", start+dayMS, "")
	f.volume("example.com", start+2*hourMS, 200)
	f.wave("b", "example.com", start+2*hourMS, 3)
	f.wave("b", "example.com", start+3*hourMS, 4) // two hours below: the fourth is believed
	if active, quarantined, _ := f.states("b", "example.com", 4); active != 4 || quarantined != 0 {
		t.Errorf("after the wave: %d active, %d in quarantine", active, quarantined)
	}
	var alerts []string
	for _, ev := range f.told {
		var a Alert
		if err := json.Unmarshal(ev.Body, &a); ev.Kind != event.Alert || err != nil || a.Rule != AlertRule || a.Provider != "example.com" {
			t.Errorf("%+v %v", ev, err)
		}
		alerts = append(alerts, ev.Account)
	}
	if fmt.Sprint(alerts) != "[a b]" {
		t.Errorf("alerts of %v", alerts)
	}

	filter := &Filter{Provider: "example.com", From: start, To: start + hourMS, DryRun: true}
	revert := Order{Op: OpRevert, Filter: filter, Time: start + dayMS}
	dry := f.order(revert)
	if fmt.Sprint(dry.Counts) != "map[changed:28 matched:60 quarantined:32]" || !dry.OK {
		t.Errorf("dry run: %+v", dry)
	}
	if active, quarantined, _ := f.states("a", "example.com", 60); active != 28 || quarantined != 32 {
		t.Errorf("a dry run changed something")
	}
	real := revert
	filter.DryRun = false
	if d := f.order(real); fmt.Sprint(d.Counts) != fmt.Sprint(dry.Counts) {
		t.Errorf("dry run %+v, then %+v", dry.Counts, d.Counts)
	}
	if active, quarantined, none := f.states("a", "example.com", 60); active != 0 || quarantined != 0 || none != 60 {
		t.Errorf("reverted: %d active, %d in quarantine, %d not", active, quarantined, none)
	}
	f.want("a", "w0@example.com", start+hourMS, "account bounce invalid_recipient") // so it was
	if s := f.get("a", "w0@example.com", start+dayMS); s.Active || s.EndedBy != OpRevert {
		t.Errorf("%+v", s)
	}
	if d := f.order(Order{Op: OpRevert, Filter: filter, Time: start + 2*dayMS}); d.Counts["matched"] != 0 {
		t.Errorf("again: %+v", d)
	}
	// A revert costs no quota and no reactivation.
	f.hear(f.bounce("a", "m", "w0@example.com", start+3*dayMS, true))
	if d := f.reactivate("a", "w0@example.com", start+3*dayMS); !d.OK {
		t.Errorf("%+v", d)
	}
}

// Most stop sending when nothing arrives: few bounces of few messages are believed no more than many of many.
func TestBreakerStaysOpen(t *testing.T) {
	const start = t0 + 5*dayMS
	f := newFixture(t, Default())
	f.past("example.com", 4, 500, 2)
	for i, hour := range []struct {
		sent, bounced int
		held          bool
	}{{100, 60, true}, {4, 4, true}, {4, 4, true}, {3, 3, true}, {2, 2, true}, {200, 1, true}, {50, 1, true}, {50, 1, false}} {
		at := start + event.Millis(i)*hourMS
		f.volume("example.com", at, hour.sent)
		account := fmt.Sprint("a", i)
		f.wave(account, "example.com", at, hour.bounced)
		s := f.get(account, fmt.Sprintf("w%d@example.com", hour.bounced-1), start+300*dayMS)
		if s.Quarantined != hour.held || s.Active == hour.held {
			t.Errorf("hour %d: %+v", i, s)
		}
	}
}

// The past is that of 30 days before the window.
func TestBreakerPast(t *testing.T) {
	const n = 500_000
	o := Default()
	h := &providerHours{}
	for i, sent := range map[int32]int64{n - 722: 1, n - 721: 2, n - 2: 4, n - 1: 8, n: 16} {
		h.at(i).Sent = sent
	}
	if s := h.around(n, &o); s.sent != 24 || s.pastSent != 6 {
		t.Errorf("%+v", s)
	}
}

func TestConfirm(t *testing.T) {
	const start = t0 + 5*dayMS
	f := newFixture(t, Default())
	f.past("example.com", 4, 500, 0)
	f.volume("example.com", start, 100)
	f.wave("a", "example.com", start, 40)
	active, quarantined, _ := f.states("a", "example.com", 40)
	if quarantined == 0 {
		t.Fatal("the breaker did not open")
	}
	// Another bounce, long after the wave, is believed.
	f.hear(f.bounce("a", "m", "w39@example.com", start+2*dayMS, true))
	f.want("a", "w39@example.com", start+2*dayMS, "account bounce invalid_recipient")
	d := f.order(Order{Op: OpConfirm, Filter: &Filter{Provider: "example.com", From: start, To: start + hourMS}, Time: start + 3*dayMS})
	if !d.OK || d.Counts["matched"] != int64(quarantined) || d.Counts["changed"] != int64(quarantined-1) {
		t.Errorf("%+v", d)
	}
	if now, waiting, _ := f.states("a", "example.com", 40); now != 40 || waiting != 0 || active+quarantined != 40 {
		t.Errorf("%d active, %d in quarantine", now, waiting)
	}
}

func TestNoBreakerWithoutPast(t *testing.T) {
	const start = t0 + 5*dayMS
	for name, past := range map[string]struct{ days, sent, hard int }{
		"none": {}, "two days": {2, 600, 0}, "too few": {4, 240, 0}, "was always so": {4, 500, 50},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Default())
			f.past("example.com", past.days, past.sent, past.hard)
			f.volume("example.com", start, 60)
			f.wave("a", "example.com", start, 40)
			if active, _, _ := f.states("a", "example.com", 40); active != 40 {
				t.Errorf("%d active", active)
			}
		})
	}
}

func TestWaveInManyCommits(t *testing.T) {
	f := newFixture(t, Default())
	const n = 2*rowsAtOnce + 7
	var facts []event.AddressFact
	for i := range n {
		facts = append(facts, f.bounce("a", fmt.Sprint("m", i), fmt.Sprintf("w%d@example.com", i), t0+event.Millis(i%5), true))
	}
	f.hear(facts...)
	f.hear(f.bounce("b", "m", "other@example.com", t0, true))
	d := f.order(Order{Op: OpRevert, Account: "a", Filter: &Filter{Rule: "r", Category: "invalid_recipient"}, Time: t0 + dayMS})
	if d.Counts["matched"] != n || d.Counts["changed"] != n {
		t.Errorf("%+v", d)
	}
	f.want("b", "other@example.com", t0+dayMS, "account bounce invalid_recipient")
	if active, _, none := f.states("a", "example.com", n); active != 0 || none != n {
		t.Errorf("%d active", active)
	}
}
