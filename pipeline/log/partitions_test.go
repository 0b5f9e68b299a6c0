package log

import (
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func TestPartitions(t *testing.T) {
	s := openStore(t, vfs.NewMem())
	for _, p := range []int32{7, 0, 300, 65535} {
		write(t, s, openLocal(t, s, 9, p), 1, "a", "b")
	}
	if got, err := Partitions(s, 9); err != nil || !slices.Equal(got, []int32{0, 7, 300, 65535}) {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := Partitions(s, 8); err != nil || len(got) != 0 {
		t.Errorf("of a log that is not there: %v, %v", got, err)
	}
}
