package suppress

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// t0 is 2026-11-01T00:00:00Z.
const t0 event.Millis = 1793491200000

const (
	second = event.Millis(1000)
	minute = 60 * second
	hourMS = 60 * minute
	dayMS  = 24 * hourMS
)

// fixture is a store with the logs, the stage and the book.
type fixture struct {
	t     testing.TB
	o     Options
	store *kv.Store
	in    *log.Local
	out   *log.Local
	p     *Partition
	b     *Book
	now   event.Millis // log time
	n     int64        // origins given
	ids   uint64

	mu   sync.Mutex
	told []event.Event
}

func newFixture(t testing.TB, o Options) *fixture {
	t.Helper()
	f := &fixture{t: t, o: o, store: openStore(t, vfs.NewMem()), now: t0}
	f.open()
	return f
}

func openStore(t testing.TB, fs vfs.FS) *kv.Store {
	t.Helper()
	store, err := kv.Open("state", kv.Options{FS: fs, MemTableBytes: 1 << 20, Logger: errorsOnly(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func errorsOnly(t testing.TB) *zap.Logger {
	return zaptest.NewLogger(t, zaptest.Level(zap.DPanicLevel))
}

var secret = Secret{1, 2, 3}

// open opens everything, anew if it was open.
func (f *fixture) open() {
	f.t.Helper()
	var err error
	f.in, err = log.NewLocal(f.store, kv.LogAddresses, 0)
	if err == nil {
		f.out, err = log.NewLocal(f.store, kv.LogSuppressions, 0)
	}
	if err == nil {
		f.p, err = Open(f.o, Deps{Secret: secret, Store: f.store, In: f.in, Out: f.out, Teller: f, Partitions: 2, Logger: errorsOnly(f.t)})
	}
	if err == nil {
		f.b, err = OpenBook(f.o, secret, f.store, Log{In: f.out}, errorsOnly(f.t), nil)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// Facts is Teller's.
func (f *fixture) Facts(evs ...*event.Event) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, ev := range evs {
		f.told = append(f.told, *ev)
	}
	return nil
}

// hear puts facts on the log, each with an origin of its own, and has them decided and read by the book.
func (f *fixture) hear(facts ...event.AddressFact) {
	f.t.Helper()
	for i := range facts {
		facts[i].Origin = event.Origin{Node: "n", Offset: f.n}
		f.n++
	}
	f.write(facts...)
	f.drain()
}

func (f *fixture) write(facts ...event.AddressFact) {
	f.t.Helper()
	recs := make([]log.Record, len(facts))
	for i := range facts {
		recs[i] = log.Record{Time: f.now, Key: facts[i].AppendKey(nil), Value: facts[i].AppendJSON(nil)}
	}
	b := f.store.NewBatch()
	err := f.in.Write(context.Background(), b, recs)
	if err == nil {
		err = f.store.Commit(b)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	f.in.Committed()
	_ = b.Close()
}

// decide has facts decided, each in a step of its own. The book reads nothing of it, and what is published stays in f.out.
func (f *fixture) decide(facts ...event.AddressFact) {
	f.t.Helper()
	for i := range facts {
		facts[i].Origin = event.Origin{Offset: f.n}
		rec := log.Record{Offset: f.n, Time: f.now, Value: facts[i].AppendJSON(nil)}
		f.n++
		if err := errors.Join(f.p.step(f.t.Context(), func() error { return f.p.take(&rec) }), f.p.finishWave(f.t.Context())); err != nil {
			f.t.Fatal(err)
		}
	}
}

// orderFact is the fact of an order.
func (f *fixture) orderFact(o Order) event.AddressFact {
	if o.ID == [16]byte{} {
		o.ID = f.id()
	}
	ev := o.Event()
	return event.AddressFact{ID: o.ID, Kind: event.Order, Time: o.Time, Ref: event.Ref{Account: o.Account}, Recipient: o.Address, Body: ev.Body}
}

// records returns what is published and the book has not emptied.
func (f *fixture) records() []log.Record {
	f.t.Helper()
	oldest, end := f.out.Bounds()
	if end == oldest {
		return nil
	}
	recs, err := f.out.Read(f.t.Context(), oldest, int(end), nil)
	if err != nil {
		f.t.Fatal(err)
	}
	return recs
}

// drain runs stage and book until they have read everything, and the outbox is empty.
func (f *fixture) drain() {
	f.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	errs := make([]error, 2)
	done.Go(func() { errs[0] = f.p.Run(ctx) })
	done.Go(func() { errs[1] = f.b.Run(ctx) })
	stop := func() { cancel(); done.Wait() }
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Microsecond) {
		_, next := f.in.Bounds()
		decided := f.p.Passed() == next
		_, end := f.out.Bounds()
		keys, _, err := f.p.outbox()
		if err != nil || time.Now().After(deadline) {
			stop() // who still runs would meet a closed store
			f.t.Fatal("the stage does not get on", err, errors.Join(errs...))
		}
		if decided && f.b.Passed() == end && len(keys) == 0 && f.b.known.filters.Load() != nil && f.p.known.filters.Load() != nil {
			break
		}
	}
	stop()
	if err := errors.Join(errs...); err != nil {
		f.t.Fatal(err)
	}
	// Run is called once: what it kept in memory is read again.
	f.open()
}

func (f *fixture) id() event.ID {
	f.ids++
	return event.ID{byte(f.ids >> 16), byte(f.ids >> 8), byte(f.ids)}
}

// Facts about a message m of an account to bob@example.com.
func (f *fixture) fact(kind event.Kind, account, message, recipient string, at event.Millis) event.AddressFact {
	return event.AddressFact{
		ID: f.id(), Kind: kind, Time: at, Recipient: recipient,
		Ref: event.Ref{Account: account, Sender: "s", Contact: recipient, Message: message},
	}
}

func (f *fixture) bounce(account, message, recipient string, at event.Millis, hard bool) event.AddressFact {
	b := f.fact(event.Bounce, account, message, recipient, at)
	b.Bounce = event.Diagnosis{Hard: hard, Category: "mailbox_full", Status: "4.2.2", Diagnostic: "said of " + recipient, Rule: "r"}
	if hard {
		b.Bounce.Category, b.Bounce.Status = "invalid_recipient", "5.1.1"
	}
	return b
}

// order has an order decided.
func (f *fixture) order(o Order) Decision {
	f.t.Helper()
	if o.ID == [16]byte{} {
		o.ID = f.id()
	}
	f.hear(f.orderFact(o))
	d, ok, err := f.b.Decided(o.ID)
	if err != nil || !ok {
		f.t.Fatalf("order %+v: decided %v, %v", o, ok, err)
	}
	return d
}

// suppressed asks the book.
func (f *fixture) suppressed(account, address string, at event.Millis) string {
	f.t.Helper()
	s, ok, err := f.b.Check(account, address, at, false)
	if err != nil {
		f.t.Fatal(err)
	}
	if !ok {
		return ""
	}
	return fmt.Sprint(s.Scope, " ", s.Reason, " ", s.Category)
}

func (f *fixture) want(account, address string, at event.Millis, want string) {
	f.t.Helper()
	if got := f.suppressed(account, address, at); got != want {
		f.t.Errorf("%s in %s at day %.2f: %q, want %q", address, account, float64(at-t0)/float64(dayMS), got, want)
	}
}

// get returns what the book knows of an address in an account alone.
func (f *fixture) get(account, address string, at event.Millis) *Suppression {
	f.t.Helper()
	list, err := f.b.Get(account, address, at)
	if err != nil {
		f.t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(s Suppression) bool { return s.Account == account })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// contacts counts so many contacts of an account.
func (f *fixture) contacts(account string, n int) {
	facts := make([]event.AddressFact, n)
	for i := range facts {
		facts[i] = event.AddressFact{
			ID: f.id(), Kind: event.Contact, Time: t0, Ref: event.Ref{Account: account},
			ContactKey: event.ContactKeyOf(account, fmt.Sprint("c", i)).String(),
		}
	}
	f.hear(facts...)
}

// volume tells what was sent within an hour.
func (f *fixture) volume(provider string, at event.Millis, sent int) {
	f.hear(event.AddressFact{
		ID: f.id(), Kind: event.Volume, Time: at,
		Body: fmt.Appendf(nil, `{"hours":[{"hour":%q,"sent":{%q:%d}}]}`, at.Time().Truncate(time.Hour).Format(time.RFC3339), provider, sent),
	})
}
