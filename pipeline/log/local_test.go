package log

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/kv"
	"carom/pipeline/event"
)

func openStore(t testing.TB, fs vfs.FS) *kv.Store {
	t.Helper()
	s, err := kv.Open("state", kv.Options{FS: fs, MemTableBytes: 256 << 10, CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func openLocal(t testing.TB, s *kv.Store, logID byte, partition int32) *Local {
	t.Helper()
	l, err := NewLocal(s, logID, partition)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// write writes records to l in one batch of their own.
func write(t testing.TB, s *kv.Store, l *Local, at event.Millis, values ...string) {
	t.Helper()
	b := s.NewBatch()
	if err := errors.Join(l.Write(context.Background(), b, records(at, values...)), s.Commit(b), b.Close()); err != nil {
		t.Fatal(err)
	}
	l.Committed()
}

func records(at event.Millis, values ...string) (recs []Record) {
	for _, v := range values {
		recs = append(recs, Record{Offset: 99, Time: at, Key: []byte("key of " + v), Value: []byte(v)})
	}
	return recs
}

func readLog(t testing.TB, l *Local, from int64, atOnce int) (values []string) {
	t.Helper()
	_, next := l.Bounds()
	for from < next {
		recs, err := l.Read(context.Background(), from, atOnce, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(recs) == 0 || len(recs) > atOnce {
			t.Fatalf("read %d records at once, want 1 to %d", len(recs), atOnce)
		}
		for _, r := range recs {
			if r.Offset != from || string(r.Key) != "key of "+string(r.Value) || r.Source != (event.Source{}) {
				t.Fatalf("record %d: %+v", from, r)
			}
			values = append(values, string(r.Value))
			from++
		}
	}
	return values
}

func wantValues(t testing.TB, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("records %v, want %v", got, want)
	}
}

func TestLocal(t *testing.T) {
	fs := vfs.NewMem()
	s := openStore(t, fs)
	l := openLocal(t, s, kv.LogEvents, 3)
	if oldest, next := l.Bounds(); oldest != 0 || next != 0 {
		t.Errorf("bounds of an empty log: %d, %d", oldest, next)
	}
	write(t, s, l, 10, "a", "b")
	write(t, s, l, 5, "c") // time does not run back
	write(t, s, l, 30, "d", "e")
	for _, atOnce := range []int{1, 2, 100} {
		wantValues(t, readLog(t, l, 0, atOnce), "a", "b", "c", "d", "e")
		wantValues(t, readLog(t, l, 3, atOnce), "d", "e")
	}
	recs, err := l.Read(context.Background(), 1, 3, []Record{{Offset: 77}})
	if err != nil || len(recs) != 4 || recs[0].Offset != 77 {
		t.Fatalf("read behind another: %v, %v", recs, err)
	}
	for i, want := range []event.Millis{10, 10, 30} {
		if got := recs[i+1].Time; got != want {
			t.Errorf("time of record %d is %d, want %d", i+1, got, want)
		}
	}
	if recs, err := l.Read(context.Background(), 0, 0, nil); err != nil || len(recs) != 0 {
		t.Errorf("read at most 0: %v, %v", recs, err)
	}
	if got := l.Partition(); got != 3 {
		t.Errorf("partition %d", got)
	}

	// Other logs and partitions are apart.
	for _, other := range []*Local{openLocal(t, s, kv.LogEvents, 2), openLocal(t, s, kv.LogEvents, 4), openLocal(t, s, kv.LogRejects, 3)} {
		if _, next := other.Bounds(); next != 0 {
			t.Errorf("log %d/%d has records of another", other.log, other.partition)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, fs)
	l = openLocal(t, s, kv.LogEvents, 3)
	write(t, s, l, 5, "f")
	wantValues(t, readLog(t, l, 0, 100), "a", "b", "c", "d", "e", "f")
	defer func() {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Read(context.Background(), 0, 1, nil); !errors.Is(err, kv.ErrClosed) {
			t.Errorf("read from a closed store: %v", err)
		}
	}()
	if recs, err := l.Read(context.Background(), 5, 1, nil); err != nil || recs[0].Time != 30 {
		t.Errorf("time after a restart: %+v, %v", recs, err)
	}
}

// What a stage writes is its secret until its batch is on disk.
func TestLocalShowsCommittedOnly(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	l := openLocal(t, s, kv.LogEvents, 0)
	write(t, s, l, 1, "a")
	b := s.NewBatch()
	for _, v := range []string{"b", "c"} { // a stage may write several times
		if err := l.Write(context.Background(), b, records(2, v)); err != nil {
			t.Fatal(err)
		}
	}
	wantValues(t, readLog(t, l, 0, 10), "a")
	if err := s.Commit(b); err != nil {
		t.Fatal(err)
	}
	wantValues(t, readLog(t, l, 0, 10), "a")
	recs, err := l.Read(context.Background(), 0, 10, nil)
	if err != nil || len(recs) != 1 {
		t.Errorf("read %v, %v", recs, err)
	}
	l.Committed()
	wantValues(t, readLog(t, l, 0, 10), "a", "b", "c")

	// A batch that is given up leaves nothing to a log that is opened anew.
	if err := l.Write(context.Background(), s.NewBatch(), records(3, "lost")); err != nil {
		t.Fatal(err)
	}
	l = openLocal(t, s, kv.LogEvents, 0)
	write(t, s, l, 4, "d")
	wantValues(t, readLog(t, l, 0, 10), "a", "b", "c", "d")
}

func TestLocalReadWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, vfs.NewMem())
		defer func() { _ = s.Close() }()
		l := openLocal(t, s, kv.LogEvents, 0)
		type answer struct {
			recs []Record
			err  error
		}
		read := func(ctx context.Context, from int64) <-chan answer {
			ch := make(chan answer, 1)
			go func() {
				recs, err := l.Read(ctx, from, 10, nil)
				ch <- answer{recs, err}
			}()
			return ch
		}
		ctx, cancel := context.WithCancel(context.Background())
		first, also, second := read(ctx, 0), read(ctx, 0), read(ctx, 1)
		synctest.Wait()
		if len(first)+len(also)+len(second) != 0 {
			t.Fatal("a read of nothing returned")
		}
		write(t, s, l, 1, "a")
		for _, ch := range []<-chan answer{first, also} {
			if a := <-ch; a.err != nil || len(a.recs) != 1 || string(a.recs[0].Value) != "a" {
				t.Errorf("first: %+v", a)
			}
		}
		synctest.Wait()
		if len(second) != 0 {
			t.Fatal("a read of the next record returned")
		}
		cancel()
		if a := <-second; !errors.Is(a.err, context.Canceled) {
			t.Errorf("second: %+v", a)
		}
		if a := <-read(ctx, 0); !errors.Is(a.err, context.Canceled) {
			t.Errorf("cancelled before: %+v", a)
		}
	})
}

func TestLocalTrim(t *testing.T) {
	fs := vfs.NewMem()
	s := openStore(t, fs)
	l := openLocal(t, s, kv.LogEvents, 0)
	write(t, s, l, 7, "a", "b", "c", "d")
	check := func(oldest int64, want ...string) {
		t.Helper()
		if got, _ := l.Bounds(); got != oldest {
			t.Errorf("oldest is %d, want %d", got, oldest)
		}
		wantValues(t, readLog(t, l, oldest, 10), want...)
		if _, err := l.Read(context.Background(), oldest-1, 1, nil); !errors.Is(err, ErrTrimmed) {
			t.Errorf("read before %d: %v", oldest, err)
		}
	}
	for _, before := range []int64{-1, 0, 2, 1} { // 1 is gone by then
		if err := l.Trim(before); err != nil {
			t.Fatal(err)
		}
	}
	check(2, "c", "d")
	if err := l.Trim(1000); err != nil { // the newest stays
		t.Fatal(err)
	}
	check(3, "d")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, fs)
	l = openLocal(t, s, kv.LogEvents, 0)
	write(t, s, l, 1, "e")
	check(3, "d", "e")
	empty := openLocal(t, s, kv.LogRejects, 0)
	if err := empty.Trim(10); err != nil {
		t.Error(err)
	}
}

func TestLocalConcurrent(t *testing.T) {
	const batches, readers = 200, 3
	s := openStore(t, vfs.NewMem())
	l := openLocal(t, s, kv.LogEvents, 0)
	var wg sync.WaitGroup
	wg.Go(func() {
		n := 0
		for i := range batches {
			var values []string
			for range i % 4 {
				values = append(values, fmt.Sprint(n))
				n++
			}
			write(t, s, l, event.Millis(i), values...)
		}
	})
	var passed [readers]int64
	var mu sync.Mutex
	const total = batches / 4 * (0 + 1 + 2 + 3)
	for r := range readers {
		wg.Go(func() {
			var recs []Record
			for next := int64(0); next < total; {
				var err error
				if recs, err = l.Read(context.Background(), next, 1+r*10, recs[:0]); err != nil {
					t.Error(err)
					return
				}
				for _, rec := range recs {
					if rec.Offset != next || string(rec.Value) != fmt.Sprint(next) {
						t.Errorf("record %d: %+v", next, rec)
						return
					}
					next++
				}
				mu.Lock()
				passed[r] = next
				all := min(passed[0], passed[1], passed[2])
				mu.Unlock()
				if err := l.Trim(all); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if oldest, next := l.Bounds(); oldest != total-1 || next != total {
		t.Errorf("bounds %d, %d, want %d, %d", oldest, next, total-1, total)
	}
}

func TestLocalGarbage(t *testing.T) {
	good := appendRecord(nil, 1, nil, []byte("v"))
	newer := append([]byte{2}, good[1:]...)
	for name, c := range map[string]struct {
		value []byte
		want  string
	}{
		"newer":   {newer, "record has version 2, this Carom reads 1: use a newer Carom"},
		"short":   {good[:recordHeader-1], "malformed record"},
		"no key":  {good[:recordHeader], "malformed record"},
		"cut key": {appendRecord(nil, 1, []byte("key"), nil)[:recordHeader+2], "malformed record"},
	} {
		s := openStore(t, vfs.NewMem())
		l := openLocal(t, s, kv.LogEvents, 0)
		write(t, s, l, 1, "a")
		b := s.NewBatch()
		if err := errors.Join(b.Set(l.key(0), c.value, nil), s.Commit(b), b.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Read(context.Background(), 0, 1, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: read: %v", name, err)
		}
		if _, err := NewLocal(s, kv.LogEvents, 0); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: open: %v", name, err)
		}
	}
}

// Read looks at the bounds first and at the records then. Trim may come in between, and take some or all of them.
func TestTrimOvertakesRead(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	l := openLocal(t, s, kv.LogEvents, 0)
	write(t, s, l, 1, "a", "b", "c", "d")
	if err := l.Trim(2); err != nil {
		t.Fatal(err)
	}
	for _, max := range []int{1, 2, 3} {
		it, err := l.iter(0, 4) // as Read does that has seen the old bounds
		if err != nil {
			t.Fatal(err)
		}
		if recs, err := l.readRecords(it, 0, max, nil); !errors.Is(err, ErrTrimmed) || len(recs) > 0 {
			t.Errorf("Read of %d: %d records, %v, want %v", max, len(recs), err, ErrTrimmed)
		}
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
