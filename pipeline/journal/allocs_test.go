//go:build !race

package journal

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"carom/pipeline/event"
)

// Appending one event must not allocate: it is what every pixel does.
func TestAppendAllocs(t *testing.T) {
	f := openOn(t, vfs.NewMem(), Default())
	e := big("m-77123", 100)
	e.Key = event.Key{1, 2, 3}
	for range 100 { // buffers grow to their size
		if err := f.Append(HumanOpen, e); err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(5000, func() {
		if err := f.Append(HumanOpen, e); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations an append, want 0", n)
	}
}
