//go:build cgo && linux && !race

package kv // under the race detector Pebble takes its memory from Go

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// rss is what this process has resident, in bytes.
func rss(t *testing.T) int {
	t.Helper()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int
	if _, err := fmt.Sscan(string(data), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * os.Getpagesize()
}

// Blocks of a cache that is gone lie between those of one that stays, so the allocator keeps their pages until it is asked.
func TestReleaseMemory(t *testing.T) {
	open := func() *Store { // with 18 MB in its cache, once they are read
		s, err := Open("store", Options{FS: vfs.NewMem()})
		if err != nil {
			t.Fatal(err)
		}
		b := s.NewBatch()
		for i := range 2_000 {
			_ = b.Set(fmt.Appendf(nil, "z%04d", i), bytes.Repeat(fmt.Appendf(nil, "%09d", i), 1000), nil)
		}
		if err := s.Commit(b); err != nil {
			t.Fatal(err)
		}
		if err := s.DB().Flush(); err != nil {
			t.Fatal(err)
		}
		return s
	}
	stays, goes := open(), open()
	defer func() { _ = stays.Close() }()
	for i := range 2_000 {
		for _, s := range []*Store{stays, goes} {
			_, c, err := s.DB().Get(fmt.Appendf(nil, "z%04d", i))
			if err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
		}
	}
	if err := goes.Close(); err != nil {
		t.Fatal(err)
	}
	before := rss(t)
	if released, after := ReleaseMemory(), rss(t); !released || after > before-4<<20 {
		t.Errorf("released: %v; %d MiB were resident, and %d after it", released, before>>20, after>>20)
	}
}
