package refine

import (
	"context"
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
// Of a store that is opened, the filters are filled while the partition runs already: with many millions of messages that
// takes seconds. A message may be on a roll that is not read yet.
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
	// unread is how many names from before the start are yet to be brought into the first part. As long as there are any,
	// nobody is told that a message is not on the roll.
	unread atomic.Uint64
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
	part := parts[len(parts)-1]
	if r.unread.Load() > 0 {
		part.addShared(name)
		return
	}
	block, spread := part.block(name)
	for range bitsOfName {
		word := &block[spread>>61]
		atomic.StoreUint64(word, atomic.LoadUint64(word)|1<<(spread>>55&63))
		spread <<= 9
	}
}

// addShared adds a name to a part to which others add, too.
func (part rollPart) addShared(name uint64) {
	block, spread := part.block(name)
	for range bitsOfName {
		atomic.OrUint64(&block[spread>>61], 1<<(spread>>55&63))
		spread <<= 9
	}
}

// mayHave reports whether a message may be on the roll. If not, it is not of the epoch.
func (r *roll) mayHave(key event.Key) bool {
	if r == nil {
		return true
	}
	parts := r.parts.Load()
	if parts == nil || r.unread.Load() > 0 {
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

// openRoll finds out how long the roll of an epoch is, which is to hold so many messages at least. Its names are read by
// read.
func openRoll(store *kv.Store, keys keyspace, e epochID, m *rollMemory, expected uint64) (*roll, error) {
	prefix := keys.epoch(nil, tableRolls, e)
	it, err := store.DB().NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: kv.PrefixEnd(prefix)})
	if err != nil {
		return nil, fmt.Errorf("read roll: %w", err)
	}
	names := uint64(0)
	var unwritten []byte
	if it.Last() {
		page := it.Value()
		if len(it.Key()) != epochBytes+4 || len(page) == 0 || len(page) > pageBytes || len(page)%nameBytes != 0 {
			err = fmt.Errorf("%w: roll of epoch %d", errDamaged, e)
		} else {
			names = uint64(binary.BigEndian.Uint32(it.Key()[epochBytes:]))*rollPage + uint64(len(page)/nameBytes)
		}
		if len(page) != pageBytes {
			unwritten = append(unwritten, page...)
		}
	}
	if err := errors.Join(err, it.Error(), it.Close()); err != nil {
		return nil, fmt.Errorf("read roll: %w", err)
	}
	r := newRoll(m, max(names, expected))
	r.names, r.unwritten = names, unwritten
	if r.parts.Load() != nil {
		r.room -= names
		r.unread.Store(names)
	}
	return r, nil
}

// pagesAtOnce is how many pages are read between two looks at whether that is still wanted.
const pagesAtOnce = 1024

// read brings the names into the filter that were on the roll when it was opened. It may run beside everything else.
func (r *roll) read(ctx context.Context, store *kv.Store, keys keyspace, e epochID) (err error) {
	names := r.unread.Load()
	parts := r.parts.Load()
	if names == 0 || parts == nil {
		return nil
	}
	filter := (*parts)[0]
	it, err := store.DB().NewIter(&pebble.IterOptions{LowerBound: keys.rollPage(nil, e, 0), UpperBound: keys.rollPage(nil, e, uint32((names-1)/rollPage+1))})
	if err != nil {
		return fmt.Errorf("read roll: %w", err)
	}
	defer func() {
		if err = errors.Join(err, it.Error(), it.Close()); err != nil {
			err = fmt.Errorf("read roll: %w", err)
		}
	}()
	left := names
	for it.First(); left > 0; it.Next() {
		page := (names - left) / rollPage
		if page%pagesAtOnce == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		n := min(left, rollPage)
		if !it.Valid() || binary.BigEndian.Uint32(it.Key()[epochBytes:]) != uint32(page) || uint64(len(it.Value())) < n*nameBytes {
			if r.parts.Load() == nil { // the epoch is gone
				return nil
			}
			return fmt.Errorf("%w: roll of epoch %d", errDamaged, e)
		}
		for value := it.Value(); n > 0; n-- {
			filter.addShared(binary.BigEndian.Uint64(value))
			value = value[nameBytes:]
			left--
		}
	}
	r.unread.Store(0)
	return nil
}
