package suppress

import (
	"errors"
	"fmt"
	"maps"
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
	f.p.before = f.out
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

// TestAdoptAnywhere has a worker die at any moment, with its disk: another goes on from what was published by then, and all
// that is known in the end is what would have been. Facts wait, orders are decided, one of them in many commits.
func TestAdoptAnywhere(t *testing.T) {
	o := Default()
	o.BreakerHard = 0 // whose hours are lost
	f := newFixture(t, o)
	f.p.before, f.p.rowsAtOnce = f.out, 3
	var facts []event.AddressFact
	for i := range 10 {
		b := f.bounce("a", fmt.Sprint("m", i), fmt.Sprintf("c%d@example.com", i), t0+event.Millis(i), true)
		facts = append(facts, b)
		b = f.bounce("acct/b@c", fmt.Sprint("w %/@", i), "", t0+event.Millis(i), true)
		b.Reported, b.Contact = "stranger@example.com", "stranger@example.com"
		facts = append(facts, b, f.fact(event.Complaint, "acct/b@c", fmt.Sprint("w %/@", i), "", t0))
		if i > 5 {
			facts = append(facts, f.fact(event.Sent, "acct/b@c", fmt.Sprint("w %/@", i-4), fmt.Sprintf("w%d@example.com", i), t0))
		}
	}
	facts = append(facts, f.orderFact(Order{Op: OpReactivate, Account: "a", Address: "c1@example.com", Time: t0 + dayMS, Confirmed: true}),
		f.orderFact(Order{Op: OpRevert, Filter: &Filter{To: t0 + 9}, Time: t0 + dayMS}),
		event.AddressFact{Kind: event.Erase, Time: t0, Recipient: "c2@example.com", Ref: event.Ref{Account: "a"}},
		f.fact(event.Sent, "acct/b@c", "w %/@0", "late@example.com", t0),
		f.orderFact(Order{Op: OpReactivate, Account: "a", Address: "c9@example.com", Time: t0 + dayMS, Confirmed: true}))
	for i := range facts {
		facts[i].Origin = event.Origin{Offset: int64(i)}
	}
	decide := func(f *fixture) {
		t.Helper()
		for f.p.at.next < int64(len(facts)) {
			err := f.p.step(t.Context(), func() (err error) {
				for n := 0; n < 5 && f.p.at.next < int64(len(facts)) && f.p.wave == nil && err == nil; n++ {
					err = f.p.take(&log.Record{Offset: f.p.at.next, Time: f.now, Value: facts[f.p.at.next].AppendJSON(nil)})
				}
				return err
			})
			if err = errors.Join(err, f.p.finishWave(t.Context())); err != nil {
				t.Fatal(err)
			}
		}
	}
	decide(f)
	published := f.records()
	last := func(lists ...[]log.Record) map[string]string {
		all := make(map[string]string)
		for _, recs := range lists {
			for _, r := range recs {
				if all[string(r.Key)] = string(r.Value); len(r.Value) == 0 {
					delete(all, string(r.Key))
				}
			}
		}
		delete(all, keyPosition) // where steps end may differ
		return all
	}
	want := last(published)
	waiting := 0
	for key := range want {
		if strings.HasPrefix(key, keyWaiting) {
			waiting++
		}
	}
	if waiting != 10 || len(want) < 25 || want[keyWave] != "" {
		t.Fatalf("%d records, %d of facts that wait", len(want), waiting)
	}
	store := openStore(t, vfs.NewMem())
	for cut := range len(published) + 1 {
		b := store.NewBatch()
		if err := errors.Join(b.DeleteRange([]byte{0}, []byte{0xff}, nil), store.Commit(b), b.Close()); err != nil {
			t.Fatal(err)
		}
		g := &fixture{t: t, o: o, store: store, now: t0}
		g.open()
		g.p.before, g.p.rowsAtOnce = &topic{recs: published[:cut]}, 3
		if err := errors.Join(g.p.adopt(t.Context()), g.p.finishWave(t.Context())); err != nil {
			t.Fatal(err)
		}
		decide(g)
		got := last(published[:cut], g.records())
		if !maps.Equal(got, want) {
			for key := range want {
				if got[key] != want[key] {
					t.Errorf("%s: %s\nwant %s", key, got[key], want[key])
				}
			}
			t.Fatalf("cut off after %d of %d records: %d are known, want %d", cut, len(published), len(got), len(want))
		}
		if n, err := g.p.rowsOf(tableWaiting); n != waiting || err != nil || g.p.at.waiting != int64(waiting) {
			t.Fatalf("cut off after %d: %d facts wait, counted %d, want %d: %v", cut, n, g.p.at.waiting, waiting, err)
		}
	}
}

// rowsOf counts the rows of a table.
func (p *Partition) rowsOf(table byte) (n int, err error) {
	p.batch = p.store.NewIndexedBatch()
	err = p.scan(p.table(table), kv.PrefixEnd(p.table(table)), func(_, _ []byte) (bool, error) { n++; return true, nil })
	return n, errors.Join(err, p.batch.Close())
}
