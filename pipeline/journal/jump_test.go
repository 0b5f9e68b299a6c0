package journal

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/kv"
)

const far = 1 << 43

// jumped is a journal of n records that has jumped since, some milliseconds ago.
func jumped(t *testing.T, fs vfs.FS, o Options, n int) (_ *fixture, next, to int64) {
	t.Helper()
	f := openOn(t, fs, o, "refine")
	fill(t, f, n)
	f.close()
	s, err := kv.Open("journal", kv.Options{FS: fs, Role: "journal"})
	if err != nil {
		t.Fatal(err)
	}
	if next, to, err = Jump(s, far); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if next != int64(n) || to != next+far {
		t.Fatalf("jumped from %d to %d", next, to)
	}
	return openOn(t, fs, o, "refine"), next, to
}

// from reads what follows an offset, as the stages do: at the offset after the last record.
func from(t *testing.T, f *fixture, offset int64) (ids []string, sequences []uint64) {
	t.Helper()
	for {
		if _, end := f.Bounds(); offset >= end {
			return ids, sequences
		}
		recs, err := f.Read(context.Background(), offset, 3, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range recs {
			if r.Offset < offset || r.Source.Sequence != uint64(r.Offset) {
				t.Fatalf("record %d, sequence %d at %d", r.Offset, r.Source.Sequence, offset)
			}
			ids, sequences = append(ids, idOf(t, r)), append(sequences, r.Source.Sequence)
			offset = r.Offset + 1
		}
	}
}

func TestJump(t *testing.T) {
	for _, n := range []int{0, 4} {
		fs := vfs.NewMem()
		f, next, to := jumped(t, fs, small(), n)
		if _, end := f.Bounds(); end != to {
			t.Fatalf("it ends at %d, want %d", end, to)
		}
		mustAppend(t, f.Journal, "new")
		want := strings.TrimSpace(strings.Join([]string{"0", "1", "2", "3"}[:n], " ") + " tick tick new")
		ids, sequences := from(t, f, 0)
		if got := strings.Join(ids, " "); got != want || sequences[len(sequences)-1] != uint64(to) {
			t.Errorf("%s at %v, want %s", got, sequences, want)
		}
		for _, offset := range []int64{next + 1, next + far/2, to - 1} {
			if ids, _ := from(t, f, offset); strings.Join(ids, " ") != "tick new" {
				t.Errorf("from %d: %v", offset, ids)
			}
		}
		// A pass over all of it, in small steps, ends.
		_, end := f.Bounds()
		records, at := 0, int64(0)
		for at < end {
			was := at
			var err error
			at, _, err = f.Rewrite(at, end, 1, func([]byte) ([]byte, error) {
				records++
				return nil, nil
			})
			if err != nil || at <= was {
				t.Fatalf("from %d to %d: %v", was, at, err)
			}
		}
		if records != n+3 {
			t.Errorf("%d records rewritten", records)
		}
		f.close()
	}
}

// Who stands in the gap finds his place again, whatever was trimmed.
func TestTrimAtAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, next, to := jumped(t, vfs.NewMem(), small(), 40)
		defer f.close()
		for _, passed := range []int64{20, next + 1, next + far/2} {
			f.Passed("refine", passed)
			soon()
			if oldest, _ := f.Bounds(); oldest > passed || oldest < min(passed, next) {
				t.Errorf("passed %d: the oldest is %d", passed, oldest)
			}
			if ids, _ := from(t, f, passed); ids[len(ids)-1] != "tick" {
				t.Errorf("from %d: %v", passed, ids)
			}
		}
		fill(t, f, 30)
		f.Passed("refine", to+20)
		soon()
		wantOldest(t, f, "behind the gap", to+20)
	})
}

// A hole in the sequences that is no jump is a loss.
func TestHoleIsNoGap(t *testing.T) {
	f := openOn(t, vfs.NewMem(), small())
	defer f.close()
	fill(t, f, 5)
	if err := f.store.DeleteRange(batchKey(2), batchKey(3)); err != nil {
		t.Fatal(err)
	}
	recs, err := f.Read(context.Background(), 0, 10, nil)
	if err != nil || len(recs) != 2 {
		t.Fatalf("%d records, %v", len(recs), err)
	}
	if _, err := f.Read(context.Background(), 2, 10, nil); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("read of what was lost: %v", err)
	}
}

func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := openOn(t, vfs.NewMem(), small(), "refine")
		defer f.close()
		fill(t, f, 30)
		first, second := f.Hold(), f.Hold()
		f.Passed("refine", 20)
		first()
		first()
		time.Sleep(time.Minute)
		soon()
		wantOldest(t, f, "held", 0)
		second()
		soon()
		wantOldest(t, f, "let go", 20)
	})
}
