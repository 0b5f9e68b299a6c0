package log

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/zap/zaptest"

	"carom/kv"
	"carom/pipeline/event"
)

// source is a log that is kept elsewhere: in memory.
type source struct {
	mu     sync.Mutex
	recs   []Record // by offset, with gaps
	oldest int64
	bell   Bell
}

func (s *source) Partition() int32              { return 0 }
func (s *source) Refresh(context.Context) error { return nil }

func (s *source) Bounds() (oldest, next int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next = s.oldest
	if n := len(s.recs); n > 0 {
		next = s.recs[n-1].Offset + 1
	}
	return s.oldest, next
}

func (s *source) Read(ctx context.Context, from int64, max int, dst []Record) ([]Record, error) {
	if _, err := await(ctx, s, &s.bell, from); err != nil {
		return dst, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.recs {
		if r.Offset >= from && max > 0 {
			dst, max = append(dst, r), max-1
		}
	}
	return dst, nil
}

func (s *source) add(recs ...Record) {
	s.mu.Lock()
	s.recs = append(s.recs, recs...)
	s.mu.Unlock()
	s.bell.Ring()
}

func (s *source) trim(before int64) {
	s.mu.Lock()
	s.oldest = before
	s.recs = slices.DeleteFunc(s.recs, func(r Record) bool { return r.Offset < before })
	s.mu.Unlock()
}

// released is a record of the events topic, at that offset, of that origin.
func released(offset int64, partition int32, at int64, n int32) Record {
	value := fmt.Sprintf("%d/%d/%d", partition, at, n)
	return Record{
		Offset: offset, Time: event.Millis(1000 + at), Key: []byte("key of " + value), Value: []byte(value),
		Head: event.Head{Kind: event.Click, Origin: event.Origin{Partition: partition, Offset: at, N: n}},
	}
}

func openMirror(t testing.TB, s *kv.Store, reg prometheus.Registerer) *Mirror {
	t.Helper()
	m, err := OpenMirror(s, kv.LogEvents, 0, zaptest.NewLogger(t), reg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// run copies until passed, then stops.
func run(t testing.TB, m *Mirror, in Reader, passed int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	m.OnPassed(func(offset int64) {
		if offset != m.Passed() {
			t.Errorf("passed %d, Passed says %d", offset, m.Passed())
		}
		if offset >= passed {
			cancel()
		}
	})
	if err := m.Run(ctx, in); err != nil {
		t.Fatal(err)
	}
	if got := m.Passed(); got != passed {
		t.Errorf("passed %d, want %d", got, passed)
	}
}

// copied reads the mirror from its oldest record on, atOnce at a time, as "offset value".
func copied(t testing.TB, m *Mirror, atOnce int) (all []string) {
	t.Helper()
	from, next := m.Bounds()
	last := event.Millis(0)
	for from < next {
		recs, err := m.Read(context.Background(), from, atOnce, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(recs) == 0 || len(recs) > atOnce {
			t.Fatalf("read %d records at once, want 1 to %d", len(recs), atOnce)
		}
		for _, r := range recs {
			if r.Offset < from || string(r.Key) != "key of "+string(r.Value) || r.Time < last {
				t.Fatalf("from %d: %+v", from, r)
			}
			from, last = r.Offset+1, r.Time
			all = append(all, fmt.Sprintf("%d %s", r.Offset, r.Value))
		}
	}
	return all
}

func wantMetric(t testing.TB, reg *prometheus.Registry, name, reason string, want float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := -1.0
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == name && (reason == "" || slices.ContainsFunc(m.Label, func(l *dto.LabelPair) bool { return l.GetValue() == reason })) {
				got = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	if got != want {
		t.Errorf("%s %s is %v, want %v", name, reason, got, want)
	}
}

func TestMirror(t *testing.T) {
	fs := vfs.NewMem()
	s := openStore(t, fs)
	reg := prometheus.NewPedanticRegistry()
	m := openMirror(t, s, reg)
	if oldest, next := m.Bounds(); oldest != 0 || next != 0 || m.Passed() != 0 {
		t.Errorf("a new mirror has bounds %d, %d and passed %d", oldest, next, m.Passed())
	}
	in := &source{oldest: 5} // of which the first were gone before this node was there
	foreign := released(9, 0, 2, 0)
	foreign.Head = event.Head{}
	late := released(12, 0, 2, 1)
	late.Time = 1 // log time does not run back
	in.add(
		released(5, 0, 1, 0), released(7, 0, 1, 1), released(8, 3, 1, 0), // a gap in the source
		foreign,
		released(10, 0, 1, 0), released(11, 0, 1, 1), // again
		late,
		released(13, 3, 1, 0), // again
	)
	run(t, m, in, 14)
	want := []string{"5 0/1/0", "7 0/1/1", "8 3/1/0", "12 0/2/1"}
	for _, atOnce := range []int{1, 2, 100} {
		wantValues(t, copied(t, m, atOnce), want...)
	}
	if oldest, next := m.Bounds(); oldest != 0 || next != 13 {
		t.Errorf("bounds %d, %d", oldest, next)
	}
	wantMetric(t, reg, "carom_log_mirror_records_total", "", 4)
	wantMetric(t, reg, "carom_log_mirror_skipped_total", "repeated", 3)
	wantMetric(t, reg, "carom_log_mirror_skipped_total", "foreign", 1)
	wantMetric(t, reg, "carom_log_mirror_skipped_total", "trimmed", 0)

	// It is all there without the source, and goes on where it stood.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, fs)
	m = openMirror(t, s, reg)
	wantValues(t, copied(t, m, 3), want...)
	in.trim(14)
	in.add(released(14, 3, 1, 0), released(15, 3, 1, 1))
	run(t, m, in, 16)
	wantValues(t, copied(t, m, 3), append(want, "15 3/1/1")...)

	// What the source loses is said, and does not stop it.
	in.trim(20)
	in.add(released(30, 0, 9, 0))
	run(t, m, in, 31)
	wantValues(t, copied(t, m, 3), append(want, "15 3/1/1", "30 0/9/0")...)
	wantMetric(t, reg, "carom_log_mirror_skipped_total", "trimmed", 4)
}

// A source that has lost all it had, and has nothing new, is copied.
func TestMirrorOfNothing(t *testing.T) {
	in := &source{}
	in.trim(20)
	m := openMirror(t, openStore(t, vfs.NewMem()), nil)
	run(t, m, in, 20)
	wantValues(t, copied(t, m, 1))
}

func TestMirrorTrim(t *testing.T) {
	fs := vfs.NewMem()
	s := openStore(t, fs)
	m := openMirror(t, s, nil)
	in := &source{}
	for i := range int64(5) {
		in.add(released(10*i, 0, i, 0))
	}
	run(t, m, in, 41)
	check := func(oldest int64, want ...string) {
		t.Helper()
		if got, _ := m.Bounds(); got != oldest {
			t.Errorf("oldest is %d, want %d", got, oldest)
		}
		wantValues(t, copied(t, m, 2), want...)
		if _, err := m.Read(context.Background(), oldest-1, 1, nil); !errors.Is(err, ErrTrimmed) {
			t.Errorf("read before %d: %v", oldest, err)
		}
	}
	for _, before := range []int64{-1, 0, 15, 12} { // 12 is gone by then
		if err := m.Trim(before); err != nil {
			t.Fatal(err)
		}
	}
	check(15, "20 0/2/0", "30 0/3/0", "40 0/4/0")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, fs)
	m = openMirror(t, s, nil)
	check(15, "20 0/2/0", "30 0/3/0", "40 0/4/0")
	if err := m.Trim(1000); err != nil {
		t.Fatal(err)
	}
	check(41)
	m = openMirror(t, s, nil)
	in.add(released(50, 0, 4, 0), released(51, 0, 5, 0))
	run(t, m, in, 52)
	check(41, "51 0/5/0")

	// Trim comes between the look at the bounds and the records: what it took is no gap.
	m.mu.Lock()
	m.oldest = 51
	m.mu.Unlock()
	if recs, err := m.read(41, 52, 1, nil); !errors.Is(err, ErrTrimmed) || len(recs) > 0 {
		t.Errorf("%d records, %v", len(recs), err)
	}
}

// A step is bounded in bytes, too.
func TestMirrorSteps(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	m := openMirror(t, s, nil)
	in := &source{}
	for i := range int64(6) {
		r := released(i, 0, i, 0)
		r.Key, r.Value = nil, make([]byte, mirrorBytes/2)
		in.add(r)
	}
	var steps []int64
	ctx, cancel := context.WithCancel(context.Background())
	m.OnPassed(func(offset int64) {
		if steps = append(steps, offset); offset == 6 {
			cancel()
		}
	})
	if err := m.Run(ctx, in); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(steps, []int64{0, 2, 4, 6}) {
		t.Errorf("passed %v", steps)
	}
}

func TestMirrorErrors(t *testing.T) {
	for name, c := range map[string]struct {
		value []byte
		want  string
	}{
		"newer":    {[]byte{2, 0, 0, 0}, "place of a mirror has version 2, this Carom reads 1: use a newer Carom"},
		"empty":    {nil, "malformed place"},
		"short":    {[]byte{1, 2}, "malformed place"},
		"origin":   {[]byte{1, 4, 4, 2, 2}, "malformed place"},
		"backward": {[]byte{1, 2, 4, 2}, "malformed place"},
	} {
		s := openStore(t, vfs.NewMem())
		m := openMirror(t, s, nil)
		b := s.NewBatch()
		if err := errors.Join(b.Set(m.own(mirrorPlace), c.value, nil), s.Commit(b), b.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenMirror(s, kv.LogEvents, 0, zaptest.NewLogger(t), nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := openStore(t, vfs.NewMem())
	m := openMirror(t, s, nil)
	broken := &source{oldest: 3} // which says that 0 was trimmed, and then that it was not
	broken.recs = []Record{released(0, 0, 0, 0)}
	if err := m.Run(context.Background(), backward{broken}); err == nil || !strings.Contains(err.Error(), "gave offset 0 where 3") {
		t.Errorf("a source that goes back: %v", err)
	}
}

// backward gives records from before what was asked for.
type backward struct{ *source }

func (b backward) Read(_ context.Context, from int64, _ int, dst []Record) ([]Record, error) {
	if from == 0 {
		return dst, ErrTrimmed
	}
	return append(dst, b.recs...), nil
}

// script is a source that a stage wrote which crashed now and then: each time it wrote again some of what it had
// written, of several partitions that take turns.
func script(rng *rand.Rand, length int) (recs []Record, want []string) {
	var written [3][]Record
	offset := int64(0)
	put := func(r Record) {
		offset += 1 + rng.Int64N(3)/2
		r.Offset = offset
		recs = append(recs, r)
	}
	for len(recs) < length {
		p := rng.IntN(len(written))
		done := written[p]
		if len(done) > 0 && rng.IntN(4) == 0 {
			for _, r := range done[rng.IntN(len(done)):] { // it crashed
				put(r)
			}
		}
		at, n := int64(0), int32(0)
		if len(done) > 0 {
			last := done[len(done)-1].Head.Origin
			if at, n = last.Offset, last.N+1; rng.IntN(2) == 0 {
				at, n = at+1+rng.Int64N(5), 0
			}
		}
		r := released(0, int32(p), at, n)
		put(r)
		written[p] = append(written[p], r)
		want = append(want, fmt.Sprintf("%d %s", offset, r.Value))
	}
	return recs, want
}

func TestMirrorCrashAtEveryWrite(t *testing.T) {
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("run again with -seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	recs, want := script(rng, 400)
	end := recs[len(recs)-1].Offset + 1

	type crash struct {
		fs      *vfs.MemFS
		acked   int64
		percent int
		op      errorfs.Op
	}
	var crashes []crash
	var acked int64
	var mu sync.Mutex // guards both, and one clone at a time
	mem := vfs.NewCrashableMem()
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		c := crash{acked: acked, percent: []int{0, 50, 100}[len(crashes)%3], op: op}
		c.fs = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: c.percent, RNG: rng})
		crashes = append(crashes, c)
		return nil
	}))
	s := openStore(t, fs)
	m := openMirror(t, s, nil)
	in := &source{}
	ctx, cancel := context.WithCancel(context.Background())
	m.OnPassed(func(offset int64) {
		mu.Lock()
		acked = offset
		mu.Unlock()
		if len(recs) == 0 {
			cancel()
			return
		}
		n := min(len(recs), 1+int(offset%5))
		in.add(recs[:n]...)
		recs = recs[n:]
	})
	if err := m.Run(ctx, in); err != nil {
		t.Fatal(err)
	}
	if m.Passed() != end {
		t.Fatalf("passed %d, want %d", m.Passed(), end)
	}
	wantValues(t, copied(t, m, 7), want...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	disordered := 0
	for i, c := range crashes {
		s, err := kv.Open("state", kv.Options{FS: c.fs, MemTableBytes: 256 << 10, CacheBytes: 1 << 20})
		// See the journal's crash test: Pebble counts on a file system that keeps the order of names in a folder.
		if err != nil && c.percent == 50 && strings.Contains(err.Error(), "could not open manifest file") {
			disordered++
			continue
		}
		if err != nil {
			t.Fatalf("crash %d, before %+v: %v", i, c.op, err)
		}
		m := openMirror(t, s, nil)
		if m.Passed() < c.acked {
			t.Errorf("passed %d, %d was acknowledged", m.Passed(), c.acked)
		}
		run(t, m, in, end)
		wantValues(t, copied(t, m, 100), want...)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Fatalf("crash %d, before %+v", i, c.op)
		}
	}
	t.Logf("%d crashes, %d impossible ones", len(crashes), disordered)
	if len(crashes) < 200 || disordered > len(crashes)/20 {
		t.Error("too few crashes to be worth anything")
	}
}
