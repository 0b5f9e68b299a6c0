package suppress

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

// newRandom prints its seed, and takes it from SUPPRESS_SEED.
func newRandom(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	if s := os.Getenv("SUPPRESS_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("SUPPRESS_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// story is a message's facts as refine would tell them, in one order: that of its partition.
type story struct {
	account, message, address string
	facts                     []event.AddressFact
}

// newStory makes up what happens to a message: bounces, complaints, unsubscribes, life that lifts and is taken back.
func newStory(r *rand.Rand, f *fixture, n int) story {
	s := story{fmt.Sprint("acct", r.IntN(4)), fmt.Sprint("m", n), fmt.Sprintf("p%d@example.com", r.IntN(6)), nil}
	at := func() event.Millis { return t0 + event.Millis(r.IntN(50))*dayMS + event.Millis(r.IntN(1000)) }
	registered := r.IntN(4) > 0
	tell := func(fact event.AddressFact) {
		if !registered {
			fact.Recipient = ""
		}
		s.facts = append(s.facts, fact)
	}
	alive := event.Millis(0)
	for range 1 + r.IntN(4) {
		switch r.IntN(8) {
		case 0:
			tell(f.fact(event.Complaint, s.account, s.message, s.address, at()))
		case 1:
			back := f.fact(event.Complaint, s.account, s.message, s.address, at())
			back.FeedbackType = notSpam
			tell(back)
		case 2:
			tell(f.fact(event.Unsubscribe, s.account, s.message, s.address, at()))
		case 3:
			alive = at()
			life := f.fact(event.Delivered, s.account, s.message, s.address, alive)
			life.AliveAt = alive
			tell(life)
		case 4:
			alive = 0
			tell(f.fact(event.Click, s.account, s.message, s.address, at()))
		default:
			b := f.bounce(s.account, s.message, s.address, at(), true)
			b.AliveAt = alive
			tell(b)
			if r.IntN(4) == 0 {
				b.Revision, b.Bounce.Hard = 1, r.IntN(2) == 0
				b.AliveAt = alive
				tell(b)
			}
		}
	}
	if !registered {
		registered = true
		tell(f.fact(event.Sent, s.account, s.message, s.address, t0))
	}
	return s
}

// model says by the rules' words, without any state, who is suppressed: from all facts at once.
type model struct{ stories []story }

// bounces are the hard ones of an address in an account that stand.
func (m *model) bounces(account, address string) (times []event.Millis) {
	for _, s := range m.stories {
		if s.account != account || s.address != address {
			continue
		}
		last := make(map[event.ID]event.AddressFact)
		alive := event.Millis(0)
		known := false // life of a message of which nothing was told before is told by nobody
		for _, f := range s.facts {
			switch f.Kind {
			case event.Bounce:
				if old, ok := last[f.ID]; !ok || f.Revision > old.Revision {
					last[f.ID] = f
				}
				alive, known = f.AliveAt, true
			case event.Delivered, event.Click:
				if known {
					alive = f.AliveAt
				}
			}
		}
		for _, f := range last {
			if f.Bounce.Hard && alive <= f.Time {
				times = append(times, f.Time)
			}
		}
	}
	return times
}

func (m *model) suppressed(account, address string) (by []Reason) {
	if len(m.bounces(account, address)) > 0 {
		by = append(by, Bounce)
	}
	complained, unsubscribed := false, false
	for _, s := range m.stories {
		if s.account != account || s.address != address {
			continue
		}
		back := event.Millis(0)
		for _, f := range s.facts {
			if f.Kind == event.Complaint && f.FeedbackType == notSpam {
				back = max(back, f.Time)
			}
		}
		for _, f := range s.facts {
			complained = complained || f.Kind == event.Complaint && f.FeedbackType == "" && f.Time >= back
			unsubscribed = unsubscribed || f.Kind == event.Unsubscribe
		}
	}
	if complained {
		by = append(by, Complaint)
	}
	if unsubscribed {
		by = append(by, Unsubscribe)
	}
	return by
}

func (m *model) global(address string) bool {
	type hit struct {
		at      event.Millis
		account string
	}
	var hits []hit
	for a := range 4 {
		account := fmt.Sprint("acct", a)
		for _, at := range m.bounces(account, address) {
			hits = append(hits, hit{at, account})
		}
	}
	for _, first := range hits {
		accounts := make(map[string]bool)
		for _, h := range hits {
			if h.at >= first.at && h.at-first.at <= 60*dayMS {
				accounts[h.account] = true
			}
		}
		if len(accounts) >= 3 {
			return true
		}
	}
	return false
}

// TestAnyOrder has the facts of many messages come in any order that keeps that of each message, with repeats, and
// compares with the model.
func TestAnyOrder(t *testing.T) {
	r := newRandom(t)
	for round := range 25 {
		o := Default()
		o.BreakerHard = 0
		f := newFixture(t, o)
		m := &model{}
		n := 1 + r.IntN(18) // so few that the bounds of an entry are not reached
		var next []int      // of each story the fact that comes next
		for i := range n {
			m.stories = append(m.stories, newStory(r, f, i))
			next = append(next, 0)
		}
		var all []event.AddressFact
		for left := n; left > 0; {
			i := r.IntN(n)
			s := &m.stories[i]
			if next[i] == len(s.facts) {
				continue
			}
			fact := s.facts[next[i]]
			fact.Origin = event.Origin{Partition: int32(i), Offset: int64(next[i])} // a partition each
			all = append(all, fact)
			for r.IntN(4) == 0 { // some of what was told before, again
				j := r.IntN(n)
				if next[j] > 0 {
					k := r.IntN(next[j])
					again := m.stories[j].facts[k]
					again.Origin = event.Origin{Partition: int32(j), Offset: int64(k)}
					all = append(all, again)
				}
			}
			if next[i]++; next[i] == len(s.facts) {
				left--
			}
		}
		for len(all) > 0 {
			k := min(len(all), 1+r.IntN(20))
			f.write(all[:k]...)
			all = all[k:]
			if r.IntN(5) == 0 {
				f.drain()
			}
		}
		f.drain()
		end := t0 + 100*dayMS
		for a := range 4 {
			for p := range 6 {
				account, address := fmt.Sprint("acct", a), fmt.Sprintf("p%d@example.com", p)
				var got []Reason
				if s := f.get(account, address, end); s != nil {
					for _, c := range append([]Cause{s.Cause}, s.Others...) {
						if c.Active {
							got = append(got, c.Reason)
						}
					}
				}
				if want := m.suppressed(account, address); !slices.Equal(got, want) {
					t.Fatalf("round %d: %s in %s: %v, want %v", round, address, account, got, want)
				}
				s := f.get("", address, end)
				if got, want := s != nil && s.Active, m.global(address); got != want {
					t.Fatalf("round %d: %s in all: %v, want %v", round, address, got, want)
				}
			}
		}
	}
}

// output reads all records of the log of suppressions, which the book has not emptied.
func output(t *testing.T, l *log.Local) (all []string) {
	t.Helper()
	_, end := l.Bounds()
	if end == 0 {
		return nil
	}
	recs, err := l.Read(context.Background(), 0, int(end), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range recs {
		all = append(all, fmt.Sprintf("%d %s %s", r.Time, r.Key, r.Value))
	}
	return all
}

// drive hears the log in steps of a size, with a crash of the store after every so many of them, and returns the output.
func drive(t *testing.T, input []event.AddressFact, step, crash int) []string {
	t.Helper()
	o := Default()
	o.StepRecords = step
	fs := vfs.NewCrashableMem()
	f := &fixture{t: t, o: o, store: openStore(t, fs), now: t0}
	f.open()
	for i := range input {
		f.now = t0 + event.Millis(i)*minute
		f.write(input[i])
	}
	ctx := context.Background()
	if err := f.in.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	_, end := f.in.Bounds()
	for steps := 1; f.p.Passed() < end; steps++ {
		var recs []log.Record
		if f.p.wave == nil { // else there may be none to wait for
			var err error
			if recs, err = f.in.Read(ctx, f.p.at.next, step, nil); err != nil {
				t.Fatal(err)
			}
		}
		n := 0
		err := f.p.step(ctx, func() (err error) {
			if f.p.wave != nil {
				return f.p.waveStep()
			}
			for n < len(recs) && f.p.wave == nil && err == nil {
				err = f.p.take(&recs[n])
				n++
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if crash > 0 && steps%crash == 0 {
			fs = fs.CrashClone(vfs.CrashCloneCfg{})
			f.store = openStore(t, fs)
			f.open()
		}
	}
	return output(t, f.out)
}

// TestReplay: whatever the steps, and wherever it crashes, the same log gives the same output, byte for byte.
func TestReplay(t *testing.T) {
	r := newRandom(t)
	f := newFixture(t, Default())
	var input []event.AddressFact
	add := func(facts ...event.AddressFact) {
		for _, fact := range facts {
			fact.Origin = event.Origin{Offset: int64(len(input))}
			input = append(input, fact)
		}
	}
	order := func(o Order) {
		o.ID = f.id()
		ev := o.Event()
		add(event.AddressFact{ID: o.ID, Kind: event.Order, Time: o.Time, Ref: event.Ref{Account: o.Account}, Recipient: o.Address, Body: ev.Body})
	}
	for i := range 60 {
		add(newStory(r, f, i).facts...)
		address, account, at := fmt.Sprintf("p%d@example.com", r.IntN(6)), fmt.Sprint("acct", r.IntN(4)), t0+event.Millis(r.IntN(60))*dayMS
		switch r.IntN(8) {
		case 0:
			order(Order{Op: OpReactivate, Account: account, Address: address, Time: at, Confirmed: true})
		case 1:
			order(Order{Op: OpAdd, Account: account, Address: address, Time: at})
		case 2:
			order(Order{Op: OpRemove, Account: account, Address: address, Time: at})
		case 3:
			order(Order{Op: OpRevert, Filter: &Filter{From: at, To: at + 5*dayMS}, Time: at})
		case 4:
			add(event.AddressFact{Kind: event.Erase, Time: at, Recipient: address, Ref: event.Ref{Account: account}})
		case 5:
			add(event.AddressFact{Kind: event.Contact, Ref: event.Ref{Account: account}, ContactKey: event.ContactKeyOf(account, address).String()})
		}
	}
	want := drive(t, input, 1024, 0)
	if len(want) < 50 {
		t.Fatalf("only %d records", len(want))
	}
	for _, c := range []struct{ step, crash int }{{1, 0}, {7, 0}, {1, 5}, {3, 1}, {50, 1}} {
		got := drive(t, input, c.step, c.crash)
		if !slices.Equal(got, want) {
			i := 0
			for i < len(got) && i < len(want) && got[i] == want[i] {
				i++
			}
			t.Fatalf("steps of %d, a crash every %d: %d records, want %d; they differ at %d", c.step, c.crash, len(got), len(want), i)
		}
	}
}

func TestErase(t *testing.T) {
	f := newFixture(t, Default())
	f.hear(f.bounce("a", "m1", bob, t0, true), f.bounce("a", "m2", "soft@example.com", t0, false))
	f.order(Order{Op: OpAdd, Account: "a", Address: bob, Note: "Bob asked", Time: t0})
	for _, address := range []string{bob, "soft@example.com"} {
		f.hear(event.AddressFact{Kind: event.Erase, Time: t0 + dayMS, Recipient: address, Ref: event.Ref{Account: "a"}})
	}
	f.want("a", bob, t0+dayMS, "account manual ")
	f.want("b", bob, t0+dayMS, "")
	list, err := f.b.Get("a", bob, t0+dayMS)
	if err != nil || len(list) != 1 || !list[0].Hashed() || list[0].Original != "" || list[0].Note != "" || list[0].Evidence != nil {
		t.Errorf("%+v %v", list, err)
	}
	audit, _, err := f.b.Audit(AuditQuery{Account: "a", Address: bob, Limit: 10})
	if err != nil || len(audit) != 1 || audit[0].Order.Note != "" || audit[0].Suppression != nil {
		t.Errorf("%+v %v", audit, err)
	}
	// Nothing of him is left in the store but hashes.
	it, err := f.store.DB().NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		key, value := string(it.Key()), string(it.Value())
		if key[0] == 0x80 || key[0] == 0x81 {
			for _, word := range []string{"bob@", "Bob", "soft@"} {
				if strings.Contains(key, word) || strings.Contains(value, word) {
					t.Errorf("%q: %q", key, value)
				}
			}
			if strings.Contains(key, "bob\x00") {
				t.Errorf("%q", key)
			}
		}
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	// What is told of him later meets the hash.
	f.hear(f.bounce("a", "m3", bob, t0+2*dayMS, true))
	if d := f.order(Order{Op: OpRemove, Account: "a", Address: bob, Time: t0 + 3*dayMS}); !d.OK || d.Order.Address == bob {
		t.Errorf("%+v", d)
	}
	f.want("a", bob, t0+3*dayMS, "")
}
