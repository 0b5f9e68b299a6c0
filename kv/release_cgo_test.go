//go:build cgo && linux && !race

package kv // under the race detector Pebble takes its memory from Go in every other process

import (
	"bytes"
	"fmt"
	"math/rand/v2"
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

// storeOfBlocks is a store with so many blocks of 9 kB on its disk.
func storeOfBlocks(t testing.TB, blocks int, cache int64) *Store {
	t.Helper()
	s, err := Open("store", Options{FS: vfs.NewMem(), CacheBytes: cache})
	if err != nil {
		t.Fatal(err)
	}
	for from := 0; from < blocks; from += 100 {
		b := s.NewBatch()
		for i := from; i < min(from+100, blocks); i++ {
			_ = b.Set(blockKey(i), bytes.Repeat(fmt.Appendf(nil, "%09d", i), 1000), nil)
		}
		if err := s.Commit(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DB().Flush(); err != nil {
		t.Fatal(err)
	}
	return s
}

func blockKey(i int) []byte { return fmt.Appendf(nil, "z%06d", i) }

// readBlock has a block in the cache afterwards.
func readBlock(t testing.TB, s *Store, i int) {
	t.Helper()
	_, c, err := s.DB().Get(blockKey(i))
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
}

// Blocks of a cache that is gone lie between those of one that stays, so the allocator keeps their pages until it is asked.
func TestReleaseMemory(t *testing.T) {
	const blocks = 2_000
	stays, goes := storeOfBlocks(t, blocks, 64<<20), storeOfBlocks(t, blocks, 64<<20)
	defer func() { _ = stays.Close() }()
	for from := 0; from < blocks; from += 20 { // so that whole pages become free, of whatever size they are
		for _, s := range []*Store{stays, goes} {
			for i := range 20 {
				readBlock(t, s, from+i)
			}
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

// BenchmarkReleaseMemory is of a full cache of 256 MiB, of which each turn frees 16 MB and takes them anew.
func BenchmarkReleaseMemory(b *testing.B) {
	const blocks = 60_000
	s := storeOfBlocks(b, blocks, 256<<20)
	defer func() { _ = s.Close() }()
	rng := rand.New(rand.NewPCG(1, 1))
	for range blocks {
		readBlock(b, s, rng.IntN(blocks))
	}
	for b.Loop() {
		b.StopTimer()
		for range 1_800 {
			readBlock(b, s, rng.IntN(blocks))
		}
		b.StartTimer()
		ReleaseMemory()
	}
}
