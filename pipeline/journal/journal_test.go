package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// fixture is a journal with what it stands on.
type fixture struct {
	*Journal
	store *kv.Store
	reg   *prometheus.Registry
	logs  *observer.ObservedLogs
}

func openOn(t testing.TB, fs vfs.FS, o Options, readers ...string) *fixture {
	t.Helper()
	f, err := tryOpen(fs, kv.Options{FS: fs, Role: "journal"}, o, readers...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.close)
	return f
}

func tryOpen(_ vfs.FS, so kv.Options, o Options, readers ...string) (*fixture, error) {
	s, err := kv.Open("journal", so)
	if err != nil {
		return nil, err
	}
	core, logs := observer.New(zapcore.InfoLevel)
	f := &fixture{store: s, reg: prometheus.NewRegistry(), logs: logs}
	f.Journal, err = Open(s, o, Deps{Node: "n1", Readers: readers, Logger: zap.New(core), Registerer: f.reg})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return f, nil
}

func (f *fixture) close() {
	_ = f.Journal.Close() // always nil
	_ = f.store.Close()
}

// metric returns the value of a counter or gauge, or a histogram's count, summed over labels that contain label.
func (f *fixture) metric(t testing.TB, name, label string) (sum float64) {
	t.Helper()
	families, err := f.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, fam := range families {
		if fam.GetName() != name {
			continue
		}
		for _, m := range fam.Metric {
			if strings.Contains(fmt.Sprint(m.Label), label) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

func ev(id string) *event.Event {
	return &event.Event{Kind: event.Open, Time: 1, Ref: event.Ref{Message: id}}
}

// big is an event of some n bytes.
func big(id string, n int) *event.Event {
	e := ev(id)
	e.Client.UserAgent = strings.Repeat("a", n)
	return e
}

func idOf(t testing.TB, rec log.Record) string {
	t.Helper()
	var e event.Event
	if err := e.DecodeBinary(rec.Value); err != nil {
		t.Fatalf("record %d: %v", rec.Offset, err)
	}
	if e.Kind == event.Tick {
		return "tick"
	}
	return e.Message
}

func mustAppend(t testing.TB, j *Journal, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := j.Append(HumanOpen, ev(id)); err != nil {
			t.Fatal(err)
		}
	}
}

// readAll reads what is there from offset from on, and checks what every record must hold.
func readAll(t testing.TB, j *Journal, from int64, atOnce int) (ids []string) {
	t.Helper()
	_, next := j.Bounds()
	var recs []log.Record
	var last event.Millis
	for from < next {
		var err error
		if recs, err = j.Read(context.Background(), from, atOnce, recs[:0]); err != nil {
			t.Fatal(err)
		}
		if len(recs) == 0 || len(recs) > atOnce {
			t.Fatalf("read %d records at once, want 1 to %d", len(recs), atOnce)
		}
		for _, r := range recs {
			want := event.Source{Node: "n1", Incarnation: j.Incarnation(), Sequence: uint64(from)}
			if r.Offset != from || r.Source != want || r.Time < last || r.Time == 0 {
				t.Fatalf("record %d: %+v after time %d", from, r, last)
			}
			last = r.Time
			ids = append(ids, idOf(t, r))
			from++
		}
	}
	return ids
}

func wantIDs(t testing.TB, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("records %v, want %v", got, want)
	}
}

func TestAppendAndRead(t *testing.T) {
	fs := vfs.NewMem()
	f := openOn(t, fs, Default())
	if oldest, next := f.Bounds(); oldest != 0 || next != 0 {
		t.Errorf("bounds of an empty journal: %d, %d", oldest, next)
	}
	mustAppend(t, f.Journal, "a", "b")
	if err := f.Append(Essential, ev("c"), ev("d"), ev("e")); err != nil {
		t.Fatal(err)
	}
	if err := f.Append(Essential); err != nil {
		t.Errorf("nothing to append: %v", err)
	}
	if err := f.Tick(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, atOnce := range []int{1, 2, 100} {
		wantIDs(t, readAll(t, f.Journal, 0, atOnce), "a", "b", "c", "d", "e", "tick")
		wantIDs(t, readAll(t, f.Journal, 3, atOnce), "d", "e", "tick")
	}
	recs, err := f.Read(context.Background(), 0, 0, nil)
	if err != nil || len(recs) != 0 {
		t.Errorf("read at most 0: %v, %v", recs, err)
	}
	// Appending to dst keeps what is there, and the memory is the caller's.
	recs, err = f.Read(context.Background(), 4, 1, []log.Record{{Offset: 77}})
	if err != nil || len(recs) != 2 || recs[0].Offset != 77 || recs[1].Offset != 4 {
		t.Fatalf("read behind another: %v, %v", recs, err)
	}
	for i := range recs[1].Value {
		recs[1].Value[i] = 0xff
	}
	wantIDs(t, readAll(t, f.Journal, 4, 1), "e", "tick")
	if got := f.Partition(); got != 0 {
		t.Errorf("partition %d", got)
	}
}

func TestReopen(t *testing.T) {
	fs := vfs.NewMem()
	f := openOn(t, fs, Default())
	mustAppend(t, f.Journal, "a", "b", "c")
	incarnation := f.Incarnation()
	if incarnation == [16]byte{} {
		t.Error("no incarnation")
	}
	f.close()
	f = openOn(t, fs, Default())
	if f.Incarnation() != incarnation {
		t.Error("another incarnation after a restart")
	}
	size := f.size()
	mustAppend(t, f.Journal, "d")
	wantIDs(t, readAll(t, f.Journal, 0, 100), "a", "b", "c", "d")
	if f.size() <= size || size <= 0 {
		t.Errorf("size %d, then %d", size, f.size())
	}
	if other := openOn(t, vfs.NewMem(), Default()); other.Incarnation() == incarnation {
		t.Error("two journals with one incarnation")
	}
}

// The wall clock may be set back; log time stands still until it has caught up.
func TestLogTimeNeverRunsBack(t *testing.T) {
	fs := vfs.NewMem()
	f := openOn(t, fs, Default())
	mustAppend(t, f.Journal, "a")
	ahead := event.Now().Add(time.Hour)
	f.mu.Lock()
	f.tail.time = ahead // as if the clock had been an hour ahead
	f.mu.Unlock()
	mustAppend(t, f.Journal, "b")
	f.close()
	f = openOn(t, fs, Default())
	mustAppend(t, f.Journal, "c")
	recs, err := f.Read(context.Background(), 1, 2, nil)
	if err != nil || len(recs) != 2 || recs[0].Time != ahead || recs[1].Time != ahead {
		t.Errorf("got %+v, %v, want two at %d", recs, err, ahead)
	}
}

func TestReadOnly(t *testing.T) {
	fs := vfs.NewMem()
	f := openOn(t, fs, Default())
	mustAppend(t, f.Journal, "a")
	f.close()
	f, err := tryOpen(fs, kv.Options{FS: fs, ReadOnly: true}, Default())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.close)
	wantIDs(t, readAll(t, f.Journal, 0, 10), "a")
	if err := f.Append(Essential, ev("b")); !errors.Is(err, ErrReadOnly) {
		t.Errorf("append: %v, want %v", err, ErrReadOnly)
	}
	if err := f.Health(); err != nil {
		t.Errorf("health: %v", err)
	}
}

func TestReadWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openOn(t, vfs.NewMem(), Default())
		defer f.close()
		type answer struct {
			recs []log.Record
			err  error
		}
		read := func(ctx context.Context, from int64) <-chan answer {
			ch := make(chan answer, 1)
			go func() {
				recs, err := f.Read(ctx, from, 10, nil)
				ch <- answer{recs, err}
			}()
			return ch
		}
		ctx, cancel := context.WithCancel(context.Background())
		first, second, third := read(context.Background(), 0), read(ctx, 1), read(context.Background(), 1)
		synctest.Wait()
		if len(first)+len(second)+len(third) != 0 {
			t.Fatal("a read of nothing returned")
		}
		mustAppend(t, f.Journal, "a")
		if a := <-first; a.err != nil || len(a.recs) != 1 || idOf(t, a.recs[0]) != "a" {
			t.Errorf("first: %+v", a)
		}
		synctest.Wait()
		if len(second)+len(third) != 0 {
			t.Fatal("a read of the next record returned")
		}
		cancel()
		if a := <-second; !errors.Is(a.err, context.Canceled) {
			t.Errorf("second: %+v", a)
		}
		if a := <-read(ctx, 0); !errors.Is(a.err, context.Canceled) {
			t.Errorf("cancelled before: %+v", a)
		}
		_ = f.Journal.Close()
		if a := <-third; !errors.Is(a.err, ErrClosed) {
			t.Errorf("third: %+v", a)
		}
	})
}

func TestClose(t *testing.T) {
	f := openOn(t, vfs.NewMem(), Default())
	mustAppend(t, f.Journal, "a")
	if err := errors.Join(f.Journal.Close(), f.Journal.Close()); err != nil {
		t.Fatal(err)
	}
	if err := f.Append(Essential, ev("b")); !errors.Is(err, ErrClosed) {
		t.Errorf("append: %v", err)
	}
	if err := f.Tick(context.Background()); !errors.Is(err, ErrClosed) {
		t.Errorf("tick: %v", err)
	}
	if _, err := f.Read(context.Background(), 0, 1, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("read: %v", err)
	}
	if err := f.Health(); !errors.Is(err, ErrClosed) {
		t.Errorf("health: %v", err)
	}
	// Its metrics are gone, so that another journal can take their names.
	if families, err := f.reg.Gather(); err != nil || len(families) != 0 {
		t.Errorf("metrics: %v, %v", families, err)
	}
}

func TestTooLarge(t *testing.T) {
	f := openOn(t, vfs.NewMem(), Default())
	if err := f.Append(Essential, big("a", event.MaxBinaryBytes)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("one event: %v", err)
	}
	many := make([]*event.Event, 9)
	for i := range many {
		many[i] = big("b", 1<<20)
	}
	if err := f.Append(Essential, many...); !errors.Is(err, ErrTooLarge) {
		t.Errorf("many events: %v", err)
	}
	// More than a batch normally takes, as one batch.
	if err := f.Append(Essential, many[:7]...); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, f.Journal, "c")
	wantIDs(t, readAll(t, f.Journal, 0, 100), "b", "b", "b", "b", "b", "b", "b", "c")
	if n := f.metric(t, "carom_journal_refused_total", "too_large"); n != 2 {
		t.Errorf("%v refusals counted, want 2", n)
	}
}

// Many append and several read while it is trimmed; each sees every record once, in one order, and the events of one
// append as neighbours.
func TestConcurrent(t *testing.T) {
	const appenders, each, readers = 32, 60, 3
	o := Default()
	o.Retention, o.MaxBytes = 0, 1<<20
	f := openOn(t, vfs.NewMem(), o, "r0", "r1", "r2")
	var wg sync.WaitGroup
	for a := range appenders {
		wg.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%d-%d", a, i)
				if err := f.Append(Class(i%5), ev(id+"-x"), ev(id+"-y")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	orders := make([][]string, readers)
	for r := range readers {
		wg.Go(func() {
			var recs []log.Record
			for next := int64(0); next < 2*appenders*each; {
				var err error
				if recs, err = f.Read(context.Background(), next, 7+100*r, recs[:0]); err != nil {
					t.Error(err)
					return
				}
				for _, rec := range recs {
					if rec.Offset != next {
						t.Errorf("offset %d, want %d", rec.Offset, next)
					}
					orders[r] = append(orders[r], idOf(t, rec))
					next++
				}
				f.Passed(fmt.Sprintf("r%d", r), next)
				if err := f.trim(event.Now()); r == 0 && err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	next := make(map[string]int)
	for i := 0; i+1 < len(orders[0]); i += 2 {
		var a, n int
		if _, err := fmt.Sscanf(orders[0][i], "%d-%d-x", &a, &n); err != nil {
			t.Fatal(err)
		}
		if y := fmt.Sprintf("%d-%d-y", a, n); orders[0][i+1] != y {
			t.Errorf("after %s comes %s", orders[0][i], orders[0][i+1])
		}
		who := fmt.Sprint(a)
		if n != next[who] {
			t.Errorf("appender %d: record %d, want %d", a, n, next[who])
		}
		next[who]++
	}
	for r := 1; r < readers; r++ {
		if strings.Join(orders[r], " ") != strings.Join(orders[0], " ") {
			t.Errorf("reader %d saw another order", r)
		}
	}
	if got := f.metric(t, "carom_journal_records_total", ""); got != 2*appenders*each {
		t.Errorf("%v records counted", got)
	}
	if oldest, _ := f.Bounds(); oldest == 0 {
		t.Error("nothing was trimmed meanwhile")
	}
}

func TestInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Default()
		o.Durability, o.SyncInterval = Interval, 50*time.Millisecond
		fs := vfs.NewCrashableMem()
		f := openOn(t, fs, o)
		defer f.close()
		if f.logs.FilterMessageSnippet("durability is relaxed").Len() != 1 {
			t.Error("no warning")
		}
		if f.metric(t, "carom_journal_relaxed", "") != 1 {
			t.Error("metric does not tell")
		}
		time.Sleep(time.Millisecond) // the first sync tick is not now
		mustAppend(t, f.Journal, "a", "b")
		if _, next := f.Bounds(); next != 0 {
			t.Errorf("readers see %d records before the sync", next)
		}
		crashed := openOn(t, fs.CrashClone(vfs.CrashCloneCfg{}), Default())
		wantIDs(t, readAll(t, crashed.Journal, 0, 10))
		crashed.close()

		recs, err := f.Read(context.Background(), 0, 10, nil) // waits for it
		if err != nil || len(recs) != 2 {
			t.Fatalf("%d records, %v", len(recs), err)
		}
		crashed = openOn(t, fs.CrashClone(vfs.CrashCloneCfg{}), Default())
		wantIDs(t, readAll(t, crashed.Journal, 0, 10), "a", "b")
		crashed.close()

		mustAppend(t, f.Journal, "c")
		f.close() // syncs what is left
		crashed = openOn(t, fs.CrashClone(vfs.CrashCloneCfg{}), Default())
		wantIDs(t, readAll(t, crashed.Journal, 0, 10), "a", "b", "c")
		crashed.close()
	})
}

func TestOptions(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		change func(*Options)
		want   string
	}{
		{func(o *Options) { o.MaxBytes = 1<<20 - 1 }, "max_bytes: 1048575: want at least 1048576"},
		{func(o *Options) { o.MinFreeBytes = -1 }, "min_free_bytes: -1: want 0 or more"},
		{func(o *Options) { o.Retention = -time.Second }, "retention: -1s: want 0s or more"},
		{func(o *Options) { o.Durability = "never" }, `durability: "never": want sync or interval`},
		{func(o *Options) { o.SyncInterval = 0 }, "sync_interval: 0s: want 1ms to 10s"},
		{func(o *Options) { o.SyncInterval = time.Minute }, "sync_interval: 1m0s: want 1ms to 10s"},
	} {
		o := Default()
		c.change(&o)
		if err := o.Validate(); err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
		if _, err := Open(nil, o, Deps{}); err == nil {
			t.Errorf("opened with %s", c.want)
		}
	}
}

func TestStoredGarbage(t *testing.T) {
	valid := header{time: 1, before: 0, count: 1}
	value := make([]byte, headerSize)
	valid.put(value)
	value = appendEvent(value, ev("a"))
	newer := bytes.Clone(value)
	newer[0] = 2
	for name, c := range map[string]struct {
		value []byte
		want  string
	}{
		"newer":     {newer, "batch has version 2, this Carom reads 1: use a newer Carom"},
		"short":     {value[:headerSize-1], "malformed batch"},
		"no record": {value[:headerSize], "malformed batch"},
	} {
		fs := vfs.NewMem()
		openOn(t, fs, Default()).close()
		s, err := kv.Open("journal", kv.Options{FS: fs})
		if err != nil {
			t.Fatal(err)
		}
		b := s.NewBatch()
		if err := errors.Join(b.Set(batchKey(0), c.value, nil), s.Commit(b), b.Close(), s.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := tryOpen(fs, kv.Options{FS: fs}, Default()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestUnknownReader(t *testing.T) {
	f := openOn(t, vfs.NewMem(), Default(), "refine")
	f.Passed("refine", math.MaxInt64)
	defer func() {
		if recover() == nil {
			t.Error("an unknown reader passed")
		}
	}()
	f.Passed("nobody", 1)
}
