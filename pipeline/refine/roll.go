package refine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
	"carom/pipeline/event"
)

// The roll of an epoch says which messages are of it:
//
//	24 | epoch(4) | page(4)     rollPage names of 8 bytes, in the order in which the messages became known; the last page fewer
//
// A name is a part of the message's key that comes from a hash of account and message id. What was erased stays on the roll.
//
// Most messages that are looked for are new, and of no epoch at all. In memory a roll is a filter that says so without a
// look at the disk, and is wrong about one in a hundred: those are looked for. A filter is of parts, of which each new one
// takes as many names as all before it, and a part of blocks of one cache line, of which a name has one:
//
//	name ─▶ block ─▶ 6 of its 512 bits, all set: perhaps
//
// Run's goroutine adds; anybody may ask. Who sees a message on disk finds it on the roll, because it was put there before.
const (
	nameBytes = 8
	rollPage  = 128
	pageBytes = rollPage * nameBytes

	blockWords  = 8
	blockBits   = 64 * blockWords
	bitsPerName = 10
	bitsOfName  = 6
	// minPart is how many names the first part takes at least.
	minPart = 1 << 12
)

func (k keyspace) rollPage(dst []byte, e epochID, page uint32) []byte {
	return kv.AppendUint32(k.epoch(dst, tableRolls, e), page)
}

// roll is nil for an epoch that has none: it may hold any message.
type roll struct {
	memory *rollMemory
	names  uint64
	// unwritten are names of which the last are not on disk, from the beginning of a page on.
	unwritten []byte
	changed   bool

	parts atomic.Pointer[[]rollPart] // nil: there is no room for them
	room  uint64                     // how many more names the last takes
}

// rollPart holds blocks one after the other. Its words are read and written atomically.
type rollPart []uint64

// rollMemory is what the filters of a partition take and may take, in bytes.
type rollMemory struct{ used, bound int }

// newRoll makes the roll of an epoch that is to hold so many messages, as far as anybody knows.
func newRoll(m *rollMemory, expected uint64) *roll {
	r := &roll{memory: m}
	r.parts.Store(new([]rollPart))
	r.grow(expected)
	return r
}

// grow adds a part that takes so many names. If there is no room for it, the whole filter goes.
func (r *roll) grow(names uint64) {
	names = max(names, minPart)
	blocks := int(names*bitsPerName/blockBits) + 1
	if r.memory.used+blocks*blockBits/8 > r.memory.bound {
		r.drop()
		return
	}
	r.memory.used += blocks * blockBits / 8
	parts := append([]rollPart(nil), *r.parts.Load()...)
	parts = append(parts, make(rollPart, blocks*blockWords))
	r.parts.Store(&parts)
	r.room = names
}

// drop gives the filter's memory back.
func (r *roll) drop() {
	if r == nil || r.parts.Load() == nil {
		return
	}
	for _, part := range *r.parts.Load() {
		r.memory.used -= 8 * len(part)
	}
	r.parts.Store(nil)
}

// add puts a message on the roll.
func (r *roll) add(key event.Key) {
	if r == nil {
		return
	}
	r.unwritten = append(r.unwritten, nameOf(key)...)
	r.changed = true
	r.filter(binary.BigEndian.Uint64(nameOf(key)))
}

// nameOf is the part of a key that stands for it. The first four bytes are the same for all accounts, and choose the partition.
func nameOf(key event.Key) []byte { return key[4 : 4+nameBytes] }

// filter adds a name to the filter.
func (r *roll) filter(name uint64) {
	r.names++
	if r.parts.Load() == nil {
		return
	}
	if r.room == 0 {
		if r.grow(r.names - 1); r.parts.Load() == nil {
			return
		}
	}
	r.room--
	parts := *r.parts.Load()
	block, spread := parts[len(parts)-1].block(name)
	for range bitsOfName {
		word := &block[spread>>61]
		atomic.StoreUint64(word, atomic.LoadUint64(word)|1<<(spread>>55&63))
		spread <<= 9
	}
}

// mayHave reports whether a message may be on the roll. If not, it is not of the epoch.
func (r *roll) mayHave(key event.Key) bool {
	if r == nil {
		return true
	}
	parts := r.parts.Load()
	if parts == nil {
		return true
	}
	name := binary.BigEndian.Uint64(nameOf(key))
	for _, part := range *parts {
		if part.mayHave(name) {
			return true
		}
	}
	return false
}

func (part rollPart) mayHave(name uint64) bool {
	block, spread := part.block(name)
	for range bitsOfName {
		if atomic.LoadUint64(&block[spread>>61])&(1<<(spread>>55&63)) == 0 {
			return false
		}
		spread <<= 9
	}
	return true
}

// block returns a name's block, and of what its bits there are made, nine each from the highest on. The names of a block
// start alike, so what they start with is mixed with the rest.
func (part rollPart) block(name uint64) (block *[blockWords]uint64, spread uint64) {
	at, _ := bits.Mul64(name, uint64(len(part)/blockWords))
	return (*[blockWords]uint64)(part[at*blockWords:]), name * 0x9E3779B97F4A7C15
}

// write puts the names that came since the last time into b. The pages don't depend on when it is called.
func (r *roll) write(keys keyspace, e epochID, b *kv.Batch) error {
	if r == nil || !r.changed {
		return nil
	}
	page := uint32((r.names - uint64(len(r.unwritten)/nameBytes)) / rollPage)
	for rest := r.unwritten; len(rest) > 0; page++ {
		n := min(len(rest), pageBytes)
		if err := b.Set(keys.rollPage(nil, e, page), rest[:n], nil); err != nil {
			return fmt.Errorf("write roll: %w", err)
		}
		rest = rest[n:]
	}
	whole := len(r.unwritten) / pageBytes * pageBytes
	r.unwritten = append(r.unwritten[:0], r.unwritten[whole:]...)
	r.changed = false
	return nil
}

// readRoll reads the roll of an epoch that is to hold so many messages at least.
func readRoll(store *kv.Store, keys keyspace, e epochID, m *rollMemory, expected uint64) (*roll, error) {
	prefix := keys.epoch(nil, tableRolls, e)
	it, err := store.DB().NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: kv.PrefixEnd(prefix)})
	if err != nil {
		return nil, fmt.Errorf("read roll: %w", err)
	}
	names := uint64(0)
	if it.Last() && len(it.Key()) == epochBytes+4 {
		names = uint64(binary.BigEndian.Uint32(it.Key()[epochBytes:]))*rollPage + uint64(len(it.Value())/nameBytes)
	}
	r := newRoll(m, max(names, expected))
	for ok := it.First(); ok; ok = it.Next() {
		page := it.Value()
		if r.unwritten = r.unwritten[:0]; len(page) != pageBytes {
			r.unwritten = append(r.unwritten, page...)
		}
		for ; len(page) >= nameBytes; page = page[nameBytes:] {
			r.filter(binary.BigEndian.Uint64(page))
		}
	}
	if r.names != names || len(r.unwritten)%nameBytes != 0 { // pages that are short, or missing
		err = fmt.Errorf("%w: roll of epoch %d", errDamaged, e)
	}
	if err := errors.Join(err, it.Error(), it.Close()); err != nil {
		return nil, fmt.Errorf("read roll: %w", err)
	}
	return r, nil
}
