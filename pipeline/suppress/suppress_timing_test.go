package suppress

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// realFixture has a store as large as that of a server, so that little is compacted.
func realFixture(b *testing.B) *fixture {
	b.Helper()
	store, err := kv.Open("state", kv.Options{FS: vfs.NewMem(), Logger: errorsOnly(b)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	f := &fixture{t: b, o: Default(), store: store, now: t0}
	f.open()
	return f
}

// cpuTime is what the process has used.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// filledBook is a book of so many suppressed addresses.
func filledBook(b *testing.B, n int) *fixture {
	b.Helper()
	f := realFixture(b)
	var recs []log.Record
	for i := range n {
		e := entry{account: "acme", name: fmt.Sprintf("user%d@example.com", i), Told: true}
		e.hear(&event.AddressFact{
			ID: event.ID{byte(i), byte(i >> 8), byte(i >> 16)}, Kind: event.Bounce, Time: t0, Ref: event.Ref{Account: "acme", Message: fmt.Sprint("m", i)},
			Bounce: event.Diagnosis{Hard: true, Category: "invalid_recipient", Status: "5.1.1"}, Recipient: e.name,
		})
		s, _ := e.suppression(&f.o, 0)
		recs = append(recs, log.Record{Offset: int64(i), Key: suppressionKey(e.account, e.name), Value: encode(s.wire())})
		if len(recs) == readAtOnce {
			if err := f.b.apply(recs); err != nil {
				b.Fatal(err)
			}
			recs = recs[:0]
		}
	}
	if err := f.b.apply(recs); err != nil {
		b.Fatal(err)
	}
	if err := f.b.known.build(b.Context()); err != nil {
		b.Fatal(err)
	}
	return f
}

// BenchmarkCheck asks for addresses of which none, some or all are suppressed, in a book of a hundred thousand; rows: all, and
// each is read from the store, as where more are suppressed than are at hand.
func BenchmarkCheck(b *testing.B) {
	const n = 100_000
	f := filledBook(b, n)
	addresses := make([]string, 2*n)
	for i := range addresses {
		addresses[i] = fmt.Sprintf("user%d@example.com", i)
	}
	for _, c := range []struct {
		name     string
		from, of int
	}{{"none", n, n}, {"half", 0, 2 * n}, {"all", 0, n}, {"rows", 0, n}} {
		b.Run(c.name, func(b *testing.B) {
			if c.name == "rows" { // more are suppressed than are at hand
				f.b.index = newIndex()
			}
			b.ReportAllocs()
			i, found := 0, 0
			before := cpuTime(b)
			for b.Loop() {
				if _, ok, err := f.b.Check("acme", addresses[c.from+i*7919%c.of], t0, false); err != nil {
					b.Fatal(err)
				} else if ok {
					found++
				}
				i++
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "addresses/s")
			b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

func TestCheckDoesNotAllocate(t *testing.T) {
	f := newFixture(t, Default())
	f.hear(f.bounce("a", "m1", bob, t0, true))
	f.b.known.filters.Store(&[]*filter{newFilter(10)})
	f.b.known.add(f.b.known.name("a", bob))
	if n := testing.AllocsPerRun(100, func() {
		if _, ok, err := f.b.Check("a", "nobody@example.com", t0, false); ok || err != nil {
			t.Error(ok, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkFacts has hard bounces decided, each of an address of its own.
func BenchmarkFacts(b *testing.B) {
	f := realFixture(b)
	if err := f.p.known.build(b.Context()); err != nil {
		b.Fatal(err)
	}
	var recs []log.Record
	n := 0
	b.ReportAllocs()
	before := cpuTime(b)
	for b.Loop() {
		fact := f.bounce("acme", fmt.Sprint("m", n), fmt.Sprintf("user%d@example.com", n), t0, true)
		fact.Origin = event.Origin{Offset: int64(n)}
		recs = append(recs, log.Record{Offset: int64(n), Time: t0, Value: fact.AppendJSON(nil)})
		if n++; n%1024 != 0 {
			continue
		}
		err := f.p.step(b.Context(), func() (err error) {
			for i := range recs {
				if err == nil {
					err = f.p.take(&recs[i])
				}
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		recs = recs[:0]
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "facts/s")
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}
