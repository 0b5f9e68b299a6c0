package rollup

import (
	"encoding/binary"
	"math/bits"
)

// A cohort row holds the counters of one bucket. Only those that are not zero are stored:
//
//	┌─────────┬───────────┬──────────────────────────────────────────┐
//	│ version │ bit each  │ value of each bit that is set, from bit 0│   bits uvarint, values varints
//	│ 1       │ counter   │                                          │
//	└─────────┴───────────┴──────────────────────────────────────────┘
//
// A row of zeros is not stored at all.
func (c *counts) append(dst []byte) []byte {
	dst = append(dst, rowVersion)
	var set uint64
	for i, v := range c {
		if v != 0 {
			set |= 1 << i
		}
	}
	dst = binary.AppendUvarint(dst, set)
	for _, v := range c {
		if v != 0 {
			dst = binary.AppendVarint(dst, v)
		}
	}
	return dst
}

// addStored adds the counters of a stored row to c.
func (c *counts) addStored(value []byte) error {
	s := openValue(value, rowVersion, "cohort row")
	set := s.uvarint()
	if bits.Len64(set) > numCounters {
		s.fail()
	}
	var add counts
	for i := range add {
		if set&(1<<i) != 0 {
			add[i] = s.varint()
		}
	}
	if err := s.end(); err != nil {
		return err
	}
	c.add(&add)
	return nil
}

func (c *counts) add(d *counts) {
	for i := range c {
		c[i] += d[i]
	}
}

func (c *counts) zero() bool { return *c == counts{} }

// negative reports a counter below zero, which no set of facts can give.
func (c *counts) negative() bool {
	for _, v := range c {
		if v < 0 {
			return true
		}
	}
	return false
}
