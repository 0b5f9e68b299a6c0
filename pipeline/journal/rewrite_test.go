package journal

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/pipeline/event"
)

// xOut has an event whose id contains x named by as many dots.
func xOut(value []byte) ([]byte, error) {
	var e event.Event
	if err := e.DecodeBinary(value); err != nil || !strings.Contains(e.Message, "x") {
		return nil, err
	}
	e.Message = strings.Repeat(".", len(e.Message))
	return e.AppendBinary(nil), nil
}

// rewriteAll rewrites up to end, batch by batch.
func rewriteAll(t testing.TB, j *Journal, end int64) (changed int) {
	t.Helper()
	for from := int64(0); from < end; {
		next, n, err := j.Rewrite(from, end, 1, xOut)
		if err != nil {
			t.Fatal(err)
		}
		if next <= from {
			return changed // the batch reaches beyond the end
		}
		from, changed = next, changed+n
	}
	return changed
}

// What is rewritten keeps its place, size and source, whoever reads and writes meanwhile, and over a crash: each batch is
// the old one or the new one.
func TestRewrite(t *testing.T) {
	fs := vfs.NewCrashableMem()
	f := openOn(t, fs, Default(), "r")
	incarnation := f.Incarnation()
	want := []string{"a", "bx", "c", "xx", "e", "f"}
	mustAppend(t, f.Journal, want...)
	var group sync.WaitGroup
	group.Go(func() {
		for range 50 {
			for i, id := range readAll(t, f.Journal, 0, 3)[:len(want)] {
				if id != want[i] && id != strings.Repeat(".", len(want[i])) {
					t.Errorf("record %d is %q", i, id)
				}
			}
		}
	})
	group.Go(func() { mustAppend(t, f.Journal, "g", "hx") })
	if n := rewriteAll(t, f.Journal, 4); n != 2 {
		t.Errorf("%d records are rewritten, want 2", n)
	}
	group.Wait()
	want = []string{"a", "..", "c", "..", "e", "f", "g", "hx"}
	if got := readAll(t, f.Journal, 0, 10); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	g := openOn(t, crashed, Default(), "r")
	if got := readAll(t, g.Journal, 0, 10); !slices.Equal(got, want) || g.Incarnation() != incarnation {
		t.Errorf("after a crash: %q, want %q", got, want)
	}
	if recs, err := g.Journal.Read(context.Background(), 1, 1, nil); err != nil || recs[0].Source.Sequence != 1 {
		t.Errorf("%+v, %v", recs, err)
	}
}
