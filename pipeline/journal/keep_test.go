package journal

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/pipeline/log"
)

// small is a journal of 1 MiB, on a disk with room.
func small() Options {
	o := Default()
	o.MaxBytes, o.MinFreeBytes, o.Retention = 1<<20, 0, 0
	return o
}

// wantOldest checks which records are left.
func wantOldest(t *testing.T, f *fixture, when string, want int64) {
	t.Helper()
	oldest, next := f.Bounds()
	if oldest != want {
		t.Errorf("%s: oldest is %d of %d, want %d", when, oldest, next, want)
	}
	if oldest > 0 {
		if _, err := f.Read(context.Background(), oldest-1, 1, nil); !errors.Is(err, log.ErrTrimmed) {
			t.Errorf("%s: read before the oldest: %v, want %v", when, err, log.ErrTrimmed)
		}
	}
	var ids []string
	for i := oldest; i < next; i++ {
		ids = append(ids, fmt.Sprint(i))
	}
	wantIDs(t, readAll(t, f.Journal, oldest, 7), ids...)
}

// fill appends n records of some 10 kB, each a batch of its own, named by their sequences.
func fill(t *testing.T, f *fixture, n int) {
	t.Helper()
	_, next := f.Bounds()
	for i := range n {
		if err := f.Append(Essential, big(fmt.Sprint(next+int64(i)), 10_000)); err != nil {
			t.Fatal(err)
		}
	}
}

// soon waits until the keeper has looked.
func soon() {
	time.Sleep(watchEvery)
	synctest.Wait()
}

func TestTrimWaitsForReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openOn(t, vfs.NewMem(), small(), "refine", "relay")
		defer f.close()
		fill(t, f, 30)
		soon()
		wantOldest(t, f, "nobody passed", 0)
		f.Passed("refine", 20)
		soon()
		wantOldest(t, f, "one passed", 0)
		f.Passed("relay", 10)
		soon()
		wantOldest(t, f, "both passed", 10)
		f.Passed("relay", 5) // does not go back
		f.Passed("relay", 1000)
		f.Passed("refine", 1000)
		soon()
		wantOldest(t, f, "all passed", 29) // the newest batch stays
		size := f.size()
		if size < 10_000 || size > 10_200 {
			t.Errorf("size of one record: %d", size)
		}
		fill(t, f, 1)
		if f.size() != 2*size {
			t.Errorf("size of two records: %d, want %d", f.size(), 2*size)
		}
	})
}

func TestTrimNeedsReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openOn(t, vfs.NewMem(), small())
		defer f.close()
		fill(t, f, 30)
		soon()
		wantOldest(t, f, "no readers", 0)
	})
}

func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := small()
		o.Retention = time.Hour
		fs := vfs.NewMem()
		f := openOn(t, fs, o, "refine")
		fill(t, f, 10)
		time.Sleep(30 * time.Minute)
		fill(t, f, 10)
		f.Passed("refine", 20)
		soon()
		wantOldest(t, f, "half an hour", 0)
		time.Sleep(30 * time.Minute)
		soon()
		wantOldest(t, f, "an hour", 10)

		// A restart forgets nothing of it.
		size := f.size()
		f.close()
		f = openOn(t, fs, o, "refine")
		defer f.close()
		if f.size() != size {
			t.Errorf("size %d after a restart, want %d", f.size(), size)
		}
		wantOldest(t, f, "restart", 10)

		// More than half of the bound is too much, whatever the retention.
		fill(t, f, 50)
		soon()
		wantOldest(t, f, "not passed", 10)
		f.Passed("refine", 70)
		soon()
		if kept := f.size(); kept > 1<<19 || kept < 1<<19-10_200 {
			t.Errorf("%d bytes are kept, want just under %d", kept, 1<<19)
		}
		_, next := f.Bounds()
		wantOldest(t, f, "over half", next-f.size()/(size/10))
	})
}

// A single batch holds many records: the one a reader is in stays whole.
func TestTrimByBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openOn(t, vfs.NewMem(), small(), "refine")
		defer f.close()
		for b := range 3 {
			if err := f.Append(Essential, big(fmt.Sprint(3*b), 9000), ev(fmt.Sprint(3*b+1)), ev(fmt.Sprint(3*b+2))); err != nil {
				t.Fatal(err)
			}
		}
		f.Passed("refine", 5)
		soon()
		wantOldest(t, f, "in the second batch", 3)
		f.Passed("refine", 6)
		soon()
		wantOldest(t, f, "behind the second batch", 6)
	})
}

func TestShedding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openOn(t, vfs.NewMem(), small(), "refine")
		defer f.close()
		order := []Class{MachineOpen, HumanOpen, MachineClick, HumanClick, Essential}
		// refused counts the classes, in shedding order, that are refused now.
		refused := func() (n int) {
			for i, c := range order {
				if err := f.Append(c, ev("x")); err == nil {
					continue
				} else if want := ErrShed; c != Essential && !errors.Is(err, want) || c == Essential && !errors.Is(err, ErrFull) {
					t.Fatalf("%v: %v", c, err)
				}
				if n != i {
					t.Fatalf("%v is refused before %v", c, order[n])
				}
				n++
			}
			return n
		}
		var unreadyAt float64
		shedAt := make([]float64, len(order)+1)
		for shed := 0; shed < len(order); {
			if f.Health() != nil && unreadyAt == 0 {
				unreadyAt = f.full()
			}
			if n := refused(); n > shed {
				shed = n
				shedAt[shed] = f.full()
			}
			if shed < len(order) {
				if err := f.Append(Essential, big("filler", 2000)); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i, want := range []float64{.80, .85, .90, .95, 1} {
			if got := shedAt[i+1]; got < want || got > want+.01 {
				t.Errorf("%v is refused at %.3f of the bound, want %.2f", order[i], got, want)
			}
		}
		if unreadyAt < .70 || unreadyAt > .71 {
			t.Errorf("unready at %.3f", unreadyAt)
		}
		if n := f.metric(t, "carom_journal_refused_total", "full"); n == 0 {
			t.Error("refusals are not counted")
		}
		// A full journal takes ticks: without them nobody could pass anything.
		if err := f.Tick(context.Background()); err != nil {
			t.Error(err)
		}

		_, next := f.Bounds()
		f.Passed("refine", next/10)
		soon()
		if n := refused(); n == 0 || n == len(order) {
			t.Errorf("with a tenth of the records gone, %d classes are refused", n)
		}
		f.Passed("refine", next)
		soon()
		if n := refused(); n != 0 || f.Health() != nil {
			t.Errorf("after trimming: %d classes refused, %v", n, f.Health())
		}
	})
}

func (f *fixture) full() float64 { return float64(f.size()) / float64(f.capacity.Load()) }

func TestLevels(t *testing.T) {
	for _, c := range []struct {
		from level
		size int64
		want level
	}{
		{levelFine, 0, levelFine},
		{levelFine, 69, levelFine},
		{levelFine, 70, levelUnready},
		{levelFine, 80, levelShed},
		{levelFine, 99, levelFull - 1},
		{levelFine, 100, levelFull},
		{levelFine, 1000, levelFull},
		{levelFull, 96, levelFull},
		{levelFull, 95, levelFull}, // hysteresis
		{levelFull, 94, levelFull - 1},
		{levelFull, 76, levelShed},
		{levelFull, 65, levelUnready},
		{levelFull, 64, levelFine},
		{levelUnready, 69, levelUnready},
		{levelUnready, 64, levelFine},
	} {
		if got := c.from.next(c.size, 100); got != c.want {
			t.Errorf("from %d with %d of 100: %d, want %d", c.from, c.size, got, c.want)
		}
	}
	if got := levelFine.next(0, 0); got != levelFull {
		t.Errorf("no capacity: %d", got)
	}
}

// A disk that others fill counts as a full journal, before writes fail.
func TestDiskFills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const mb = 1 << 20
		fs := vfs.NewMem()
		disk := func(free uint64) { fs.TestingSetDiskUsage(vfs.DiskUsage{AvailBytes: free, TotalBytes: 1 << 40}) }
		disk(1000 * mb)
		o := Default()
		o.MinFreeBytes = 100 * mb
		f := openOn(t, fs, o, "refine")
		defer f.close()
		fill(t, f, 30)
		if got := f.capacity.Load(); got != 900*mb {
			t.Errorf("capacity %d", got)
		}
		soon()
		if err := f.Health(); err != nil {
			t.Error(err)
		}
		disk(100*mb + 100_000) // 300 kB used, 100 kB to go: three quarters
		soon()
		if err := f.Append(MachineOpen, ev("x")); err != nil {
			t.Error(err)
		}
		if err := f.Health(); err == nil {
			t.Error("healthy on a disk that is nearly full")
		}
		disk(99 * mb)
		soon()
		if err := f.Append(Essential, ev("x")); !errors.Is(err, ErrFull) {
			t.Errorf("append to a full disk: %v", err)
		}
		disk(1000 * mb)
		soon()
		if err := errors.Join(f.Append(MachineOpen, ev("x")), f.Health()); err != nil {
			t.Errorf("after others made room: %v", err)
		}
	})
}
