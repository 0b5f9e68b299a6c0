package control

import (
	"encoding/binary"
	"sync/atomic"

	"carom/pipeline/event"
)

// set is a set of contact keys that is read without a lock: open addressing, linear probing. One goroutine at a time
// writes; it never moves a key within a table, and never gives a place that was left to another key, so a reader that
// looks on meanwhile finds what is there all the time. A full table is copied and swapped.
type set struct {
	table atomic.Pointer[[]slot]
	used  int // places that are taken or were left
	live  atomic.Int64
}

// slot holds a key's second half in lo, as it is or moved away from the two that mean something. It is written last:
// whoever sees it sees hi.
type slot struct{ hi, lo atomic.Uint64 }

const (
	loEmpty = 0
	loGone  = 1
	minSet  = 1 << 6
)

func newSet() *set {
	s := &set{}
	table := make([]slot, minSet)
	s.table.Store(&table)
	return s
}

func halves(k event.ContactKey) (hi, lo uint64) {
	hi, lo = binary.BigEndian.Uint64(k[:8]), binary.BigEndian.Uint64(k[8:])
	if lo <= loGone {
		lo += 1 << 63
	}
	return hi, lo
}

// has reports whether k is in the set.
func (s *set) has(k event.ContactKey) bool {
	hi, lo := halves(k)
	table := *s.table.Load()
	for mask, i := uint64(len(table)-1), hi; ; i++ {
		switch at := &table[i&mask]; at.lo.Load() {
		case loEmpty:
			return false
		case lo:
			if at.hi.Load() == hi {
				return true
			}
		}
	}
}

func (s *set) len() int { return int(s.live.Load()) }

// add puts k in.
func (s *set) add(k event.ContactKey) {
	if s.has(k) {
		return
	}
	if table := *s.table.Load(); s.used+1 > len(table)/8*5 {
		s.grow()
	}
	hi, lo := halves(k)
	put(*s.table.Load(), hi, lo)
	s.used++
	s.live.Add(1)
}

func put(table []slot, hi, lo uint64) {
	mask := uint64(len(table) - 1)
	i := hi
	for table[i&mask].lo.Load() != loEmpty {
		i++
	}
	table[i&mask].hi.Store(hi)
	table[i&mask].lo.Store(lo)
}

// grow makes a table in which half of what is live fits again, without the places that were left.
func (s *set) grow() {
	size := minSet
	for size/8*5 < 2*(s.len()+1) {
		size *= 2
	}
	table := make([]slot, size)
	old := *s.table.Load()
	s.used = 0
	for i := range old {
		if lo := old[i].lo.Load(); lo > loGone {
			put(table, old[i].hi.Load(), lo)
			s.used++
		}
	}
	s.table.Store(&table)
}

// remove takes k out.
func (s *set) remove(k event.ContactKey) {
	hi, lo := halves(k)
	table := *s.table.Load()
	for mask, i := uint64(len(table)-1), hi; ; i++ {
		switch at := &table[i&mask]; at.lo.Load() {
		case loEmpty:
			return
		case lo:
			if at.hi.Load() == hi {
				at.lo.Store(loGone)
				s.live.Add(-1)
				return
			}
		}
	}
}
