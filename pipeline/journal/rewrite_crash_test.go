package journal

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/pipeline/event"
)

// batches is what the store holds, by first sequence.
func batches(t testing.TB, j *Journal) map[int64][]byte {
	t.Helper()
	it, err := j.iter(1 << 62)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[int64][]byte)
	for ok := it.First(); ok; ok = it.Next() {
		all[sequenceOf(it.Key())] = bytes.Clone(it.Value())
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return all
}

// blankOf puts a blank in the place of events of some messages.
func blankOf(ids ...string) func([]byte) ([]byte, error) {
	return func(value []byte) ([]byte, error) {
		var e event.Event
		if err := e.DecodeBinary(value); err != nil || !slices.Contains(ids, e.Message) {
			return nil, err
		}
		blank, ok := event.AppendBlank(nil, len(value), e.Time, "", event.Key{})
		if !ok {
			return nil, fmt.Errorf("%d bytes are too few", len(value))
		}
		return blank, nil
	}
}

func rewriteTo(t testing.TB, j *Journal, end int64, most int, fn func([]byte) ([]byte, error)) (changed int) {
	t.Helper()
	for from := int64(0); from < end; {
		next, n, err := j.Rewrite(from, end, most, fn)
		if err != nil {
			t.Fatal(err)
		}
		if next <= from {
			t.Fatalf("stays at %d", from)
		}
		from, changed = next, changed+n
	}
	return changed
}

func TestRewriteBatches(t *testing.T) {
	for _, most := range []int{1, 2, 100} {
		fs := vfs.NewMem()
		f := openOn(t, fs, Default())
		for i := range 4 { // batches of three
			if err := f.Append(Essential, ev(fmt.Sprintf("bob-%d", i)), big(fmt.Sprintf("eve-%d", i), 300*i), ev(fmt.Sprintf("bob-%d", i))); err != nil {
				t.Fatal(err)
			}
		}
		before := batches(t, f.Journal)

		// The end lies within the third batch, which is left whole.
		next, n, err := f.Rewrite(0, 7, 100, blankOf("bob-0", "bob-2"))
		if next != 6 || n != 2 || err != nil {
			t.Fatalf("next %d, %d changed, %v", next, n, err)
		}
		if next, n, err := f.Rewrite(6, 7, 100, blankOf("bob-2")); next != 6 || n != 0 || err != nil {
			t.Fatalf("next %d, %d changed, %v", next, n, err)
		}
		wantIDs(t, readAll(t, f.Journal, 0, 5), "tick", "eve-0", "tick", "bob-1", "eve-1", "bob-1", "bob-2", "eve-2", "bob-2", "bob-3", "eve-3", "bob-3")
		if n := rewriteTo(t, f.Journal, 12, most, blankOf("bob-2", "bob-3")); n != 4 {
			t.Errorf("%d are changed", n)
		}
		want := []string{"tick", "eve-0", "tick", "bob-1", "eve-1", "bob-1", "tick", "eve-2", "tick", "tick", "eve-3", "tick"}
		wantIDs(t, readAll(t, f.Journal, 0, 5), want...)
		after := batches(t, f.Journal)
		if !bytes.Equal(after[3], before[3]) || len(after) != len(before) {
			t.Error("a batch with nothing of his is another")
		}
		for first, value := range after {
			was := before[first]
			if len(value) != len(was) || !bytes.Equal(value[:headerSize], was[:headerSize]) {
				t.Errorf("batch %d has another length or header", first)
			}
			if i := int(first) / 3; !bytes.Contains(value, appendEvent(nil, big(fmt.Sprintf("eve-%d", i), 300*i))) {
				t.Errorf("batch %d: another's record is changed", first)
			}
			if strings.Contains(string(value), "bob-0") {
				t.Errorf("batch %d names him still", first)
			}
		}

		f.close()
		f = openOn(t, fs, Default())
		mustAppend(t, f.Journal, "next")
		wantIDs(t, readAll(t, f.Journal, 0, 5), append(want, "next")...)
		f.close()
		if _, _, err := f.Rewrite(0, 1, 1, blankOf()); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
}

func TestRewriteRefuses(t *testing.T) {
	f := openOn(t, vfs.NewMem(), Default())
	mustAppend(t, f.Journal, "a", "b")
	before := batches(t, f.Journal)
	wrong := errors.New("wrong")
	for name, fn := range map[string]func([]byte) ([]byte, error){
		"another length": func(v []byte) ([]byte, error) { return append(bytes.Clone(v), 0), nil },
		"an error":       func([]byte) ([]byte, error) { return nil, wrong },
	} {
		if next, n, err := f.Rewrite(0, 2, 10, fn); err == nil || next != 0 || n != 0 {
			t.Errorf("%s: next %d, %d changed, %v", name, next, n, err)
		}
	}
	for first, value := range batches(t, f.Journal) {
		if !bytes.Equal(value, before[first]) {
			t.Errorf("batch %d is changed", first)
		}
	}
}

// While it is appended to and read, every record is what it was or a tick of its length, in its place.
func TestRewriteWhileAppended(t *testing.T) {
	const each, appenders = 300, 3
	f := openOn(t, vfs.NewMem(), Default())
	var wg sync.WaitGroup
	for a := range appenders {
		wg.Go(func() {
			for i := range each {
				if err := f.Append(Essential, ev(fmt.Sprintf("%d-%d-of-a-length", a, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var changed atomic.Int64
	wg.Go(func() {
		for from := int64(0); from < each*appenders; {
			_, end := f.Bounds()
			next, n, err := f.Rewrite(from, end, 50, func(value []byte) ([]byte, error) {
				var e event.Event
				if err := e.DecodeBinary(value); err != nil || !strings.HasPrefix(e.Message, "1-") {
					return nil, err
				}
				return blankOf(e.Message)(value)
			})
			if err != nil {
				t.Error(err)
				return
			}
			from = next
			changed.Add(int64(n))
		}
	})
	wg.Go(func() {
		for {
			if _, next := f.Bounds(); next == each*appenders {
				return
			}
			readAll(t, f.Journal, 0, 100) // checks offsets and times
		}
	})
	wg.Wait()
	counts := make(map[string]int)
	for _, id := range readAll(t, f.Journal, 0, 100) {
		who, _, _ := strings.Cut(id, "-")
		counts[who]++
	}
	if changed.Load() != each || counts["tick"] != each || counts["0"] != each || counts["2"] != each {
		t.Errorf("%d are changed, there are %v", changed.Load(), counts)
	}
}

// A crash at any write leaves every batch as it was or as it becomes.
func TestRewriteCrashAtEveryWrite(t *testing.T) {
	m := newModel()
	c := &crashes{t: t, mem: vfs.NewCrashableMem(), model: m, rng: newRand(t)}
	f := reopen(t, c.wrap())
	const records = 60
	var ids []string
	for i := range records {
		ids = append(ids, fmt.Sprint("b-", i, strings.Repeat("x", 10)))
	}
	mustAppend(t, f.Journal, ids...)
	c.armed.Store(true)
	if n := rewriteTo(t, f.Journal, records, 7, blankOf(ids...)); n != records {
		t.Fatalf("%d are changed", n)
	}
	c.armed.Store(false)
	f.close()
	between := 0
	for _, crash := range c.all {
		if crash.disorder {
			continue
		}
		f := reopen(t, crash.fs)
		got := readAll(t, f.Journal, 0, 100)
		if len(got) != records {
			t.Fatalf("crash before %s: %d records", crash.op, len(got))
		}
		blank := 0
		for i, id := range got {
			if id == "tick" {
				blank++
			} else if id != ids[i] {
				t.Errorf("crash before %s: record %d is %s", crash.op, i, id)
			}
		}
		if blank > 0 && blank < records {
			between++
		}
		mustAppend(t, f.Journal, "z")
		f.close()
	}
	if between == 0 {
		t.Errorf("none of %d crashes came in the middle", len(c.all))
	}
}
