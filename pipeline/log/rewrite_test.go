package log

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/kv"
	"carom/pipeline/event"
)

// upper has records that contain x in the place of those, with another key.
func upper(key, value []byte) ([]byte, []byte, bool, error) {
	if !strings.Contains(string(value), "x") {
		return nil, nil, false, nil
	}
	return append([]byte("new "), key...), []byte(strings.ToUpper(string(value))), true, nil
}

// A rewrite keeps offsets and log times, and goes no further than it is told to, even if the log begins later than where
// the rewrite does.
func TestRewrite(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	l := openLocal(t, s, kv.LogEvents, 1)
	for i, v := range []string{"a", "bx", "cx", "d", "ex", "fx", "gx"} {
		write(t, s, l, event.Millis(i), v)
	}
	if err := l.Trim(2); err != nil {
		t.Fatal(err)
	}
	from, all := int64(0), 0
	for from < 5 {
		next, changed, err := l.Rewrite(from, 5, 2, upper)
		if err != nil || next <= from || next > 5 {
			t.Fatalf("from %d to %d: %v", from, next, err)
		}
		from, all = next, all+changed
	}
	recs, err := l.Read(t.Context(), 2, 10, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range recs {
		got = append(got, fmt.Sprint(r.Offset, " ", int64(r.Time), " ", string(r.Key), ": ", string(r.Value)))
	}
	want := []string{"2 2 new key of cx: CX", "3 3 key of d: d", "4 4 new key of ex: EX", "5 5 key of fx: fx", "6 6 key of gx: gx"}
	if !slices.Equal(got, want) || all != 2 {
		t.Errorf("%d changed: %q, want %q", all, got, want)
	}
	if next, _, err := l.Rewrite(5, 5, 2, upper); next != 5 || err != nil {
		t.Errorf("nothing to do: %d, %v", next, err)
	}
	l = openLocal(t, s, kv.LogEvents, 1)
	if oldest, next := l.Bounds(); oldest != 2 || next != 7 {
		t.Errorf("bounds %d %d", oldest, next)
	}
}
