package suppress

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

// topic is a compacted log that was not compacted yet: it has all versions. look is called before each record is read.
type topic struct {
	recs []log.Record
	look func(from int64)
}

func (l *topic) Read(ctx context.Context, from int64, _ int, dst []log.Record) ([]log.Record, error) {
	if l.look != nil {
		l.look(from)
	}
	i := slices.IndexFunc(l.recs, func(r log.Record) bool { return r.Offset >= from })
	if i < 0 {
		<-ctx.Done()
		return dst, ctx.Err()
	}
	return append(dst, l.recs[i]), nil
}

func (l *topic) Bounds() (int64, int64) {
	if len(l.recs) == 0 {
		return 0, 0
	}
	return 0, l.recs[len(l.recs)-1].Offset + 1
}

func (l *topic) Refresh(context.Context) error { return nil }
func (l *topic) Partition() int32              { return 0 }

// TestAnewIsMonotone: a book that reads a topic anew, however often it is interrupted, never tells an old version of what it
// knew better, and drops what the topic no longer has.
func TestAnewIsMonotone(t *testing.T) {
	f := newFixture(t, Default())
	reactivate := f.orderFact(Order{Op: OpReactivate, Account: "a", Address: bob, Time: t0 + 1, Confirmed: true})
	f.decide(f.bounce("a", "m1", bob, t0, true), f.bounce("a", "m2", "eve@example.com", t0, true), reactivate,
		f.orderFact(Order{Op: OpAdd, Account: "a", Address: "gone@example.com", Time: t0}),
		event.AddressFact{Kind: event.Erase, Time: t0, Recipient: "eve@example.com", Ref: event.Ref{Account: "a"}})
	known := f.records()
	f.decide(f.fact(event.Complaint, "a", "m3", bob, t0+2), f.orderFact(Order{Op: OpRemove, Account: "a", Address: bob, Time: t0 + 3}))
	all := f.records()
	l := &topic{recs: known}
	store := openStore(t, vfs.NewMem())
	var b *Book
	open := func(stale bool) {
		t.Helper()
		var err error
		if b, err = OpenBook(Default(), secret, store, Log{In: l, Compacted: true}, errorsOnly(t), nil); err != nil {
			t.Fatal(err)
		}
		if stale {
			b.follow.place.end = event.Now() - 2*event.Millis(staleAfter.Milliseconds())
		}
	}
	// run follows until a record from an offset on is asked for.
	run := func(until int64, look func()) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		l.look = func(from int64) {
			if b.follow.place.generation > 0 && look != nil {
				look()
			}
			if from >= until {
				cancel()
			}
		}
		if err := b.followAll(ctx); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	says := func(address string) string {
		s, ok, err := b.Check("a", address, t0+dayMS, false)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return ""
		}
		return string(s.Reason)
	}
	_, end := l.Bounds()
	open(false)
	run(end, nil)
	if says(bob) != "" || says("eve@example.com") != "bounce" || says("gone@example.com") != "manual" {
		t.Fatal(says(bob), says("eve@example.com"), says("gone@example.com"))
	}

	// While it was away, the topic forgot one, and the removal of it.
	l.recs = slices.DeleteFunc(slices.Clone(all), func(r log.Record) bool { return string(r.Key) == "a/gone@example.com" })
	_, end = l.Bounds()
	complained, removed := false, false
	look := func() {
		if list, _, err := b.List(Query{Account: "a", Domain: "example.com", At: t0 + dayMS, Limit: 10}); err == nil {
			for _, s := range list {
				if s.Address == "eve@example.com" {
					t.Error("names who was erased")
				}
			}
		}
		switch got := says(bob); {
		case got == "complaint" && !removed:
			complained = true
		case got == "" && !complained:
		case got == "":
			removed = true
		default:
			t.Errorf("Bob: %q after complaint %v, removal %v", got, complained, removed)
		}
		if got := says("eve@example.com"); got != "bounce" {
			t.Errorf("Eve: %q", got)
		}
	}
	for until := int64(1); until < end; until += 2 {
		open(until == 1) // it goes on reading anew, whatever its clock says
		run(until, look)
	}
	open(false)
	run(end, look)
	if !complained || !removed || says("gone@example.com") != "" {
		t.Error(complained, removed, says("gone@example.com"))
	}
	if _, ok, err := b.Decided(reactivate.ID); !ok || err != nil {
		t.Errorf("the decision is gone: %v", err)
	}
	if audit, _, err := b.Audit(AuditQuery{Account: "a", Limit: 10}); err != nil || len(audit) != 3 {
		t.Errorf("%+v %v", audit, err)
	}

	// Another topic of that name says nothing until it is read to its end.
	l.recs = l.recs[:2]
	open(false)
	run(1, func() {
		if _, _, err := b.Check("a", bob, t0+dayMS, false); !errors.Is(err, ErrNotReady) {
			t.Errorf("half of another topic: %v", err)
		}
	})
	open(false)
	if _, _, err := b.Check("a", bob, t0+dayMS, false); !errors.Is(err, ErrNotReady) {
		t.Errorf("half of another topic: %v", err)
	}
	run(2, nil)
	if says(bob) != "bounce" {
		t.Error(says(bob))
	}
}
