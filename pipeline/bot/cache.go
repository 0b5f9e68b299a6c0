package bot

import (
	"hash/maphash"
	"math/bits"
	"sync/atomic"
)

// cache remembers what the automaton found in the agents of late: a few hundred make up most of all traffic. Its size
// is constant, it takes no locks and it never allocates.
//
//	keyed hash of the agent(64) ─▶ slot │ hash ^ mixed parts and best │ parts │ best │
//
// A slot is three words that are written one by one, so a reader may see words of two writers. The first word proves
// that the three belong together and to the agent. The others are mixed into it, because they are small numbers: those
// of two findings may give the same when they are only xored.
//
// What could go wrong is that another agent's words give the same hash: for a look-up that meets a slot of another agent
// or of two writers that happens once in 2^64. At 10,000 such look-ups a second that is once in 58 million years. The
// key is random, so nobody can choose agents that collide.
type cache struct {
	seed  maphash.Seed
	slots []cacheSlot
}

type cacheSlot struct {
	proof, parts, best atomic.Uint64
}

const (
	// cacheSlots is a power of two; 8192 slots are 192 KiB, which a core's own cache holds.
	cacheSlots = 1 << 13
	// minCached is how long an agent must be for the cache to be faster than the automaton, in bytes.
	minCached = 24
)

func newCache() cache { return cache{seed: maphash.MakeSeed(), slots: make([]cacheSlot, cacheSlots)} }

// finding is what the automaton finds in an agent: the best rule for opens and for clicks, and the parts.
type finding struct {
	best  [hits]int
	parts uint64
}

// get returns what is remembered of the agent with a hash.
func (c *cache) get(hash uint64) (f finding, ok bool) {
	s := &c.slots[hash%cacheSlots]
	parts, best := s.parts.Load(), s.best.Load()
	if s.proof.Load()^mix(parts, best) != hash {
		return f, false
	}
	f.best[opens], f.best[clicks] = unpackRule(best), unpackRule(best>>32)
	f.parts = parts
	return f, true
}

func (c *cache) put(hash uint64, f finding) {
	s := &c.slots[hash%cacheSlots]
	best := packRule(f.best[opens]) | packRule(f.best[clicks])<<32
	s.proof.Store(hash ^ mix(f.parts, best))
	s.parts.Store(f.parts)
	s.best.Store(best)
}

// mix spreads two words over one. The factors are odd, so words that differ in one of the two never give the same; they are
// the first digits of the golden ratio and of the square root of 2.
func mix(parts, best uint64) uint64 {
	return parts*0x9e3779b97f4a7c15 ^ bits.RotateLeft64(best*0xb504f333f9de6485, 32)
}

// packRule writes an index as stored: 0 for none.
func packRule(i int) uint64 {
	if i == none {
		return 0
	}
	return uint64(i) + 1
}

func unpackRule(p uint64) int {
	if p &= 1<<32 - 1; p > 0 {
		return int(p - 1)
	}
	return none
}
