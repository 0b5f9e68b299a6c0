package suppress

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"carom/pipeline/event"
)

// A month that is long ago has a quota like any other.
func TestBackdatedQuota(t *testing.T) {
	o := Default()
	o.QuotaLeast, o.QuotaMost = 1, 1
	f := newFixture(t, o)
	month := func(n int) event.Millis {
		return event.FromTime(time.Date(2020, time.Month(1+n), 1, 0, 0, 0, 0, time.UTC))
	}
	for i := range 32 {
		f.hear(f.bounce("a", fmt.Sprint("m", i), fmt.Sprintf("c%d@example.com", i), month(0)-1, true))
	}
	for i := range 30 {
		if d := f.reactivate("a", fmt.Sprintf("c%d@example.com", i), month(i)); !d.OK {
			t.Fatalf("%+v", d)
		}
	}
	if d := f.reactivate("a", "c30@example.com", month(1)-1); d.Rule != RuleQuota || d.PossibleAt != month(1) {
		t.Errorf("%+v", d)
	}
	if d := f.reactivate("a", "c30@example.com", month(0)-1); !d.OK {
		t.Errorf("the month before: %+v", d)
	}
	if d := f.reactivate("a", "c31@example.com", month(0)-1); d.Rule != RuleQuota || d.PossibleAt != month(0) {
		t.Errorf("%+v", d)
	}
}

// Contacts count up to where the quota is at its most; 100,000 give no more.
func TestContactsAreCountedOnce(t *testing.T) {
	f := newFixture(t, Default())
	f.p.batch = f.store.NewIndexedBatch()
	if err := f.p.keepAccount(&wireAccount{Type: typeAccount, Account: "a", Contacts: countedContacts - 1}, false); err != nil {
		t.Fatal(err)
	}
	if err := f.store.Commit(f.p.batch); err != nil {
		t.Fatal(err)
	}
	_ = f.p.batch.Close()
	f.contacts("a", 3)
	f.p.batch = f.store.NewIndexedBatch()
	defer func() { _ = f.p.batch.Close() }()
	if a, err := f.p.loadAccount("a"); err != nil || a.Contacts != countedContacts || a.allowed(&f.o) != 1000 {
		t.Errorf("%+v %v", a, err)
	}
}

// Only bounces that are still known have a row in the table of hard ones.
func TestPrunedBouncesLeaveNoRow(t *testing.T) {
	f := newFixture(t, Default())
	rows := func(want int) {
		t.Helper()
		if n, err := f.p.rowsOf(tableWave); err != nil || n != want {
			t.Errorf("%d rows, want %d: %v", n, want, err)
		}
	}
	for i := range 2 * maxMarks {
		f.hear(f.bounce("a", "one", bob, t0+event.Millis(i), true))
	}
	rows(maxMarks)
	for i := range 2 * maxMessages {
		f.hear(f.bounce("a", fmt.Sprint("m", i), bob, t0+hourMS+event.Millis(i), true))
	}
	rows(maxMarks + maxMessages - 1)
	b := f.bounce("a", "two", "eve@example.com", t0, true)
	f.hear(b)
	rows(maxMarks + maxMessages)
	b.Bounce.Hard, b.Revision = false, 1
	f.hear(b)
	rows(maxMarks + maxMessages - 1)
	f.hear(event.AddressFact{Kind: event.Erase, Time: t0, Recipient: bob, Ref: event.Ref{Account: "a"}})
	f.noTrace("bob")
}

// noTrace looks for words in all that the stage and the book keep.
func (f *fixture) noTrace(words ...string) {
	f.t.Helper()
	it, err := f.store.DB().NewIter(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		key, value := string(it.Key()), string(it.Value())
		if key[0] != 0x80 && key[0] != 0x81 {
			continue
		}
		for _, word := range words {
			if strings.Contains(key, word) || strings.Contains(value, word) {
				f.t.Errorf("%s: %q: %q", word, key, value)
			}
		}
	}
	if err := it.Close(); err != nil {
		f.t.Fatal(err)
	}
}

// An account whose facts wait leaves room for those of others.
func TestWaitingIsShared(t *testing.T) {
	o := Default()
	o.MaxWaiting = 16
	f := newFixture(t, o)
	waits := func(account string) int64 {
		t.Helper()
		f.p.batch = f.store.NewIndexedBatch()
		defer func() { _ = f.p.batch.Close() }()
		n, err := f.p.waitingOf(account)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i := range 40 {
		f.hear(f.bounce("a", fmt.Sprint("m", i), "", t0, true))
	}
	for i := range 40 {
		f.hear(f.bounce("b", fmt.Sprint("m", i), "", t0, true))
	}
	if a, b := waits("a"), waits("b"); a != 8 || b != 4 || f.p.at.waiting != 12 {
		t.Errorf("%d and %d wait, in all %d", a, b, f.p.at.waiting)
	}
	f.hear(f.fact(event.Sent, "a", "m0", bob, t0), f.bounce("b", "m39", "", t0, true))
	f.want("a", bob, t0, "account bounce invalid_recipient")
	if a, b := waits("a"), waits("b"); a != 7 || b != 5 {
		t.Errorf("%d and %d wait", a, b)
	}
	f.now += event.Millis(o.WaitFor.Milliseconds())
	f.volume("x", t0, 1) // time passes
	if a, b := waits("a"), waits("b"); a != 0 || b != 0 || f.p.at.waiting != 0 {
		t.Errorf("%d and %d wait, in all %d", a, b, f.p.at.waiting)
	}
}

// What no longer stops mail is forgotten when it has rested for keep of log time, decisions after keep_decisions.
func TestExpiry(t *testing.T) {
	o := Default()
	o.Keep, o.KeepDecisions = 100*day, 200*day
	f := newFixture(t, o)
	after := func(d time.Duration) {
		f.now = t0.Add(d)
		f.volume("x", t0, 1)
	}
	f.hear(f.bounce("a", "m1", "stays@example.com", t0, true), f.bounce("a", "m2", "back@example.com", t0, true),
		f.bounce("a", "m3", "soft@example.com", t0, false), f.bounce("a", "m4", "over@example.com", t0, true),
		f.bounce("b", "m5", "over@example.com", t0, true))
	f.reactivate("a", "back@example.com", t0+1)
	removal := f.order(Order{Op: OpRemove, Account: "a", Address: "over@example.com", Time: t0 + 1})
	f.order(Order{Op: OpAdd, Account: "a", Address: "until@example.com", Time: t0, Until: t0.Add(50 * day)})
	known := func(address string) bool { return f.get("a", address, t0.Add(300*day)) != nil }
	after(100*day - time.Millisecond)
	for _, address := range []string{"stays", "back", "over", "until"} {
		if !known(address + "@example.com") {
			t.Errorf("%s is forgotten too soon", address)
		}
	}
	if n, err := f.p.rowsOf(tableEntry); n != 9 || err != nil { // 6 of accounts, 3 in all, which count their hits
		t.Errorf("%d entries, %v", n, err)
	}
	after(100 * day)
	for address, want := range map[string]bool{"stays": true, "back": true, "over": false, "until": true} {
		if known(address+"@example.com") != want {
			t.Errorf("%s: known %v after 100 days", address, !want)
		}
	}
	f.want("b", "over@example.com", t0.Add(300*day), "account bounce invalid_recipient")
	after(150 * day)
	if known("until@example.com") {
		t.Error("what ended after 50 days is known after 150")
	}
	if _, ok, err := f.b.Decided(removal.ID); !ok || err != nil {
		t.Errorf("the decision is gone too soon: %v", err)
	}
	after(200 * day)
	if _, ok, err := f.b.Decided(removal.ID); ok || err != nil {
		t.Errorf("the decision is still known: %v", err)
	}
	if audit, _, err := f.b.Audit(AuditQuery{Account: "a", Limit: 10}); len(audit) != 0 || err != nil {
		t.Errorf("%+v %v", audit, err)
	}
	if n, err := f.p.rowsOf(tableOrders); n != 0 || err != nil {
		t.Errorf("%d rows lead to decisions, %v", n, err)
	}
	f.want("a", "stays@example.com", t0.Add(300*day), "account bounce invalid_recipient")
	// Too old to be undone: rows go by the day.
	if n, err := f.p.rowsOf(tableWave); n != 0 || err != nil {
		t.Errorf("%d hard bounces, %v", n, err)
	}
}

func TestValidateKeep(t *testing.T) {
	for _, c := range []struct {
		change func(*Options)
		ok     bool
	}{
		{func(o *Options) { o.Keep = 59 * day }, false},
		{func(o *Options) { o.Keep = 60 * day }, true},
		{func(o *Options) { o.Keep, o.GlobalAccounts = 13*day, 0 }, false},
		{func(o *Options) { o.Keep, o.GlobalAccounts = 14*day, 0 }, true},
		{func(o *Options) { o.Keep, o.GlobalAccounts, o.SoftBounces = day, 0, 0 }, true},
		{func(o *Options) { o.Keep = 0 }, true},
	} {
		o := Default()
		c.change(&o)
		if err := o.Validate(); (err == nil) != c.ok || err != nil && !strings.HasPrefix(err.Error(), "keep: ") {
			t.Errorf("keep %v: %v", o.Keep, err)
		}
	}
}
