package scenario

import (
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// ledger is the account of all facts: what was tried, what was acknowledged, what has arrived.
//
// It is a hash table with open addressing, in shards that grow one at a time:
//
//	entry, 24 bytes   fact 8 | hash of the event's id 8 | acknowledged, in ticks, 4 | state 4
//
// A shard is filled to three quarters at most, so a fact takes 32 to 64 bytes, and no more for long while one grows.
type ledger struct {
	begin  time.Time
	shards [shards]shard
	seed   maphash.Seed

	acked   atomic.Int64 // facts
	arrived atomic.Int64 // of those
	early   [kinds]atomic.Int64
}

const (
	shards = 256
	// tick is what times of acknowledgement are kept in.
	tick = 100 * time.Microsecond
)

type shard struct {
	mu      sync.Mutex
	entries []entry // a power of two
	used    int
}

type entry struct {
	fact  fact // 0: free
	id    uint64
	acked uint32 // ticks since the beginning, from 1; 0: not acknowledged
	state state
}

type state uint32

const (
	tried       state = 1 << iota
	seen              // an event tells of it
	twice             // two events do
	told              // an event of this revision was told once more
	wrongSender       // the event names another sender
	wrongActor        // ... another verdict
	wrongBounce       // ... another reason
	faults      = twice | told | wrongSender | wrongActor | wrongBounce

	revisionShift = 16
)

func newLedger(begin time.Time) *ledger {
	l := &ledger{begin: begin, seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].entries = make([]entry, 16)
	}
	return l
}

// mix spreads the numbers of facts (the finalizer of SplitMix64).
func mix(f fact) uint64 {
	x := uint64(f)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// locked returns the shard of a fact, locked.
func (l *ledger) locked(f fact) (*shard, uint64) {
	h := mix(f)
	s := &l.shards[h%shards]
	s.mu.Lock()
	return s, h / shards
}

// find returns the entry of a fact, or the free one where it belongs.
func (s *shard) find(f fact, h uint64) *entry {
	mask := uint64(len(s.entries) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		if e := &s.entries[i]; e.fact == f || e.fact == 0 {
			return e
		}
	}
}

// put returns the entry of a fact, a new one if there is none.
func (s *shard) put(f fact, h uint64) *entry {
	e := s.find(f, h)
	if e.fact != 0 {
		return e
	}
	if s.used++; s.used > len(s.entries)/4*3 {
		s.grow()
		e = s.find(f, h)
	}
	e.fact = f
	return e
}

func (s *shard) grow() {
	old := s.entries
	s.entries = make([]entry, 2*len(old))
	for i := range old {
		if f := old[i].fact; f != 0 {
			*s.find(f, mix(f)/shards) = old[i]
		}
	}
}

// try notes that a fact is about to be told to the node, so that it may arrive.
func (l *ledger) try(f fact) {
	s, h := l.locked(f)
	defer s.mu.Unlock()
	s.put(f, h).state |= tried
}

// ack notes that the node has answered for it, so that it must arrive.
func (l *ledger) ack(f fact, now time.Time) {
	s, h := l.locked(f)
	defer s.mu.Unlock()
	e := s.put(f, h)
	if e.acked != 0 {
		return
	}
	e.acked = uint32(min(now.Sub(l.begin)/tick, math.MaxUint32-1)) + 1 // after 119 hours times are no more told apart
	l.acked.Add(1)
	if e.state&seen != 0 {
		l.arrived.Add(1)
		l.early[f.kind()].Add(1)
	}
}

// sighting is what an event tells of a fact.
type sighting struct {
	id       string
	revision int
	// takenBack: it turned out to repeat another event.
	takenBack bool
	wrong     state // of wrongSender, wrongActor, wrongBounce
}

// see notes that an event tells of a fact. invented says that nobody tried it; fresh that it is the first to tell of what
// was acknowledged, waited before.
func (l *ledger) see(f fact, g *sighting, now time.Time) (waited time.Duration, fresh, invented bool) {
	s, h := l.locked(f)
	defer s.mu.Unlock()
	e := s.find(f, h)
	if f.kind() == inferredOpen {
		e = s.put(f, h)
	} else if e.fact == 0 {
		return 0, false, true
	}
	id := maphash.String(l.seed, g.id)
	switch {
	case g.takenBack && e.state&twice != 0:
		e.state &^= twice // one of the two remains
		return 0, false, false
	case g.takenBack && (e.state&seen == 0 || e.id != id):
		return 0, false, false // the event that it repeats speaks for the fact
	case g.takenBack:
		e.state &= tried
		if e.acked != 0 {
			l.arrived.Add(-1)
		}
		return 0, false, false
	case e.state&seen == 0:
		fresh = e.acked != 0
	case e.id != id:
		e.state |= twice
		return 0, false, false
	case g.revision <= int(e.state>>revisionShift):
		e.state |= told
		return 0, false, false
	}
	e.id = id
	e.state = e.state&(tried|twice|told) | seen | g.wrong | state(min(g.revision, 1<<16-1))<<revisionShift
	if fresh {
		l.arrived.Add(1)
		waited = now.Sub(l.begin.Add(time.Duration(e.acked-1) * tick))
	}
	return max(waited, 0), fresh, false
}

// hear notes that a record tells of a fact, which may come several times. invented says that nobody tried it.
func (l *ledger) hear(f fact, wrong state) (invented bool) {
	s, h := l.locked(f)
	defer s.mu.Unlock()
	e := s.find(f, h)
	if e.fact == 0 {
		return true
	}
	e.state |= seen | wrong
	return false
}

// forget forgets what has arrived, so that another stream can be checked.
func (l *ledger) forget() {
	l.arrived.Store(0)
	l.each(func(e *entry) {
		e.id, e.state = 0, e.state&tried
	})
}

// each visits all entries, in no order. Nobody else may use the ledger meanwhile.
func (l *ledger) each(visit func(*entry)) {
	for i := range l.shards {
		for j := range l.shards[i].entries {
			if e := &l.shards[i].entries[j]; e.fact != 0 {
				visit(e)
			}
		}
	}
}

// bytes is what it holds in memory.
func (l *ledger) bytes() (n int64) {
	const entrySize = 24
	for i := range l.shards {
		n += int64(len(l.shards[i].entries)) * entrySize
	}
	return n
}
