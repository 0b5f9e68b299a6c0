package rollup

import (
	"encoding/binary"
	"math/bits"
)

// A cohort row holds the counters of one hour of one scope, and of each of its minutes that has any:
//
//	┌─────────┬─────────────┬────────────────────────────────────────┬
//	│ version │ counters of │ of each minute: its number in the hour,│ …
//	│ 1       │ the hour    │ 1 to 60, rising(1); its counters       │
//	└─────────┴─────────────┴────────────────────────────────────────┴
//
// Counters, of which only those that are not zero are stored, are
//
//	┌───────────────────┬───────────────────────────────────────────┐
//	│ bit each, uvarint │ value of each bit set, from bit 0, varint │
//	└───────────────────┴───────────────────────────────────────────┘
//
// Minutes are in the row of their hour, because a count is nearly always both read and written in both: one row is half
// the work of two. The hour comes first, so that a long window reads no minutes. A row of zeros is not stored at all.
type row struct {
	present uint64 // minutes that may not be zero, by bit
	minutes [hourMinutes]counts
}

func (r *row) clear() {
	for set := r.present; set != 0; set &= set - 1 {
		r.minutes[bits.TrailingZeros64(set)] = counts{}
	}
	r.present = 0
}

// add adds c to a minute of the hour, counted from 0.
func (r *row) add(minute int, c *counts) {
	r.present |= 1 << minute
	r.minutes[minute].add(c)
}

// negative reports a counter below zero, which no set of facts can give.
func (r *row) negative() bool {
	for set := r.present; set != 0; set &= set - 1 {
		for _, v := range r.minutes[bits.TrailingZeros64(set)] {
			if v < 0 {
				return true
			}
		}
	}
	return false
}

// append appends the stored form of r to dst; ok is false if r is all zeros, and so is not to be stored.
func (r *row) append(dst []byte) (value []byte, ok bool) {
	var hour counts
	for set := r.present; set != 0; set &= set - 1 {
		minute := bits.TrailingZeros64(set)
		if r.minutes[minute].zero() {
			r.present &^= 1 << minute
			continue
		}
		hour.add(&r.minutes[minute])
	}
	dst = hour.append(append(dst, rowVersion))
	for set := r.present; set != 0; set &= set - 1 {
		minute := bits.TrailingZeros64(set)
		dst = r.minutes[minute].append(append(dst, byte(minute+1)))
	}
	return dst, r.present != 0
}

// addStored adds a stored row to r.
func (r *row) addStored(value []byte) error {
	s := openValue(value, rowVersion, "cohort row")
	s.counts()
	last := 0
	for len(s.rest) > 0 {
		minute := int(s.byte())
		c := s.counts()
		if minute <= last || minute > hourMinutes {
			s.fail()
			break
		}
		r.add(minute-1, &c)
		last = minute
	}
	return s.end()
}

// addStoredHour adds the hour of a stored row to c.
func (c *counts) addStoredHour(value []byte) error {
	s := openValue(value, rowVersion, "cohort row")
	hour := s.counts()
	c.add(&hour)
	return s.err
}

// counts are the counters of a bucket, or what is to be added to them.
type counts [numCounters]int64

func (c *counts) add(d *counts) {
	for i := range c {
		c[i] += d[i]
	}
}

func (c *counts) zero() bool { return *c == counts{} }

func (c *counts) append(dst []byte) []byte {
	var set uint64
	for i, v := range c {
		if v != 0 {
			set |= 1 << i
		}
	}
	dst = binary.AppendUvarint(dst, set)
	for ; set != 0; set &= set - 1 {
		dst = binary.AppendVarint(dst, c[bits.TrailingZeros64(set)])
	}
	return dst
}

func (s *source) counts() counts {
	var c counts
	set := s.uvarint()
	if bits.Len64(set) > numCounters {
		s.fail()
		return c
	}
	for ; set != 0; set &= set - 1 {
		c[bits.TrailingZeros64(set)] = s.varint()
	}
	return c
}
