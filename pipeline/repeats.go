package pipeline

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"sync"
	"time"

	"carom/pipeline/event"
)

// repeats remembers which hits were recorded lately: message, kind, link, verdict class, client. Its window is not longer
// than that of refine's duplicates, so nothing is dropped here that refine would count: but for what refine finds out about
// one of two clicks on one link and not about the other, by what else was clicked meanwhile.
//
// Of hits with a verdict that holds soon after delivery, which only refine can place, one a second is recorded: the prefetch
// of an image proxy at 55 s must not hide its reader at 62 s.
//
//	fingerprint(64) ─▶ shard ─▶ set of 8 entries │ fingerprint(64) │ event time(64) │
//
// A full set forgets its oldest entry; then a repeat is recorded once more, which costs a record and no truth.
//
// The other error would be a hit taken for a repeat that is none: another's fingerprint is equal, in one of the 8 entries
// that it is compared with and whose other bits chose their set. With n entries that happens to one hit in 2^64 / n,
// which is 1 in 140 million millions at the default size: at 10,000 hits a second once in 450 years. So fingerprints
// needn't be longer. The seed is random, so nobody can choose colliding ones.
type repeats struct {
	window event.Millis
	seed   maphash.Seed
	shards []repeatShard
	mask   uint64 // of a set within a shard
}

type repeatShard struct {
	mu   sync.Mutex
	sets []repeatSet
	_    [40]byte // to a cache line of its own
}

type repeatSet [repeatWays]repeatEntry

type repeatEntry struct {
	print uint64 // 0: never used
	at    event.Millis
}

const (
	repeatWays     = 8
	repeatShards   = 64
	repeatShardBit = 6
)

// newRepeats returns repeats for about n entries, rounded up to a power of two; for 0 they remember nothing.
func newRepeats(n int, window time.Duration) *repeats {
	r := &repeats{window: event.Millis(window.Milliseconds()), seed: maphash.MakeSeed()}
	if n == 0 {
		return r
	}
	sets := max(1, n/(repeatWays*repeatShards))
	sets = 1 << bits.Len(uint(sets-1))
	r.mask = uint64(sets - 1)
	r.shards = make([]repeatShard, repeatShards)
	for i := range r.shards {
		r.shards[i].sets = make([]repeatSet, sets)
	}
	return r
}

// repeat is what makes two hits the same: all that refine's duplicates have in common.
type repeat [16 + 8 + 4 + 1 + 1 + 1]byte

func repeatOf(ev *event.Event) (p repeat) {
	copy(p[:16], ev.Key[:])
	binary.BigEndian.PutUint64(p[16:], ev.Client.Hash)
	binary.BigEndian.PutUint32(p[24:], ev.Link)
	p[28] = byte(ev.Kind)
	p[29] = verdictClass(ev.Actor.Verdict)
	if ev.Soon.Within > 0 {
		p[30] = 1 + byte(ev.Time/1000%255)
	}
	return p
}

// verdictClass keeps machines' hits from hiding people's, and the other way round.
func verdictClass(v event.Verdict) byte {
	switch {
	case v == event.Human:
		return 1
	case v.Machine():
		return 2
	}
	return 3
}

// locate returns the fingerprint of p, its shard and its set.
func (r *repeats) locate(p repeat) (uint64, *repeatShard, uint64) {
	print := max(maphash.Bytes(r.seed, p[:]), 1)
	return print, &r.shards[print%repeatShards], print >> repeatShardBit & r.mask
}

// seen reports whether p was recorded within the window of a time.
func (r *repeats) seen(p repeat, at event.Millis) bool {
	if r.shards == nil {
		return false
	}
	print, shard, set := r.locate(p)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	entries := &shard.sets[set]
	for i := range entries {
		if entries[i].print == print {
			return r.near(entries[i].at, at)
		}
	}
	return false
}

// near reports whether two hits are repeats by their times. They may come in any order: two goroutines may have taken
// the time one way round and have come here the other.
func (r *repeats) near(a, b event.Millis) bool { return a-b < r.window && b-a < r.window }

// add remembers that p was recorded. Of two that raced each other it keeps the first, because refine measures from that.
func (r *repeats) add(p repeat, at event.Millis) {
	if r.shards == nil {
		return
	}
	print, shard, set := r.locate(p)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	entries := &shard.sets[set]
	oldest := 0
	for i := range entries {
		e := &entries[i]
		if e.print == print {
			if !r.near(e.at, at) || at < e.at {
				e.at = at
			}
			return
		}
		if e.at < entries[oldest].at {
			oldest = i
		}
	}
	entries[oldest] = repeatEntry{print: print, at: at}
}
