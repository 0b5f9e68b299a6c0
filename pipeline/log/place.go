package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"carom/kv"
	"carom/pipeline/event"
)

// mirrorOrigins bounds the partitions that records of a mirrored log can come from: no topic has more.
const mirrorOrigins = 4096

// What a log keeps of itself, by the byte that follows the partition.
const (
	mirrorPlace   byte = 0 // a mirror's place
	mirrorTrimmed byte = 1 // of a mirror, version(1)=1, the oldest offset that can be read(8, big-endian)
	localJumped   byte = 2 // of a Local, jump
)

// own returns the key of what a log keeps of itself:
//
//	PrefixMirror │ log(1) │ partition(2) │ what(1)
func (t table) own(what byte) []byte {
	return append(kv.AppendUint16([]byte{kv.PrefixMirror, t.log}, uint16(t.partition)), what)
}

func (m *Mirror) trimmed() (int64, error) {
	value, ok, err := m.store.Get(nil, m.own(mirrorTrimmed))
	if err != nil || !ok {
		return 0, err
	}
	if len(value) != 1+8 || value[0] != placeVersion {
		return 0, errPlace
	}
	return int64(binary.BigEndian.Uint64(value[1:])), nil
}

// place is where a mirror stands:
//
//	┌─────────┬─────────────────┬──────────────────┬──────────────┬───────────────────────────────────────────────┐
//	│ version │ source offset   │ offset after the │ log time of  │ of each partition that records came from:     │
//	│ 1       │ to copy next    │ last copy        │ the last     │ its number, and the last origin: offset, n    │
//	└─────────┴─────────────────┴──────────────────┴──────────────┴───────────────────────────────────────────────┘
//
// All varints.
type place struct {
	next, end int64
	time      event.Millis
	// origins only grow within a partition, so what is not after its last was copied before, DESIGN §9.
	origins map[int32]event.Origin
}

const placeVersion byte = 1

var errPlace = errors.New("log: malformed place of a log")

func (p *place) append(dst []byte) []byte {
	dst = append(dst, placeVersion)
	for _, n := range []int64{p.next, p.end, int64(p.time)} {
		dst = binary.AppendVarint(dst, n)
	}
	for _, n := range slices.Sorted(maps.Keys(p.origins)) {
		o := p.origins[n]
		dst = binary.AppendVarint(dst, int64(n))
		dst = binary.AppendVarint(dst, o.Offset)
		dst = binary.AppendVarint(dst, int64(o.N))
	}
	return dst
}

func (p *place) decode(value []byte, there bool) error {
	*p = place{origins: make(map[int32]event.Origin)}
	if !there {
		return nil
	}
	if len(value) == 0 {
		return errPlace
	}
	if value[0] != placeVersion {
		return fmt.Errorf("log: place of a mirror has version %d, this Carom reads %d: use a newer Carom", value[0], placeVersion)
	}
	rest, broken := value[1:], false
	varint := func() int64 {
		n, size := binary.Varint(rest)
		if size <= 0 {
			broken, rest = true, nil
			return 0
		}
		rest = rest[size:]
		return n
	}
	p.next, p.end, p.time = varint(), varint(), event.Millis(varint())
	for len(rest) > 0 {
		o := event.Origin{Partition: int32(varint()), Offset: varint(), N: int32(varint())}
		p.origins[o.Partition] = o
	}
	if broken || p.next < 0 || p.end < 0 || p.end > p.next {
		return errPlace
	}
	return nil
}

// had reports whether the record of origin o was copied before, and remembers it if not.
func (p *place) had(o event.Origin) bool {
	last, ok := p.origins[o.Partition]
	if ok && !o.After(last) {
		return true
	}
	p.origins[o.Partition] = event.Origin{Partition: o.Partition, Offset: o.Offset, N: o.N}
	return false
}
