package suppress

import (
	"math"
	"sync/atomic"
)

// filter is a Bloom filter in blocks of one cache line: it says of most names that are not in it that they are not, in one
// read of memory, and of none that is in it that it is not. It goes by hashes. Any number may ask and add at once.
type filter struct {
	blocks [][8]atomic.Uint64
	added  atomic.Int64
	room   int
}

const (
	filterBits = 12 // bits a name: some 1 % of false answers, when it is full
	filterAsks = 6  // bits that each name sets
	minFilter  = 1 << 14
	blockBits  = 512
)

func newFilter(names int) *filter {
	names = max(names, minFilter)
	return &filter{room: names, blocks: make([][8]atomic.Uint64, names*filterBits/blockBits+1)}
}

func (f *filter) block(h uint64) *[8]atomic.Uint64 {
	return &f.blocks[(h>>32)*uint64(len(f.blocks))>>32]
}

func (f *filter) add(h uint64) {
	if f.has(h) {
		return
	}
	b := f.block(h)
	for range filterAsks {
		b[h>>6&7].Or(1 << (h & 63))
		h = h*0xd6e8feb86659fd93 + math.MaxUint32
		h ^= h >> 29
	}
	f.added.Add(1)
}

// full reports whether false answers get more than they may be.
func (f *filter) full() bool { return f.added.Load() > int64(f.room) }

func (f *filter) has(h uint64) bool {
	b := f.block(h)
	for range filterAsks {
		if b[h>>6&7].Load()&(1<<(h&63)) == 0 {
			return false
		}
		h = h*0xd6e8feb86659fd93 + math.MaxUint32
		h ^= h >> 29
	}
	return true
}
