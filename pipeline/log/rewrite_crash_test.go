package log

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"carom/kv"
	"carom/pipeline/event"
)

// rewriter is either form of a log.
type rewriter interface {
	Reader
	Rewrite(from, end int64, max int, fn Rewriting) (next int64, changed int, err error)
}

var (
	_ rewriter = (*Local)(nil)
	_ rewriter = (*Mirror)(nil)
)

// blank makes records of a value others, some longer, some shorter.
func blank(values ...string) Rewriting {
	return func(key, value []byte) ([]byte, []byte, bool, error) {
		if !slices.Contains(values, string(value)) {
			return nil, nil, false, nil
		}
		return nil, fmt.Appendf(nil, "blank%*s", len(value)*3%40, ""), true, nil
	}
}

// rewriteAll goes through the log up to end, some records at a time.
func rewriteAll(t testing.TB, l rewriter, end int64, atOnce int, fn Rewriting) (changed int) {
	t.Helper()
	for from := int64(0); from < end; {
		next, n, err := l.Rewrite(from, end, atOnce, fn)
		if err != nil {
			t.Fatal(err)
		}
		if next <= from || next > end {
			t.Fatalf("from %d on to %d, the end is %d", from, next, end)
		}
		from, changed = next, changed+n
	}
	return changed
}

// raw is what the store holds, by offset.
func raw(t testing.TB, tab table) map[int64][]byte {
	t.Helper()
	it, err := tab.iter(0, maxOffset)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[int64][]byte)
	for ok := it.First(); ok; ok = it.Next() {
		all[offsetOf(it.Key())] = bytes.Clone(it.Value())
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return all
}

// sameBut checks that only the records at some offsets are others, and that those have the time they had.
func sameBut(t testing.TB, before, after map[int64][]byte, changed ...int64) {
	t.Helper()
	if len(before) != len(after) {
		t.Errorf("%d records were %d", len(after), len(before))
	}
	for offset, was := range before {
		is := after[offset]
		if !slices.Contains(changed, offset) {
			if !bytes.Equal(was, is) {
				t.Errorf("record %d was %q, and is %q", offset, was, is)
			}
			continue
		}
		old, err := decodeRecord(was)
		rec, err2 := decodeRecord(is)
		if err := errors.Join(err, err2); err != nil || rec.Time != old.Time || len(rec.Key) != 0 || !strings.HasPrefix(string(rec.Value), "blank") {
			t.Errorf("record %d: %v: %+v", offset, err, rec)
		}
	}
}

func TestLocalRewrite(t *testing.T) {
	for _, atOnce := range []int{1, 2, 3, 100} {
		fs := vfs.NewMem()
		s := openStore(t, fs)
		l, other := openLocal(t, s, kv.LogEvents, 1), openLocal(t, s, kv.LogEvents, 2)
		write(t, s, other, 1, "a", "c")
		write(t, s, l, 10, "a", "b")
		write(t, s, l, 20, "c", "d", "e", "a")
		before, others := raw(t, l.table), raw(t, other.table)
		if n := rewriteAll(t, l, 5, atOnce, blank("a", "c")); n != 2 {
			t.Errorf("%d are changed", n)
		}
		after := raw(t, l.table)
		sameBut(t, before, after, 0, 2) // the last lies beyond the end
		sameBut(t, others, raw(t, other.table))
		if n := rewriteAll(t, l, 5, atOnce, blank("a", "c")); n != 0 {
			t.Errorf("%d are changed again", n)
		}

		// It goes on as it was, now and after it was opened anew.
		write(t, s, l, 5, "f")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, fs)
		l = openLocal(t, s, kv.LogEvents, 1)
		if oldest, next := l.Bounds(); oldest != 0 || next != 7 {
			t.Errorf("bounds %d, %d", oldest, next)
		}
		recs, err := l.Read(context.Background(), 6, 1, nil)
		if err != nil || string(recs[0].Value) != "f" || recs[0].Time != 20 {
			t.Errorf("%+v, %v", recs, err)
		}
		// What is trimmed does not come back.
		if err := l.Trim(3); err != nil {
			t.Fatal(err)
		}
		if next, n, err := l.Rewrite(0, 7, 1, func(_, _ []byte) ([]byte, []byte, bool, error) { return nil, []byte("blank"), true, nil }); next != 4 || n != 1 || err != nil {
			t.Errorf("next %d, %d changed, %v", next, n, err)
		}
		if got := raw(t, l.table); len(got) != 4 {
			t.Errorf("%d records", len(got))
		}
		_ = s.Close()
	}
}

// Nothing of a call that fails is kept.
func TestRewriteFails(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	l := openLocal(t, s, kv.LogEvents, 0)
	write(t, s, l, 10, "a", "b", "c")
	before := raw(t, l.table)
	wrong := errors.New("wrong")
	next, n, err := l.Rewrite(0, 3, 10, func(_, value []byte) ([]byte, []byte, bool, error) {
		if string(value) == "c" {
			return nil, nil, false, wrong
		}
		return nil, []byte("x"), true, nil
	})
	if next != 0 || n != 0 || !errors.Is(err, wrong) {
		t.Errorf("next %d, %d changed, %v", next, n, err)
	}
	sameBut(t, before, raw(t, l.table))
}

// Of records under offsets with gaps, none from end on may be rewritten: its reader has not come by.
func TestMirrorRewrite(t *testing.T) {
	for _, atOnce := range []int{1, 2, 100} {
		s := openStore(t, vfs.NewMem())
		m := openMirror(t, s, nil)
		in := &source{}
		in.add(released(0, 0, 1, 0), released(5, 0, 2, 0), released(12, 0, 3, 0), released(13, 0, 4, 0), released(40, 0, 5, 0))
		run(t, m, in, 41)
		before := raw(t, m.table)
		all := blank("0/1/0", "0/3/0", "0/5/0")
		if n := rewriteAll(t, m, 12, atOnce, all); n != 1 {
			t.Errorf("%d are changed", n)
		}
		sameBut(t, before, raw(t, m.table), 0)
		if n := rewriteAll(t, m, 41, atOnce, all); n != 2 {
			t.Errorf("%d are changed", n)
		}
		sameBut(t, before, raw(t, m.table), 0, 12, 40)
		// The copy goes on, and drops what is written twice.
		again := openMirror(t, s, nil)
		in.add(released(41, 0, 5, 0), released(42, 0, 6, 0))
		run(t, again, in, 43)
		if got := raw(t, again.table); len(got) != 6 || got[42] == nil {
			t.Errorf("%d records", len(got))
		}
		_ = s.Close()
	}
}

// Readers meet each record as it was or as it becomes, in its place, while it is rewritten, and appended and trimmed.
func TestRewriteWhileRead(t *testing.T) {
	const total = 3000
	s := openStore(t, vfs.NewMem())
	l := openLocal(t, s, kv.LogEvents, 0)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range total / 3 {
			write(t, s, l, event.Millis(i), fmt.Sprint(3*i), fmt.Sprint(3*i+1), fmt.Sprint(3*i+2))
		}
	})
	isOdd := func(_, value []byte) ([]byte, []byte, bool, error) {
		n := value[len(value)-1]
		return nil, append([]byte("blank "), value...), n%2 == 1 && value[0] != 'b', nil
	}
	var rewritten atomic.Int64
	wg.Go(func() {
		for from := int64(0); from < total; {
			_, end := l.Bounds()
			next, n, err := l.Rewrite(from, end, 64, isOdd)
			if err != nil {
				t.Error(err)
				return
			}
			from = next
			rewritten.Add(int64(n))
		}
	})
	for range 2 {
		wg.Go(func() {
			for next := int64(0); next < total; {
				recs, err := l.Read(context.Background(), next, 50, nil)
				if err != nil {
					t.Error(err)
					return
				}
				for _, rec := range recs {
					if got := strings.TrimPrefix(string(rec.Value), "blank "); rec.Offset != next || got != fmt.Sprint(next) {
						t.Errorf("record %d: %+v", next, rec)
						return
					}
					next++
				}
			}
		})
	}
	wg.Wait()
	if rewritten.Load() != total/2 {
		t.Errorf("%d are rewritten", rewritten.Load())
	}
}

// A crash at any write leaves each call's records as they were or as they become, all of them.
func TestRewriteCrashAtEveryWrite(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	mem := vfs.NewCrashableMem()
	type crash struct {
		fs   *vfs.MemFS
		done int64 // the calls up to here had returned
	}
	var crashes []crash
	var done atomic.Int64
	var mu sync.Mutex
	var armed atomic.Bool
	fs := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && armed.Load() {
			mu.Lock()
			defer mu.Unlock()
			at := done.Load()
			crashes = append(crashes, crash{mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: []int{0, 100}[len(crashes)%2], RNG: rng}), at})
		}
		return nil
	}))
	const total, atOnce = 90, 7
	s := openStore(t, fs)
	l := openLocal(t, s, kv.LogEvents, 0)
	var values []string
	for i := range total {
		values = append(values, fmt.Sprint(i, strings.Repeat(".", i*97%3000)))
	}
	write(t, s, l, 10, values...)
	before := raw(t, l.table)
	armed.Store(true)
	all := func(_, _ []byte) ([]byte, []byte, bool, error) { return nil, []byte("blank"), true, nil }
	for from := int64(0); from < total; {
		next, _, err := l.Rewrite(from, total, atOnce, all)
		if err != nil {
			t.Fatal(err)
		}
		from = next
		done.Store(from)
	}
	armed.Store(false)
	for i, c := range crashes {
		again := openLocal(t, openStore(t, c.fs), kv.LogEvents, 0)
		got := raw(t, again.table)
		var changed []int64
		for offset := range int64(total) {
			if !bytes.Equal(got[offset], before[offset]) {
				changed = append(changed, offset)
			}
		}
		n := int64(len(changed))
		if n < c.done || n%atOnce != 0 && n != total || n > 0 && changed[n-1] != n-1 {
			t.Errorf("crash %d: %d were done, changed are %v", i, c.done, changed)
		}
		sameBut(t, before, got, changed...)
	}
	if len(crashes) < total/atOnce {
		t.Errorf("only %d crashes", len(crashes))
	}
}
