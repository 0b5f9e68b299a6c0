package suppress

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"carom/pipeline/event"
)

const bob = "bob@example.com"

func TestWhatSuppresses(t *testing.T) {
	f := newFixture(t, Default())
	soft := f.bounce("a", "m1", "soft@example.com", t0, false)
	spared := f.fact(event.Complaint, "a", "m2", "spared@example.com", t0)
	spared.Flags = event.Transactional
	spares := f.fact(event.Unsubscribe, "a", "m2", "spared@example.com", t0)
	spares.Flags = event.Transactional
	hard := f.bounce("a", "m3", "Bob@EXAMPLE.com.", t0, true)
	hard.Flags = event.Transactional
	f.hear(soft, spared, spares, hard,
		f.fact(event.Complaint, "a", "m4", "carl@example.com", t0+minute),
		f.fact(event.Unsubscribe, "a", "m5", "dora@example.com", t0))
	f.want("a", "soft@example.com", t0+dayMS, "")
	f.want("a", "spared@example.com", t0+dayMS, "")
	f.want("a", "Bob@example.com", t0, "account bounce invalid_recipient")
	f.want("a", "bob@example.com", t0, "") // another mailbox: the local part is its host's business
	f.want("b", "Bob@example.com", t0, "")
	f.want("a", "Bob@example.com", t0-1, "")
	f.want("a", "carl@example.com", t0+dayMS, "account complaint ")
	f.want("a", "dora@example.com", t0+dayMS, "account unsubscribe ")
	s := f.get("a", "Bob@example.com", t0)
	if s == nil || s.Original != "Bob@EXAMPLE.com." || s.Address != "Bob@example.com" || s.Since != t0 || s.Evidence.Message != "m3" || s.Evidence.Status != "5.1.1" || s.MailboxProvider != "example.com" {
		t.Errorf("%+v", s)
	}
	if f.get("a", "soft@example.com", t0+dayMS) != nil {
		t.Error("a soft bounce is in the book")
	}
}

// A bounce of which nobody is known waits for the sent fact. Whom the report names is nobody's business.
func TestOnlyTheRegisteredRecipient(t *testing.T) {
	f := newFixture(t, Default())
	b := f.bounce("a", "m1", "", t0, true)
	b.Reported = "stranger@example.com"
	f.hear(b)
	f.want("a", "stranger@example.com", t0, "")
	f.hear(f.fact(event.Sent, "b", "m1", "other@example.com", t0), f.fact(event.Sent, "a", "m1", bob, t0))
	f.want("a", "stranger@example.com", t0, "")
	f.want("b", "other@example.com", t0, "")
	f.want("a", bob, t0, "account bounce invalid_recipient")

	f.hear(f.bounce("a", "m2", "", t0, true))
	f.now += event.Millis(Default().WaitFor.Milliseconds())
	f.volume("x", t0, 1) // time passes
	f.hear(f.fact(event.Sent, "a", "m2", "late@example.com", t0))
	f.want("a", "late@example.com", t0, "")
}

func TestLateLifeLifts(t *testing.T) {
	f := newFixture(t, Default())
	f.hear(f.bounce("a", "m1", bob, t0, true))
	life := f.fact(event.Delivered, "a", "m1", bob, t0+hourMS)
	life.AliveAt = t0 + hourMS
	f.hear(life)
	f.want("a", bob, t0+minute, "account bounce invalid_recipient") // so it was then
	f.want("a", bob, t0+hourMS, "")
	if s := f.get("a", bob, t0+hourMS); s == nil || s.Active || s.Ended != t0+hourMS || s.EndedBy != endedAlive {
		t.Errorf("%+v", s)
	}
	life = f.fact(event.Click, "a", "m1", bob, t0+hourMS) // it was a scanner's
	f.hear(life)
	f.want("a", bob, t0+dayMS, "account bounce invalid_recipient")

	never := f.bounce("a", "m2", "eve@example.com", t0, true) // it never stood
	never.AliveAt = t0 + 1
	f.hear(never)
	if s := f.get("a", "eve@example.com", t0+dayMS); s != nil {
		t.Errorf("%+v", s)
	}
}

func TestRevisionsReplace(t *testing.T) {
	f := newFixture(t, Default())
	b := f.bounce("a", "m1", bob, t0, true)
	f.hear(b)
	b.Revision, b.Bounce.Hard = 1, false
	f.hear(b)
	f.want("a", bob, t0+dayMS, "")
	b.Revision, b.Bounce.Hard = 0, true
	f.hear(b) // an older one
	f.want("a", bob, t0+dayMS, "")
}

func TestNotSpamTakesBack(t *testing.T) {
	f := newFixture(t, Default())
	back := f.fact(event.Complaint, "a", "m1", bob, t0+hourMS)
	back.FeedbackType = notSpam
	f.hear(f.fact(event.Complaint, "a", "m1", bob, t0))
	f.want("a", bob, t0+dayMS, "account complaint ")
	f.hear(back)
	f.want("a", bob, t0+dayMS, "")
	f.hear(f.fact(event.Complaint, "a", "m2", bob, t0+2*hourMS))
	f.want("a", bob, t0+dayMS, "account complaint ")
}

func (f *fixture) reactivate(account, address string, at event.Millis) Decision {
	f.t.Helper()
	return f.order(Order{Op: OpReactivate, Account: account, Address: address, Time: at, Confirmed: true})
}

func TestReactivationQuota(t *testing.T) {
	for _, c := range []struct{ contacts, allowed int }{{0, 10}, {400, 10}, {549, 10}, {550, 11}, {600, 12}} {
		t.Run(fmt.Sprint(c.contacts), func(t *testing.T) {
			f := newFixture(t, Default())
			f.contacts("a", c.contacts)
			f.contacts("a", c.contacts) // another partition tells the same
			for i := range c.allowed + 2 {
				f.hear(f.bounce("a", fmt.Sprint("m", i), fmt.Sprintf("c%d@example.com", i), t0, true))
			}
			end := event.FromTime(time.Date(2026, 11, 30, 23, 59, 59, 999e6, time.UTC))
			for i := range c.allowed {
				if d := f.reactivate("a", fmt.Sprintf("c%d@example.com", i), end); !d.OK || d.Suppression.Active {
					t.Fatalf("the %dth: %+v", i+1, d)
				}
			}
			last := fmt.Sprintf("c%d@example.com", c.allowed)
			d := f.reactivate("a", last, end)
			if d.OK || d.Rule != RuleQuota || d.PossibleAt != end+1 {
				t.Errorf("one too many: %+v", d)
			}
			f.want("a", last, end, "account bounce invalid_recipient")
			if d := f.reactivate("a", last, end+1); !d.OK {
				t.Errorf("next month: %+v", d)
			}
			f.want("a", last, end+1, "")
			f.want("a", last, end, "account bounce invalid_recipient")
		})
	}
}

func TestAllowed(t *testing.T) {
	o := Default()
	for contacts, want := range map[int]int64{0: 10, 499: 10, 500: 10, 550: 11, 5000: 100, 49_999: 999, 50_000: 1000} {
		if got := (&wireAccount{Contacts: contacts}).allowed(&o); got != want {
			t.Errorf("%d contacts: %d, want %d", contacts, got, want)
		}
	}
}

func TestReactivationRefusals(t *testing.T) {
	f := newFixture(t, Default())
	f.hear(f.bounce("a", "m1", bob, t0, true), f.bounce("a", "m2", "both@example.com", t0, true),
		f.fact(event.Complaint, "a", "m3", "both@example.com", t0))
	unconfirmed := f.order(Order{Op: OpReactivate, Account: "a", Address: bob, Time: t0 + dayMS})
	for _, c := range []struct {
		d    Decision
		rule string
		at   event.Millis
	}{
		{unconfirmed, RuleNotConfirmed, t0 + dayMS},
		{f.reactivate("a", "nobody@example.com", t0+dayMS), RuleNotSuppressed, 0},
		{f.reactivate("a", "both@example.com", t0+dayMS), RuleReasonNotBounce, 0},
		{f.reactivate("a", bob, t0-1), RuleNotSuppressed, 0},
	} {
		if c.d.OK || c.d.Rule != c.rule || c.d.PossibleAt != c.at {
			t.Errorf("want %s at %d: %+v", c.rule, c.at, c.d)
		}
	}
	first := f.reactivate("a", bob, t0+dayMS)
	if !first.OK {
		t.Fatalf("%+v", first)
	}
	// The same order again is not carried out, and its decision stays.
	again := first.Order
	again.Address = "both@example.com"
	if d := f.order(again); d.Order.Address != bob {
		t.Errorf("%+v", d)
	}
	f.hear(f.bounce("a", "m1", bob, t0+hourMS, true)) // heard late: from before the reactivation
	f.want("a", bob, t0+2*dayMS, "")
	f.hear(f.bounce("a", "m4", bob, t0+3*dayMS, true))
	f.want("a", bob, t0+4*dayMS, "account bounce invalid_recipient")
	if d := f.reactivate("a", bob, t0+4*dayMS); d.Rule != RuleAlreadyReactivated || d.PossibleAt != 0 {
		t.Errorf("%+v", d)
	}
	f.want("a", bob, t0+2*dayMS, "") // history stays
	f.want("a", bob, t0+dayMS-1, "account bounce invalid_recipient")
}

func TestGlobal(t *testing.T) {
	for _, c := range []struct {
		last event.Millis
		want string
	}{{t0 + 60*dayMS, "global bounce invalid_recipient"}, {t0 + 60*dayMS + 1, ""}, {t0 + 61*dayMS, ""}} {
		f := newFixture(t, Default())
		f.hear(f.bounce("c", "m3", bob, c.last, true), f.bounce("a", "m1", bob, t0, true), f.bounce("b", "m2", bob, t0+dayMS, true),
			f.bounce("b", "m4", bob, t0+2*dayMS, true))
		f.want("d", bob, t0+90*dayMS, c.want)
		f.want("d", bob, c.last-1, "")
		if c.want == "" {
			continue
		}
		if d := f.reactivate("a", bob, t0+90*dayMS); d.Rule != RuleGlobal {
			t.Errorf("%+v", d)
		}
		if d := f.order(Order{Op: OpLift, Address: bob, Time: t0 + 90*dayMS}); d.Rule != RuleUnknownUser {
			t.Errorf("%+v", d)
		}
		list, err := f.b.Get("", bob, c.last)
		if err != nil || len(list) != 1 || list[0].Evidence.Message != "" || list[0].Scope != ScopeGlobal || list[0].Since != c.last {
			t.Errorf("%+v %v", list, err)
		}
		// One of the three never stood.
		life := f.fact(event.Reply, "b", "m2", bob, t0+dayMS+1)
		life.AliveAt = t0 + dayMS + 1
		f.hear(life)
		f.want("d", bob, t0+90*dayMS, c.want) // m4 of the same account stands
		life = f.fact(event.Reply, "b", "m4", bob, t0+80*dayMS)
		life.AliveAt = t0 + 80*dayMS
		f.hear(life)
		f.want("d", bob, t0+90*dayMS, "")
	}
}

func TestLift(t *testing.T) {
	f := newFixture(t, Default())
	for i, account := range []string{"a", "b", "c"} {
		b := f.bounce(account, "m", bob, t0+event.Millis(i)*dayMS, true)
		b.Bounce.Category = "inactive"
		f.hear(b)
	}
	f.want("d", bob, t0+3*dayMS, "global bounce inactive")
	if d := f.order(Order{Op: OpLift, Address: bob, Time: t0 + 3*dayMS}); !d.OK {
		t.Errorf("%+v", d)
	}
	f.want("d", bob, t0+3*dayMS, "")
	f.want("a", bob, t0+3*dayMS, "account bounce inactive")
	b := f.bounce("d", "m", bob, t0+4*dayMS, true)
	f.hear(b)
	f.want("e", bob, t0+4*dayMS, "") // what came before was lifted
	if d := f.order(Order{Op: OpAdd, Address: "all@example.com", Time: t0}); !d.OK {
		t.Errorf("%+v", d)
	}
	f.want("x", "all@example.com", t0, "global manual ")
}

func TestAddAndRemove(t *testing.T) {
	f := newFixture(t, Default())
	add := Order{Op: OpAdd, Account: "a", Address: "Ann@Example.com", Note: "asked by phone", Time: t0, Until: t0 + dayMS, Actor: "ops"}
	d := f.order(add)
	if !d.OK || d.Counts["added"] != 1 || d.Order.Actor != "ops" || d.Suppression.Original != "Ann@Example.com" || !d.Suppression.Active {
		t.Errorf("%+v", d)
	}
	f.want("a", "Ann@example.com", t0, "account manual ")
	f.want("a", "Ann@example.com", t0+dayMS, "")
	add.Time = t0 + hourMS
	if d := f.order(add); d.Counts["known"] != 1 || d.Suppression.Since != t0 {
		t.Errorf("%+v", d)
	}
	f.hear(f.bounce("a", "m1", "Ann@example.com", t0+2*hourMS, true), f.fact(event.Complaint, "a", "m2", "Ann@example.com", t0+2*hourMS))
	f.want("a", "Ann@example.com", t0+dayMS, "account bounce invalid_recipient")
	if d := f.order(Order{Op: OpRemove, Account: "a", Address: "Ann@example.com", Time: t0 + 3*hourMS}); !d.OK || d.Suppression.Active {
		t.Errorf("%+v", d)
	}
	f.want("a", "Ann@example.com", t0+3*hourMS, "")
	f.want("a", "Ann@example.com", t0+3*hourMS-1, "account manual ")
	if d := f.order(Order{Op: OpRemove, Account: "a", Address: "Ann@example.com", Time: t0 + 4*hourMS}); d.OK || d.Rule != RuleNotSuppressed {
		t.Errorf("%+v", d)
	}
	if d := f.order(Order{Op: "dance", Account: "a", Address: bob, Time: t0}); d.OK || d.Rule != RuleInvalid {
		t.Errorf("%+v", d)
	}
	if d := f.order(Order{Op: OpAdd, Account: "a", Address: "nobody", Time: t0}); d.OK || d.Rule != RuleInvalid {
		t.Errorf("%+v", d)
	}
}

// answer tells what the partitions know of a contact's life.
func (f *fixture) answer(lives ...event.Millis) {
	f.t.Helper()
	ev := f.told[len(f.told)-1]
	var q wireInquiry
	if err := json.Unmarshal(ev.Body, &q); ev.Kind != event.Inquiry || err != nil {
		f.t.Fatalf("%+v %v", ev, err)
	}
	for i, at := range lives {
		f.hear(event.AddressFact{
			ID: f.id(), Kind: event.Life, Time: t0, Ref: event.Ref{Account: ev.Account, Contact: ev.Contact}, Recipient: ev.Recipient,
			Body: encode(map[string]any{"id": q.ID, "alive_at": int64(at), "partition": i, "partitions": q.Partitions}),
		})
	}
}

func TestSoftBounces(t *testing.T) {
	last := t0 + 14*dayMS
	for name, c := range map[string]struct {
		days  []float64
		lives []event.Millis
		asked int
		want  string
	}{
		"four":          {[]float64{0, 1, 2, 14}, nil, 0, ""},
		"too close":     {[]float64{0, 1, 2, 3, 13.99}, nil, 0, ""},
		"enough":        {[]float64{0, 1, 2, 3, 14}, []event.Millis{0, t0}, 2, "account bounce mailbox_full"},
		"any order":     {[]float64{14, 3, 2, 0, 1}, []event.Millis{0, t0 - dayMS}, 2, "account bounce mailbox_full"},
		"life between":  {[]float64{0, 1, 2, 3, 14}, []event.Millis{0, t0 + 1}, 2, ""},
		"life after":    {[]float64{0, 1, 2, 3, 14}, []event.Millis{last + 1, 0}, 2, ""},
		"not all known": {[]float64{0, 1, 2, 3, 14}, []event.Millis{0}, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Default())
			for i, d := range c.days {
				f.hear(f.bounce("a", fmt.Sprint("m", i), bob, t0+event.Millis(d*float64(dayMS)), false))
			}
			if len(f.told) != c.asked {
				t.Fatalf("%d inquiries, want %d", len(f.told), c.asked)
			}
			if c.asked == 0 {
				return
			}
			if f.told[0].Key.Partition(2) != 0 || f.told[1].Key.Partition(2) != 1 || f.told[0].Contact != bob {
				t.Errorf("%+v", f.told)
			}
			f.want("a", bob, last, "")
			f.answer(c.lives...)
			f.want("a", bob, last, c.want)
			if c.want == "" {
				return
			}
			f.want("a", bob, last+30*dayMS-1, c.want)
			f.want("a", bob, last+30*dayMS, "")
			if s := f.get("a", bob, last); s.Until != last+30*dayMS || s.Since != last || s.Rule != ruleSoft {
				t.Errorf("%+v", s)
			}
			// The next suppresses only when there are enough again.
			f.hear(f.bounce("a", "m9", bob, last+31*dayMS, false))
			if len(f.told) != c.asked {
				t.Error("asked again too soon")
			}
			f.want("a", bob, last+31*dayMS, "")
		})
	}
	t.Run("off", func(t *testing.T) {
		o := Default()
		o.SoftBounces = 0
		f := newFixture(t, o)
		for i := range 20 {
			f.hear(f.bounce("a", fmt.Sprint("m", i), bob, t0+event.Millis(i)*dayMS, false))
		}
		if len(f.told) != 0 {
			t.Errorf("%+v", f.told)
		}
	})
	t.Run("late life lifts", func(t *testing.T) {
		f := newFixture(t, Default())
		for i := range 5 {
			f.hear(f.bounce("a", fmt.Sprint("m", i), bob, t0+event.Millis(i)*4*dayMS, false))
		}
		f.answer(0, 0)
		f.want("a", bob, t0+17*dayMS, "account bounce mailbox_full")
		life := f.fact(event.Open, "a", "m2", bob, t0+20*dayMS)
		life.AliveAt = t0 + 20*dayMS
		f.hear(life)
		f.want("a", bob, t0+17*dayMS, "account bounce mailbox_full")
		f.want("a", bob, t0+20*dayMS, "")
	})
}
