package suppress

import (
	"strings"
	"testing"

	"carom/pipeline/event"
)

// TestHashOnly keeps hashes alone, through everything that is done with an address.
func TestHashOnly(t *testing.T) {
	o := Default()
	o.HashOnly = true
	f := newFixture(t, o)
	hashed := f.b.hashes.name(bob)
	noTrace := func() {
		t.Helper()
		f.noTrace("bob", "Bob", "stranger")
	}
	add := f.order(Order{Op: OpAdd, Account: "a", Address: "bob@EXAMPLE.com", Time: t0, Digest: f.b.Digest([]byte(bob))})
	if !add.OK || add.Order.Address != hashed || add.Suppression.Address != hashed || add.Suppression.Original != "" || add.Order.Digest != f.b.Digest([]byte(bob)) {
		t.Errorf("%+v", add)
	}
	f.want("a", bob, t0, "account manual ")
	f.want("a", hashed, t0, "account manual ")
	f.want("a", "eve@example.com", t0, "")
	if d := f.order(Order{Op: OpRemove, Account: "a", Address: bob, Time: t0 + 1}); !d.OK {
		t.Errorf("%+v", d)
	}
	waits := f.bounce("a", "m0", "", t0+2, true)
	waits.Reported, waits.Contact, waits.Bounce.Diagnostic = "stranger@example.com", "bob", "no bob here"
	f.hear(waits)
	noTrace()
	sent := f.fact(event.Sent, "a", "m0", bob, t0)
	f.hear(sent)
	f.want("a", bob, t0+2, "account bounce invalid_recipient")
	noTrace()
	page, next, err := f.b.List(Query{Account: "a", At: t0 + dayMS, Limit: 10})
	if err != nil || len(page) != 1 || next != "" || page[0].Address != hashed || page[0].Original != "" || page[0].Evidence.Diagnostic != "" || page[0].Evidence.Status != "5.1.1" {
		t.Errorf("%+v %v", page, err)
	}
	if page, _, err := f.b.List(Query{Account: "a", Domain: "example.com", Limit: 10}); err != nil || len(page) != 0 {
		t.Errorf("%+v %v", page, err)
	}
	audit, _, err := f.b.Audit(AuditQuery{Account: "a", Address: bob, Limit: 10})
	if err != nil || len(audit) != 2 || audit[0].Order.Address != hashed {
		t.Errorf("%+v %v", audit, err)
	}
	if d := f.reactivate("a", bob, t0+3); !d.OK || d.Suppression.Active {
		t.Errorf("%+v", d)
	}
	f.want("a", bob, t0+3, "")
	for _, account := range []string{"b", "c"} {
		f.hear(f.bounce(account, "m", "bob@EXAMPLE.com", t0+4, true))
	}
	f.want("d", bob, t0+4, "global bounce invalid_recipient")
	for i := range 5 { // and soft ones ask for his life, by the fact at hand
		b := f.bounce("a", "soft"+string(rune('0'+i)), bob, t0+dayMS+event.Millis(i)*4*dayMS, false)
		b.Contact = "bob"
		f.hear(b)
	}
	if len(f.told) != 2 || f.told[0].Contact != "bob" || f.told[0].Recipient != hashed {
		t.Errorf("%+v", f.told)
	}
	f.answer(0, 0)
	f.want("a", bob, t0+17*dayMS, "account bounce mailbox_full")
	noTrace()
	f.hear(event.AddressFact{Kind: event.Erase, Time: t0 + 18*dayMS, Recipient: bob, Ref: event.Ref{Account: "a"}})
	f.noTrace("bob", "soft0")
	f.want("a", bob, t0+18*dayMS, "account bounce mailbox_full")
	f.want("d", bob, t0+18*dayMS, "global bounce invalid_recipient")
}

// TestSwitchHashOnly switches it on and off where there is something: nothing of it is lost, in either direction.
func TestSwitchHashOnly(t *testing.T) {
	f := newFixture(t, Default())
	f.p.rowsAtOnce = 2
	f.hear(f.bounce("a", "m1", bob, t0, true), f.bounce("b", "m2", bob, t0+1, true), f.bounce("a", "m3", "soft@example.com", t0, false))
	f.order(Order{Op: OpAdd, Account: "a", Address: bob, Note: "by phone", Time: t0 + 2})
	f.order(Order{Op: OpRemove, Account: "a", Address: bob, Time: t0 + 3})
	waits := f.bounce("a", "m4", "", t0, true)
	waits.Bounce.Diagnostic = "no bob here"
	f.hear(waits)
	if d := f.order(Order{Op: OpRevert, Filter: &Filter{From: t0 + 1, To: t0 + 2}, Time: t0 + 3}); d.Counts["matched"] != 1 {
		t.Fatalf("%+v", d)
	}
	f.hear(f.bounce("b", "m5", bob, t0+4, true))

	f.o.HashOnly = true
	f.open()
	f.volume("x", t0, 1) // heard after the switch
	f.noTrace("bob", "soft@")
	hashed := f.b.hashes.name(bob)
	if s := f.get("a", bob, t0+dayMS); s == nil || s.Address != hashed || s.Active || s.EndedBy != OpRemove {
		t.Errorf("%+v", s)
	}
	f.want("b", bob, t0+4, "account bounce invalid_recipient")
	if audit, _, err := f.b.Audit(AuditQuery{Account: "a", Address: bob, Limit: 10}); err != nil || len(audit) != 2 || audit[0].Order.Note != "by phone" || audit[0].Suppression == nil || audit[0].Suppression.Address != hashed {
		t.Errorf("%+v %v", audit, err)
	}
	if n, err := f.p.rowsOf(tableWave); n != 3 || err != nil {
		t.Errorf("%d hard bounces, %v", n, err)
	}
	f.hear(f.fact(event.Sent, "a", "m4", "late@example.com", t0))
	f.want("a", "late@example.com", t0, "account bounce invalid_recipient")
	f.hear(f.bounce("c", "m6", bob, t0+5, true)) // the third account
	f.want("d", bob, t0+5, "global bounce invalid_recipient")

	f.o.HashOnly = false
	f.open()
	f.volume("x", t0, 1) // heard after the switch
	f.want("d", bob, t0+5, "global bounce invalid_recipient")
	if d := f.order(Order{Op: OpRemove, Account: "b", Address: bob, Time: t0 + 6}); !d.OK || d.Suppression.Address != hashed {
		t.Errorf("what has a hash keeps it: %+v", d)
	}
	f.hear(f.bounce("a", "m7", "new@example.com", t0+7, true))
	if s := f.get("a", "new@example.com", t0+7); s == nil || s.Address != "new@example.com" {
		t.Errorf("%+v", s)
	}
	list, err := f.b.Get("a", bob, t0+dayMS)
	if err != nil || len(list) != 2 || !strings.HasPrefix(list[0].Address, "#") || !strings.HasPrefix(list[1].Address, "#") {
		t.Errorf("side by side: %+v %v", list, err)
	}

	f.o.HashOnly = true
	f.open()
	f.volume("x", t0, 1) // heard after the switch
	f.noTrace("bob", "new@")
	f.want("a", "new@example.com", t0+7, "account bounce invalid_recipient")
	f.want("d", bob, t0+7, "global bounce invalid_recipient")
}
