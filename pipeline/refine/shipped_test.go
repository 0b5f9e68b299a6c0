package refine

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

// since returns the records that input offsets from k on released.
func since(t testing.TB, recs []log.Record, k int64) []log.Record {
	t.Helper()
	for i := range recs {
		var v struct {
			Origin struct{ Offset int64 }
		}
		decodeJSON(t, recs[i].Value, &v)
		if v.Origin.Offset >= k {
			return recs[i:]
		}
	}
	return nil
}

// sameOutput fails unless both logs hold the same records; their offsets aside, because a log that lost its beginning
// begins anew.
func sameOutput(t testing.TB, what string, got, want []log.Record) {
	t.Helper()
	got = append([]log.Record(nil), got...)
	for i := range min(len(got), len(want)) {
		got[i].Offset = want[i].Offset
	}
	sameRecords(t, what, got, want)
}

// answers are what Message says of all messages that the traffic may speak of.
func (w *world) answers(recs []log.Record) map[string]Message {
	w.t.Helper()
	all := make(map[string]Message)
	for _, rec := range recs {
		var e event.Event
		if e.DecodeBinary(rec.Value) != nil || e.Message == "" {
			continue
		}
		for _, account := range []string{"acme", "other"} {
			m, ok, err := w.p.Message(account, e.Message)
			w.check(err)
			if ok {
				all[account+"/"+e.Message] = m
			}
		}
	}
	return all
}

// A store that was lost is rebuilt from the oldest record. What was shipped is not written again, the rest byte for byte
// as it would have been, and in the end nothing shows that anything was lost.
func TestShipped(t *testing.T) {
	rng := seeded(t)
	for range 4 {
		recs := makeTraffic(rng, 300)
		o := trafficOptions()
		want := refineUncut(t, o, recs)
		whole := openWorld(t, o, vfs.NewMem(), newFeed(recs...))
		whole.drain(all)
		answers := whole.answers(recs)
		whole.close()
		for _, k := range []int64{0, 1, rng.Int64N(int64(len(recs))), rng.Int64N(int64(len(recs))), int64(len(recs))} {
			o.StepBytes = 4<<10 + rng.IntN(8<<10)
			w := openWorld(t, o, vfs.NewMem(), newFeed(recs...))
			w.p.Shipped(k)
			w.drain(func() int {
				if rng.IntN(10) == 0 {
					w.reopen(o)
					w.p.Shipped(k)
					w.begin()
				}
				return 1 + rng.IntN(50)
			})
			sameOutput(t, "events", contents(t, w.events), since(t, want.events, k))
			sameOutput(t, "addresses", contents(t, w.addresses), since(t, want.addresses, k))
			sameOutput(t, "rejects", contents(t, w.rejects), since(t, want.rejects, k))
			sameStored(t, stored(t, w.store), want.stored)
			if got := w.answers(recs); !reflect.DeepEqual(got, answers) || len(got) < 10 {
				t.Fatalf("shipped %d: Message answers otherwise, of %d messages and %d", k, len(got), len(answers))
			}
			w.close()
		}
	}
}

// The disk is lost in the middle of it: what both disks wrote, repeats dropped by origin, is what one would have written.
func TestLostDisk(t *testing.T) {
	rng := seeded(t)
	for range 6 {
		f := newFeed(makeTraffic(rng, 200)...)
		o := crashOptions()
		want := refineUncut(t, o, f.recs)
		events, rejects := &topic{}, &topic{}
		lost := openTopics(t, o, vfs.NewMem(), f, events, rejects)
		var committed int64 // in Kafka: now and then, so that it lags behind
		lost.p.OnPassed(func(offset int64) {
			if rng.IntN(3) == 0 {
				committed = offset
			}
		})
		lost.begin()
		for range 1 + rng.IntN(20) {
			recs, err := f.Read(t.Context(), min(lost.p.meta.offset, int64(len(f.recs)-1)), 1+rng.IntN(10), nil)
			lost.check(err)
			if lost.p.meta.offset <= recs[0].Offset {
				lost.check(lost.p.refine(t.Context(), recs))
			}
		}
		lost.close()

		w := openTopics(t, o, vfs.NewMem(), f, events, rejects)
		w.p.Shipped(committed)
		w.play(rng)
		sameStored(t, stored(t, w.store), want.stored)
		w.close()
		sameValues(t, dropSeenEvents(t, events.recs), want.events)
		sameValues(t, dropSeenRejects(t, rejects.recs), want.rejects)
	}
}

// left is a world whose input has forgotten what follows its state.
func left(t *testing.T, o Options) (w *world, recs []log.Record) {
	recs = makeTraffic(seeded(t), 300)
	w = openWorld(t, o, vfs.NewMem(), newFeed(recs...))
	for w.p.meta.offset < 100 {
		w.begin()
		step, err := w.feed.Read(t.Context(), w.p.meta.offset, 10, nil)
		w.check(err)
		w.check(w.p.refine(t.Context(), step))
	}
	w.reopen(o)
	w.feed.oldest = 200
	return w, recs
}

func TestLeftBehindIsAnError(t *testing.T) {
	w, _ := left(t, trafficOptions())
	defer w.close()
	before := stored(t, w.store)
	if err := w.p.Run(t.Context()); !errors.Is(err, log.ErrTrimmed) {
		t.Errorf("Run returned %v", err)
	}
	sameStored(t, stored(t, w.store), before)
}

// With RebuildTrimmed the state becomes that of a partition that begins with the oldest record; nothing of the old one
// is left in it, nor in memory.
func TestRebuildTrimmed(t *testing.T) {
	o := trafficOptions()
	w, recs := left(t, o)
	defer w.close()
	core, lines := observer.New(zapcore.WarnLevel)
	w.p.log = zap.New(core)
	w.p.RebuildTrimmed()
	_, events := w.events.Bounds()
	w.drain(all)

	f := newFeed(recs...)
	f.oldest = 200
	fresh := openWorld(t, o, vfs.NewMem(), f)
	defer fresh.close()
	fresh.drain(all)
	sameOutput(t, "events", contents(t, w.events)[events:], contents(t, fresh.events))
	sameStored(t, stored(t, w.store), stored(t, fresh.store))
	if !reflect.DeepEqual(w.answers(recs), fresh.answers(recs)) {
		t.Error("Message answers otherwise")
	}
	for _, name := range []string{"parked_facts", "waiting_clicks"} {
		if got, want := w.value("carom_refine_"+name), fresh.value("carom_refine_"+name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if lines.Len() != 1 || lines.All()[0].ContextMap()["oldest"] != int64(200) {
		t.Errorf("it said %v", lines.All())
	}
	if w.value("carom_refine_rebuilds_total") != 1 {
		t.Error("the rebuild is not counted")
	}
}

// An input may forget while it is read, and before anything was.
func TestRebuildTrimmedWhileRunning(t *testing.T) {
	for _, o := range []struct {
		name  string
		known bool
	}{{"a state", true}, {"no state", false}} {
		t.Run(o.name, func(t *testing.T) {
			recs := makeTraffic(seeded(t), 300)
			w := openWorld(t, trafficOptions(), vfs.NewMem(), newFeed(recs[:100]...))
			defer w.close()
			if o.known {
				w.drain(all)
			}
			w.p.RebuildTrimmed()
			in := &forgetful{feed: w.feed, recs: recs[100:]}
			w.p.in = in
			ctx, cancel := context.WithCancel(t.Context())
			w.p.OnPassed(func(offset int64) {
				if offset == int64(len(recs)) {
					cancel()
				}
			})
			w.check(w.p.Run(ctx))

			f := newFeed(recs...)
			f.oldest = 200
			fresh := openWorld(t, trafficOptions(), vfs.NewMem(), f)
			defer fresh.close()
			fresh.drain(all)
			sameStored(t, stored(t, w.store), stored(t, fresh.store))
		})
	}
}

// forgetful is a feed that grows and forgets at the first Read.
type forgetful struct {
	*feed
	recs []log.Record
}

func (f *forgetful) Read(ctx context.Context, from int64, most int, dst []log.Record) ([]log.Record, error) {
	if f.recs != nil {
		f.append(f.recs...)
		f.mu.Lock()
		f.oldest, f.recs = 200, nil
		f.mu.Unlock()
	}
	return f.feed.Read(ctx, from, most, dst)
}

// Output that is shipped beyond the end of the input belongs to another one.
func TestShippedBeyondTheEnd(t *testing.T) {
	w := openWorld(t, testOptions(), vfs.NewMem(), newFeed(tickAtTime(epoch)))
	defer w.close()
	w.p.Shipped(2)
	if err := w.p.Run(t.Context()); err == nil {
		t.Error("it is accepted")
	}
}

// Message answers without Run, and without the input.
func TestMessageBeforeRun(t *testing.T) {
	w := openWorld(t, testOptions(), vfs.NewMem(), newFeed(b1(sentEvent("m1"))))
	w.drain(all)
	w.reopen(testOptions())
	defer w.close()
	w.feed.badEnd = true
	if m := w.message("acme", "m1"); m.Status != StatusSent {
		t.Errorf("got %+v", m)
	}
}

// Run waits for the input, however long it is away, and ends when it is told to.
func TestRunWaitsForTheInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := openWorld(t, testOptions(), vfs.NewMem(), newFeed(b1(sentEvent("m1"))))
		back := make(chan struct{})
		w.p.in = away{w.feed, back}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.p.Run(ctx) }()
		time.Sleep(time.Hour)
		if w.p.Passed() != 0 {
			t.Error("it read what is away")
		}
		close(back)
		synctest.Wait()
		if w.p.Passed() != 1 {
			t.Errorf("passed %d", w.p.Passed())
		}
		cancel()
		w.check(<-ended)

		w.reopen(testOptions())
		w.p.in = away{w.feed, nil}
		ctx, cancel = context.WithCancel(t.Context())
		go func() { ended <- w.p.Run(ctx) }()
		synctest.Wait()
		cancel()
		w.check(<-ended)
		w.close()
	})
}

// Who keeps a partition's place elsewhere is told at each start, though the input may be silent for long.
func TestPassedIsToldAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := openWorld(t, testOptions(), vfs.NewMem(), newFeed(b1(sentEvent("m1"))))
		w.drain(all)
		w.reopen(testOptions())
		var told []int64
		w.p.OnPassed(func(offset int64) { told = append(told, offset) })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.p.Run(ctx) }()
		synctest.Wait()
		cancel()
		w.check(<-ended)
		if len(told) != 1 || told[0] != 1 {
			t.Errorf("told %d, want 1", told)
		}
		w.close()
	})
}

// away is an input that is not to be had before back is closed.
type away struct {
	*feed
	back chan struct{}
}

func (a away) Refresh(ctx context.Context) error {
	select {
	case <-a.back:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestProgress(t *testing.T) {
	core, lines := observer.New(zapcore.InfoLevel)
	pr := progress{log: zap.New(core)}
	now := epoch.Time()
	pr.passed(5, now) // nothing to report
	pr.begin(1000, 3000, now)
	pr.passed(1100, now.Add(time.Second))
	pr.passed(1500, now.Add(20*time.Second))
	if pr.left.Load() != 1500 {
		t.Errorf("%d left", pr.left.Load())
	}
	pr.passed(1600, now.Add(21*time.Second))
	pr.passed(2500, now.Add(40*time.Second))
	pr.passed(3001, now.Add(50*time.Second))
	pr.passed(9000, now.Add(90*time.Second))
	type line struct {
		text                        string
		offset, left, percent, rate any
	}
	var got []line
	for _, l := range lines.All() {
		m := l.ContextMap()
		got = append(got, line{l.Message, m["offset"], m["left"], m["percent"], m["records-per-second"]})
	}
	want := []line{
		{"catching up", int64(1000), nil, nil, nil},
		{"catching up", int64(1500), int64(1500), int64(25), int64(25)},
		{"catching up", int64(2500), int64(500), int64(75), int64(50)},
		{"caught up", int64(3001), nil, nil, int64(40)},
	}
	if !reflect.DeepEqual(got, want) || pr.left.Load() != 0 {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// A rebuild is reported, and a start that is far behind; a start that is near the end is not.
func TestProgressBegins(t *testing.T) {
	for _, tt := range []struct {
		records int
		shipped int64
		left    float64
	}{{10, 0, 0}, {10, 4, 4}, {farBehind, 0, 0}, {farBehind + 1, 0, farBehind + 1}, {farBehind + 1, 7, farBehind + 1}} {
		f := newFeed()
		f.recs = make([]log.Record, tt.records)
		w := openWorld(t, testOptions(), vfs.NewMem(), f)
		w.p.Shipped(tt.shipped)
		w.begin()
		if got := w.value("carom_refine_catch_up_records"); got != tt.left {
			t.Errorf("%d records, %d shipped: %v left, want %v", tt.records, tt.shipped, got, tt.left)
		}
		w.close()
	}
}

// A partition's part is what the node has, divided, and never less than what is allowed.
func TestShare(t *testing.T) {
	o := Default()
	o.CacheMessages, o.MaxParked = 1000, 100
	for _, tt := range []struct{ partitions, cache, parked int }{{0, 1000, 100}, {1, 1000, 100}, {32, 31, 3}, {1 << 16, 16, 1}} {
		s := o.Share(tt.partitions)
		if s.CacheMessages != tt.cache || s.MaxParked != tt.parked {
			t.Errorf("%d partitions: %d messages, %d parked", tt.partitions, s.CacheMessages, s.MaxParked)
		}
		if err := s.Validate(); err != nil {
			t.Errorf("%d partitions: %v", tt.partitions, err)
		}
	}
}

// An input that refuses what its bounds promise is no reason to delete anything, nor to try for ever.
func TestTrimmedAgainstItsBounds(t *testing.T) {
	w := openWorld(t, testOptions(), vfs.NewMem(), newFeed(b1(sentEvent("m1")), b1(sentEvent("m2"))))
	defer w.close()
	w.drain(func() int { return 1 })
	before := stored(t, w.store)
	w.p.RebuildTrimmed()
	w.p.in = refusing{w.feed}
	if err := w.p.Run(t.Context()); !errors.Is(err, log.ErrTrimmed) {
		t.Errorf("Run returned %v", err)
	}
	sameStored(t, stored(t, w.store), before)
}

type refusing struct{ *feed }

func (refusing) Read(_ context.Context, _ int64, _ int, dst []log.Record) ([]log.Record, error) {
	return dst, log.ErrTrimmed
}
