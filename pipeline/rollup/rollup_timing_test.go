package rollup

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
	"carom/pipeline/score"
)

// traffic makes the stream of a platform: senders write to new contacts at a rate of event time, and of each mail comes
// back what usually does, mixed among the sends of later mails.
type traffic struct {
	rng     *rand.Rand
	senders int
	gap     event.Millis // between two sends
	now     event.Millis
	n       int64
	later   []event.Refined
}

func (g *traffic) next() event.Refined {
	g.n++
	if len(g.later) > 5000 {
		i := g.rng.IntN(len(g.later))
		r := g.later[i]
		g.later[i] = g.later[len(g.later)-1]
		g.later = g.later[:len(g.later)-1]
		return g.stamp(r)
	}
	g.now += g.gap
	from := g.rng.IntN(g.senders)
	sent := ev(event.Sent, g.now, sender(fmt.Sprintf("sender-%05d", from)), sequence(fmt.Sprintf("q4-%d", g.rng.IntN(3))),
		contact(fmt.Sprintf("c-%08x", g.rng.Uint32())), message(fmt.Sprintf("%016x.%d@mail.example.com", g.rng.Uint64(), from)))
	sent.Provider = g.provider()
	g.follow(sent, event.Delivered, 95)
	g.follow(sent, event.Open, 30)
	g.follow(sent, event.Click, 5)
	g.follow(sent, event.Bounce, 3)
	g.follow(sent, event.Reply, 2)
	return g.stamp(sent)
}

// provider picks one as lists of a platform are made up: half at the largest, a tail of companies.
func (g *traffic) provider() string {
	switch n := g.rng.IntN(100); {
	case n < 45:
		return "google"
	case n < 65:
		return "microsoft"
	case n < 75:
		return "yahoo"
	case n < 82:
		return "apple"
	case n < 88:
		return "gmx"
	}
	return fmt.Sprintf("company-%d.example", g.rng.IntN(2000))
}

// follow has a fact of kind come later in so many of a hundred cases.
func (g *traffic) follow(sent event.Refined, kind event.Kind, percent int) {
	if g.rng.IntN(100) >= percent {
		return
	}
	r := ev(kind, g.now+event.Millis(g.rng.IntN(3_600_000)))
	r.Ref = sent.Ref
	if kind == event.Bounce {
		r.Bounce.Category = []string{"invalid_recipient", "mailbox_full", "blocked"}[g.rng.IntN(3)]
	}
	g.later = append(g.later, r)
}

func (g *traffic) stamp(r event.Refined) event.Refined {
	g.rng.Uint64()
	for i := range r.ID {
		r.ID[i] = byte(g.rng.Uint32())
	}
	r.Origin = event.Origin{Node: "edge-1", Offset: g.n}
	return r
}

func (g *traffic) records(n int) []log.Record {
	recs := make([]log.Record, n)
	for i := range recs {
		r := g.next()
		recs[i] = log.Record{Offset: g.n - 1, Value: r.AppendJSON(nil)}
	}
	return recs
}

// benchPartition opens one over a store with the block cache that the server gives it.
func benchPartition(b *testing.B, o Options) *Partition {
	store, err := kv.Open(b.TempDir(), kv.Options{CacheBytes: 256 << 20})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	p, err := Open(o, score.Default(), store, openLog(b, store), nil, zap.NewNop(), prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// BenchmarkCount counts a stream in steps on a real disk, each step with its sync. One operation is one event.
func BenchmarkCount(b *testing.B) {
	for _, tt := range []struct {
		name    string
		senders int
		gap     event.Millis
		step    int
	}{
		{"100senders", 100, 1, 8192},
		{"1000senders", 1000, 1, 8192},
		{"1000senders/step256", 1000, 1, 256},
		{"1000senders/step65536", 1000, 1, 65536},
		{"10000senders", 10000, 1, 8192},
	} {
		b.Run(tt.name, func(b *testing.B) {
			o := Default()
			o.StepRecords = tt.step
			p := benchPartition(b, o)
			g := &traffic{rng: rand.New(rand.NewPCG(1, 2)), senders: tt.senders, gap: tt.gap, now: hour0}
			s := newStep(p)
			var used time.Duration
			b.ReportAllocs()
			b.ResetTimer()
			for done := 0; done < b.N; done += tt.step {
				b.StopTimer()
				recs := g.records(min(tt.step, b.N-done))
				before := cpuTime(b)
				b.StartTimer()
				if err := p.count(s, recs); err != nil {
					b.Fatal(err)
				}
				used += cpuTime(b) - before
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "cpu-ns/event")
			b.ReportMetric(counterOf(b, p.metrics.rows)/float64(b.N), "rows/event")
		})
	}
}

// cpuTime returns what the process has used so far, which other processes on the machine don't blur.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkDisk counts a million events and tells what they take on disk once compacted, by what holds it.
func BenchmarkDisk(b *testing.B) {
	const events, senders = 1_000_000, 1000
	for b.Loop() {
		p := benchPartition(b, Default())
		g := &traffic{rng: rand.New(rand.NewPCG(1, 2)), senders: senders, gap: 10, now: hour0}
		s := newStep(p)
		for range events / 2000 {
			if err := p.count(s, g.records(2000)); err != nil {
				b.Fatal(err)
			}
		}
		db := p.store.DB()
		if err := db.Flush(); err != nil {
			b.Fatal(err)
		}
		from, to := appendHeader(nil, 0, 0), appendHeader(nil, 0, 0xff)
		if err := db.Compact(b.Context(), from, to, true); err != nil {
			b.Fatal(err)
		}
		for _, table := range []struct {
			name string
			id   byte
		}{{"enrollment", tableEnrollment}, {"cohort", tableCohort}} {
			from, to := appendHeader(nil, 0, table.id), appendHeader(nil, 0, table.id+1)
			size, err := db.EstimateDiskUsage(from, to)
			if err != nil {
				b.Fatal(err)
			}
			rows := 0
			r, err := p.read()
			if err != nil {
				b.Fatal(err)
			}
			for ok := r.it.SeekGE(from); ok && r.it.Key()[headerSize-1] == table.id; ok = r.it.Next() {
				rows++
			}
			r.close()
			b.ReportMetric(float64(size)/float64(rows), table.name+"-B/row")
			b.ReportMetric(float64(rows), table.name+"-rows")
		}
	}
}

// BenchmarkScore reads a sender that was active in every minute of 30 days, and in none but the last.
func BenchmarkScore(b *testing.B) {
	p := benchPartition(b, Default())
	s := newStep(p)
	in := s.deltas.scope(scope{"a", "s", "q"})
	for m := event.Millis(0); m < 31*24*60; m++ {
		s.deltas.at(in, hour0+m*minute).add(&counts{cCompleted: 10, cReplied: 1, cSent: 10})
	}
	batch := p.store.NewBatch()
	if err := p.writeRows(s.deltas, batch); err != nil {
		b.Fatal(err)
	}
	if err := p.store.Commit(batch); err != nil {
		b.Fatal(err)
	}
	for _, window := range []time.Duration{24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour} {
		b.Run(window.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Score(Query{Account: "a", Sender: "s", Window: window, AsOf: hour0 + 31*day - 30*minute}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
