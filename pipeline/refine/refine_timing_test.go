package refine

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// benchWorld is a partition with the default options on a store of the real file system.
type benchWorld struct {
	b       *testing.B
	p       *Partition
	store   *kv.Store
	node    *builder
	offset  int64
	at      event.Millis
	pending []log.Record
}

func openBench(b *testing.B, messages int) *benchWorld {
	b.Helper()
	w := &benchWorld{b: b, node: newBuilder("n1"), at: epoch}
	var err error
	// With kv's default of 64 MiB the blocks of a million states don't fit, and a state costs twice as much.
	if w.store, err = kv.Open(b.TempDir(), kv.Options{FS: vfs.Default, CacheBytes: 256 << 20}); err != nil {
		b.Fatal(err)
	}
	f := newFeed()
	events, err := log.NewLocal(w.store, kv.LogEvents, 3)
	if err != nil {
		b.Fatal(err)
	}
	rejects, err := log.NewLocal(w.store, kv.LogRejects, 3)
	if err != nil {
		b.Fatal(err)
	}
	addresses, err := log.NewLocal(w.store, kv.LogAddresses, 3)
	if err != nil {
		b.Fatal(err)
	}
	if w.p, err = Open(Default(), w.store, f, Outputs{events, addresses, rejects}, f, zap.NewNop(), nil); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			b.Error(err)
		}
	})
	for n := range messages {
		w.put(benchSent(n))
	}
	w.flush()
	return w
}

// put journals e; a full step is refined.
func (w *benchWorld) put(e event.Event) {
	rec := w.node.record(w.at, e)
	rec.Offset = w.offset
	w.offset++
	w.pending = append(w.pending, rec)
	if len(w.pending) == w.p.opts.StepRecords {
		w.flush()
	}
}

func (w *benchWorld) flush() {
	if err := w.p.refine(context.Background(), w.pending); err != nil {
		w.b.Fatal(err)
	}
	w.pending = w.pending[:0]
	w.at += 50
}

// cpuTime returns the processor time that the process has used.
func cpuTime(b *testing.B) time.Duration { return usedBy(b, syscall.RUSAGE_SELF) }

// threadTime returns what the calling thread has used, to which the goroutine must be locked.
func threadTime(b *testing.B) time.Duration {
	const thread = 1 // RUSAGE_THREAD
	return usedBy(b, thread)
}

func usedBy(b *testing.B, who int) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(who, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// repeatingClient opens again and again at one time.
const repeatingClient = 1

func benchRef(n int) event.Ref {
	id := fmt.Sprintf("20261121.%d@mail.example.com", n)
	return event.Ref{
		Account: "acme", Sender: fmt.Sprint("sender-", n%100), Sequence: "q4", Contact: fmt.Sprint("c-", n), Message: id,
		SentAt: epoch,
	}
}

func benchSent(n int) event.Event {
	ref := benchRef(n)
	return event.Event{
		Kind: event.Sent, Time: epoch, KnownBy: event.ByRef, Ref: ref, Key: event.KeyOf(ref.Account, ref.Message),
		Recipient: fmt.Sprintf("recipient.%d@example.com", n), Links: []string{"https://example.com/a", "https://example.com/b"},
	}
}

func benchHit(kind event.Kind, n, client int) event.Event {
	ref := benchRef(n)
	e := event.Event{
		Kind: kind, Time: epoch, KnownBy: event.ByRef, Ref: ref, Key: event.KeyOf(ref.Account, ref.Message),
		Actor: event.Actor{Verdict: event.Human, Via: "gmail"},
	}
	e.Client.Hash = uint64(client)
	e.Client.UserAgent = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
	if kind == event.Click {
		e.URL = "https://example.com/offers/autumn?utm_source=mail"
	}
	return e
}

// run times put for each event that make gives; what is made is made beforehand, in pieces.
func (w *benchWorld) run(make func(i int) event.Event) {
	b := w.b
	b.ReportAllocs()
	b.ResetTimer()
	const piece = 16 << 10
	var recs []log.Record
	var cpu time.Duration
	for i := 0; i < b.N; {
		b.StopTimer()
		recs = recs[:0]
		for ; len(recs) < piece && i < b.N; i++ {
			e := make(i)
			if e.Kind == event.Click || e.Kind == event.Open && e.Client.Hash != repeatingClient {
				e.Time = w.at // of one time, another might be the first, which would be news
			}
			rec := w.node.record(w.at, e)
			rec.Offset = w.offset
			w.offset++
			if len(recs)%w.p.opts.StepRecords == 0 {
				w.at += 500 // so that clicks settle within the run
			}
			rec.Time = w.at
			recs = append(recs, rec)
		}
		b.StartTimer()
		before := cpuTime(b)
		for at := 0; at < len(recs); at += w.p.opts.StepRecords {
			if err := w.p.refine(context.Background(), recs[at:min(len(recs), at+w.p.opts.StepRecords)]); err != nil {
				b.Fatal(err)
			}
		}
		cpu += cpuTime(b) - before
	}
	b.StopTimer()
	// On a machine that does other work too, this says more than the time that passed; it has Pebble's background in it.
	b.ReportMetric(float64(cpu.Nanoseconds())/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(b.N)/cpu.Seconds(), "records/cpu-s")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(heap())/(1<<20), "heap-MiB")
}

// go test -run '^$' -bench Refine -benchmem ./pipeline/refine
func BenchmarkRefine(b *testing.B) {
	const hot = 10_000
	b.Run("sent", func(b *testing.B) {
		openBench(b, 0).run(benchSent)
	})
	b.Run("open", func(b *testing.B) {
		openBench(b, hot).run(func(i int) event.Event { return benchHit(event.Open, i%hot, i) })
	})
	b.Run("repeat", func(b *testing.B) {
		openBench(b, hot).run(func(i int) event.Event { return benchHit(event.Open, i%hot, repeatingClient) })
	})
	b.Run("click", func(b *testing.B) {
		openBench(b, hot).run(func(i int) event.Event { return benchHit(event.Click, i%hot, i) })
	})
	b.Run("bounce-by-message-id", func(b *testing.B) {
		openBench(b, hot).run(func(i int) event.Event {
			id := benchRef(i % hot).Message
			return event.Event{
				Kind: event.Bounce, Time: epoch, KnownBy: event.ByMessageID, Key: event.PartialKey(id),
				Ref: event.Ref{Message: id}, Bounce: event.Diagnosis{Status: fmt.Sprint("4.2.", i/hot), Category: "mailbox_full"},
			}
		})
	})
}

// Millions of messages in flight, as many as the environment says and far more than the cache holds, hit at random: what a
// record costs, and what a message does, on disk and in memory. What is sent is new.
//
//	CAROM_LOOKUP_MILLIONS=1,8 go test -run '^$' -bench RefineMillions -benchtime 100000x ./pipeline/refine
func BenchmarkRefineMillions(b *testing.B) {
	inMillions(b, func(b *testing.B, messages int) {
		empty := heap()
		w := openBench(b, messages)
		if err := w.store.DB().Flush(); err != nil {
			b.Fatal(err)
		}
		disk, inMemory := w.store.DB().Metrics().DiskSpaceUsage(), heap()-empty
		rng := rand.New(rand.NewPCG(1, 2))
		next := messages
		run := func(name string, make func(i int) event.Event) {
			b.Run(name, func(b *testing.B) {
				w.b = b
				w.run(make)
				b.ReportMetric(float64(disk)/float64(messages), "disk-B/message")
				b.ReportMetric(float64(inMemory)/float64(messages), "heap-B/message")
			})
		}
		run("open", func(i int) event.Event { return benchHit(event.Open, rng.IntN(messages), i) })
		run("click", func(i int) event.Event { return benchHit(event.Click, rng.IntN(messages), i) })
		run("mixed", func(i int) event.Event {
			return benchHit([]event.Kind{event.Open, event.Open, event.Click}[i%3], rng.IntN(messages), i)
		})
		run("sent", func(int) event.Event {
			next++
			return benchSent(next)
		})
	})
}

// inMillions runs a benchmark with as many millions of messages as the environment says, 1 where it says nothing.
func inMillions(b *testing.B, run func(b *testing.B, messages int)) {
	for size := range strings.SplitSeq(cmp.Or(os.Getenv("CAROM_LOOKUP_MILLIONS"), "1"), ",") {
		millions, err := strconv.Atoi(size)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("%dM", millions), func(b *testing.B) { run(b, millions*1_000_000) })
	}
}

// What it takes to find a message's state by its age in epochs, of four, and to find that there is none. The store holds
// states and nothing else, as many millions as the environment says.
//
//	CAROM_LOOKUP_MILLIONS=1,10 go test -run '^$' -bench RefineLookup -benchtime 100000x -cpu 1 ./pipeline/refine
func BenchmarkRefineLookup(b *testing.B) {
	const epochs = 4
	inMillions(b, func(b *testing.B, messages int) { benchLookup(b, messages, epochs) })
}

func benchLookup(b *testing.B, messages, epochs int) {
	w := openBench(b, 0)
	for n := range messages {
		if n%(messages/epochs) == 0 && n > 0 {
			w.at += event.Millis(15 * 24 * time.Hour / time.Millisecond)
		}
		e, err := w.p.epochs.at(w.p.step.batch, w.at)
		if err != nil {
			b.Fatal(err)
		}
		sent := benchSent(n)
		w.p.cache.create(sent.Key, e, provisional).register(&fact{Event: sent})
		if n%(1<<14) == 0 || n == messages-1 {
			if err := w.p.commit(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := w.store.DB().Flush(); err != nil {
		b.Fatal(err)
	}
	disk := w.store.DB().Metrics().DiskSpaceUsage()
	rng := rand.New(rand.NewPCG(1, 2))
	look := func(name string, from, to int, known bool) {
		b.Run(name, func(b *testing.B) {
			keys := make([]event.Key, b.N)
			for i := range keys {
				ref := benchRef(from + rng.IntN(to-from))
				keys[i] = event.KeyOf(ref.Account, ref.Message)
			}
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			b.ResetTimer()
			before := threadTime(b)
			for i, key := range keys {
				s, err := w.p.cache.read(key)
				if err != nil || (s != nil) != known {
					b.Fatal(s, err)
				}
				if i%1024 == 0 { // as many as a step has
					if err := w.p.cache.endStep(); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(threadTime(b)-before)/float64(b.N), "cpu-ns/op") // without what Pebble compacts meanwhile
			b.ReportMetric(float64(disk)/float64(messages), "disk-B/message")
		})
	}
	look("newest", messages-messages/epochs, messages, true)
	look("oldest", 0, messages/epochs, true)
	look("none", messages, 2*messages, false)
	if err := w.p.cache.endStep(); err != nil {
		b.Fatal(err)
	}
	b.Run("open", func(b *testing.B) { // once, whatever b.N
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		before := threadTime(b)
		es, err := openEpochs(w.store, w.p.keys, w.p.epochs.keep, w.p.opts.RollBytes)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(threadTime(b)-before), "cpu-ns-to-open")
		if err := w.p.readRolls(b.Context(), es.live()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(threadTime(b)-before)/float64(messages), "cpu-ns/message")
	})
}

// heap returns what is in use after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

func BenchmarkStateCodec(b *testing.B) {
	s := randomState(rand.New(rand.NewPCG(1, 2)))
	buf := s.append(nil)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(buf)))
		for b.Loop() {
			buf = s.append(buf[:0])
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(buf)))
		for b.Loop() {
			if err := new(state).decode(buf); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// The way of an open from the record to the batch allocates little: the decoded event's text, and the growth of what
// is kept.
func TestRefineAllocations(t *testing.T) {
	w := openWorld(t, Default(), vfs.NewMem(), newFeed())
	defer w.close()
	b := newBuilder("n1")
	first := b.record(epoch, sentEvent("m1"))
	w.check(w.p.refine(t.Context(), []log.Record{first}))
	offset := int64(1)
	recs := make([]log.Record, 0, 1200)
	for n := range cap(recs) {
		e := hitAt(epoch+event.Millis(n), event.Open, "m1")
		e.Client.Hash = uint64(n)
		rec := b.record(epoch, e)
		rec.Offset = offset + int64(n)
		recs = append(recs, rec)
	}
	i := 0
	per := testing.AllocsPerRun(1000, func() {
		if done, err := w.p.advance(&recs[i]); err != nil || !done {
			t.Fatal(done, err)
		}
		i++
	})
	w.check(w.p.commit(t.Context()))
	// One copy of the event's text; the batch and the output grow now and then.
	if per > 2 {
		t.Errorf("%v allocations an open, want at most 2", per)
	}
}
