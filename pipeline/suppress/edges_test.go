package suppress

import (
	"fmt"
	"strings"
	"testing"

	"carom/pipeline/event"
)

// A recipient's own word is not lost behind many bounces.
func TestManyBouncesKeepAnUnsubscribe(t *testing.T) {
	for _, kind := range []event.Kind{event.Unsubscribe, event.Complaint} {
		f := newFixture(t, Default())
		facts := []event.AddressFact{f.bounce("a", "m0", bob, t0, true), f.fact(kind, "a", "word", bob, t0+1)}
		for i := range 2 * maxMessages {
			facts = append(facts, f.bounce("a", fmt.Sprint("n", i), bob, t0+2+event.Millis(i), true))
		}
		f.hear(facts...)
		if d := f.reactivate("a", bob, t0+dayMS); d.Rule != RuleReasonNotBounce {
			t.Errorf("%v: %+v", kind, d)
		}
	}
}

// A dry run counts what the revert then does.
func TestDryRunCounts(t *testing.T) {
	f := newFixture(t, Default())
	f.hear(f.bounce("a", "m1", bob, t0, true), f.bounce("a", "m2", bob, t0+hourMS, true), f.bounce("a", "m3", "eve@example.com", t0, true),
		f.bounce("a", "m4", "eve@example.com", t0+dayMS, true))
	revert := func(dry bool) map[string]int64 {
		return f.order(Order{Op: OpRevert, Time: t0 + 2*dayMS, Filter: &Filter{Rule: "r", From: t0, To: t0 + 2*hourMS, DryRun: dry}}).Counts
	}
	dry, wet := revert(true), revert(false)
	if wet["changed"] != 1 || wet["matched"] != 3 || dry["changed"] != 1 || dry["matched"] != 3 {
		t.Errorf("a dry run says %v, the revert %v", dry, wet)
	}
	if again := revert(false); again["matched"] != 0 {
		t.Errorf("again: %v", again)
	}
	f.want("a", bob, t0+3*dayMS, "")
	f.want("a", "eve@example.com", t0+3*dayMS, "account bounce invalid_recipient")
}

// What is over can't be removed.
func TestRemoveWhatIsOver(t *testing.T) {
	f := newFixture(t, Default())
	f.order(Order{Op: OpAdd, Account: "a", Address: bob, Time: t0, Until: t0 + dayMS})
	if d := f.order(Order{Op: OpRemove, Account: "a", Address: bob, Time: t0 + 2*dayMS}); d.OK || d.Rule != RuleNotSuppressed {
		t.Errorf("%+v", d)
	}
}

// One account's erase takes nothing from what the others know of the address.
func TestEraseKeepsOthersBounces(t *testing.T) {
	f := newFixture(t, Default())
	f.hear(f.bounce("a", "m1", bob, t0, true), f.bounce("b", "m2", bob, t0+1, true))
	f.hear(event.AddressFact{Kind: event.Erase, Time: t0 + 2, Recipient: bob, Ref: event.Ref{Account: "a"}})
	f.hear(f.bounce("c", "m3", bob, t0+3, true))
	f.want("d", bob, t0+dayMS, "global bounce invalid_recipient")
}

func TestEraseLeavesNoTrace(t *testing.T) {
	f := newFixture(t, Default())
	erase := event.AddressFact{Kind: event.Erase, Time: t0 + 30*dayMS, Recipient: bob, Ref: event.Ref{Account: "a"}}
	f.order(Order{Op: OpAdd, Address: bob, Note: "told bob", Time: t0})
	for i := range 5 {
		f.hear(f.bounce("a", fmt.Sprint("m-soft-", i), bob, t0+event.Millis(i)*4*dayMS, false))
	}
	f.answer(0, 0)
	f.want("a", bob, t0+17*dayMS, "account bounce mailbox_full")
	f.hear(erase)
	// He is mailed again, and erased again.
	f.hear(f.bounce("a", "m-hard", bob, t0+31*dayMS, true))
	f.hear(erase)
	f.want("a", bob, t0+32*dayMS, "account bounce mailbox_full")
	f.want("b", bob, t0+32*dayMS, "global manual ")
	it, err := f.store.DB().NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		key, value := string(it.Key()), string(it.Value())
		if key[0] != 0x80 && key[0] != 0x81 {
			continue
		}
		for _, word := range []string{"bob", "m-soft-", "m-hard"} {
			if strings.Contains(key, word) || strings.Contains(value, word) {
				t.Errorf("%s: %q: %q", word, key, value)
			}
		}
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
}
