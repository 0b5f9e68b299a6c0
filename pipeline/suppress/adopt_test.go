package suppress

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestAdopt: a stage with an empty disk goes on from what was published as the one before would have.
func TestAdopt(t *testing.T) {
	o := Default()
	published := newFixture(t, o) // which keeps all records, because no book empties it
	f := published
	var first []event.AddressFact
	for i := range 12 {
		first = append(first, f.bounce("a", fmt.Sprint("m", i), fmt.Sprintf("c%d@example.com", i), t0, true))
	}
	for i := range 600 {
		first = append(first, event.AddressFact{Kind: event.Contact, Ref: event.Ref{Account: "a"}, ContactKey: event.ContactKeyOf("a", fmt.Sprint(i)).String()})
	}
	for i := range 5 {
		first = append(first, f.orderFact(Order{Op: OpReactivate, Account: "a", Address: fmt.Sprintf("c%d@example.com", i), Time: t0 + dayMS, Confirmed: true}))
	}
	first = append(first, event.AddressFact{Kind: event.Erase, Time: t0, Recipient: "c11@example.com", Ref: event.Ref{Account: "a"}},
		f.bounce("b", "m", "c5@example.com", t0, true))
	f.decide(first...)
	then := []event.AddressFact{ // what is told again first, as a log may
		f.bounce("c", "m", "c5@example.com", t0, true), // the third account
		f.orderFact(Order{Op: OpReactivate, Account: "a", Address: "c1@example.com", Time: t0 + dayMS, Confirmed: true}),
		f.bounce("a", "m9", "c0@example.com", t0+2*dayMS, true),
		f.orderFact(Order{Op: OpReactivate, Account: "a", Address: "c0@example.com", Time: t0 + 2*dayMS, Confirmed: true}),
		f.orderFact(Order{Op: OpRevert, Filter: &Filter{From: t0, To: t0 + 1}, Time: t0 + 3*dayMS}),
		f.fact(event.Complaint, "a", "mx", "c11@example.com", t0+dayMS),
	}
	for i := range 12 {
		then = append(then, f.orderFact(Order{Op: OpAdd, Account: "a", Address: fmt.Sprintf("d%d@example.com", i), Time: t0, Reason: Bounce}),
			f.orderFact(Order{Op: OpReactivate, Account: "a", Address: fmt.Sprintf("d%d@example.com", i), Time: t0 + 2*dayMS, Confirmed: true}))
	}

	// The other begins with the topic alone.
	g := &fixture{t: t, o: o, store: openStore(t, vfs.NewMem()), now: t0, n: f.n}
	g.open()
	g.p.before = f.out
	if err := g.p.adopt(t.Context()); err != nil {
		t.Fatal(err)
	}
	if g.p.at.next != f.n || g.p.Passed() != f.n {
		t.Errorf("goes on at %d, want %d", g.p.at.next, f.n)
	}
	it, err := g.store.DB().NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		if strings.Contains(string(it.Key())+string(it.Value()), "c11@") {
			t.Errorf("names who was erased: %q", it.Key())
		}
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	had := len(output(t, f.out))
	f.decide(slices.Clone(then)...)
	g.decide(slices.Clone(then)...)
	want, got := output(t, f.out)[had:], output(t, g.out)
	if !slices.Equal(got, want) {
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) || got[i] != want[i] {
				t.Fatalf("record %d of %d and %d:\n%s\nwant\n%s", i, len(got), len(want), got[min(i, len(got)-1)], want[min(i, len(want)-1)])
			}
		}
	}
	if !slices.ContainsFunc(got, func(s string) bool { return len(s) > 0 }) || len(got) < 20 {
		t.Errorf("only %d records", len(got))
	}
	if _, err := log.NewLocal(g.store, kv.LogSuppressions, 0); err != nil {
		t.Error(err)
	}
}
