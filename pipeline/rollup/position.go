package rollup

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"carom/pipeline/event"
)

// rules is the version of what facts count as: of tally.go and contribution.go. A change of those without a change of
// this number leaves old cohorts as they were, and subtracts from them what was never added.
//
// 1 had no numbers of hits, and counted an inferred open whatever its verdict. 2 had no rows by provider and category, did
// not count clicks of what was delivered, and listed no completions.
const rules = 3

// basis is what cohort rows were computed by. Rows of another basis must be computed anew.
type basis struct {
	rules         uint64
	completeAfter event.Millis
}

func basisOf(o Options) basis { return basis{rules, event.Millis(o.CompleteAfter / time.Millisecond)} }

func (b basis) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, b.rules)
	return binary.AppendVarint(dst, int64(b.completeAfter))
}

func (s *source) basis() basis { return basis{s.uvarint(), s.millis()} }

// position is where a partition stands:
//
//	┌─────────┬────────┬─────────────────┬─────────────────┬───────────────────────────────────────────────┐
//	│ version │ rules  │ complete_after, │ offset of the   │ of each partition that events came from:      │
//	│ 1       │        │ milliseconds    │ next record     │ its number, and the last origin: offset, n    │
//	└─────────┴────────┴─────────────────┴─────────────────┴───────────────────────────────────────────────┘
//
// All varints, but rules, which is a uvarint.
type position struct {
	basis
	next int64
	// origins are of the events that were counted last: of one partition they only grow, so what is not after its
	// last was counted before, DESIGN §9.
	origins map[int32]event.Origin
}

func (p *position) append(dst []byte) []byte {
	dst = p.basis.append(append(dst, positionVersion))
	dst = binary.AppendVarint(dst, p.next)
	for _, n := range slices.Sorted(maps.Keys(p.origins)) {
		o := p.origins[n]
		dst = binary.AppendVarint(dst, int64(n))
		dst = binary.AppendVarint(dst, o.Offset)
		dst = binary.AppendVarint(dst, int64(o.N))
	}
	return dst
}

func (p *position) decode(value []byte) error {
	s := openValue(value, positionVersion, "position")
	p.basis = s.basis()
	p.next = s.varint()
	p.origins = make(map[int32]event.Origin)
	for len(s.rest) > 0 {
		o := event.Origin{Partition: int32(s.varint()), Offset: s.varint(), N: int32(s.varint())}
		p.origins[o.Partition] = o
	}
	return s.end()
}

// passed reports whether the event of origin o was counted before, and remembers it if not.
func (p *position) passed(o event.Origin) bool {
	last, ok := p.origins[o.Partition]
	if ok && !o.After(last) {
		return true
	}
	o.Node = ""
	p.origins[o.Partition] = o
	return false
}
