package rollup

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"math"
)

// cache remembers the last values of a store's keys. It holds them in two generations: when the young one is full, the
// old one is forgotten and the young one grows old; what is asked for is young again. So it forgets what was not used for
// long.
//
// A generation is one piece of memory with an index by hash, so that a value costs no allocation and the garbage collector
// nothing:
//
//	┌────────┬──────────┬─────────┬─────┬───────┬──────
//	│ key's  │ value's  │ room    │ key │ value │ …
//	│ length │ length   │ for it  │     │       │         lengths of 4 bytes
//	└────────┴──────────┴─────────┴─────┴───────┴──────
//
// Of two keys with one hash it holds the one that came last.
type cache struct {
	seed       maphash.Seed
	limit      int // of each generation, values
	young, old generation
}

type generation struct {
	index  map[uint64]uint32 // hash -> where an entry begins
	memory []byte
}

const (
	entryHeader = 12
	// entryBytes is how many bytes a value of a generation may take with its key, on average.
	entryBytes = 256
)

func newCache(limit int) *cache {
	c := &cache{seed: maphash.MakeSeed(), limit: limit}
	c.young.index, c.old.index = make(map[uint64]uint32), make(map[uint64]uint32)
	return c
}

// get returns the value of key. It is valid until the next call.
func (c *cache) get(key []byte) (value []byte, ok bool) {
	h := maphash.Bytes(c.seed, key)
	if at, ok := c.young.find(h, key); ok {
		return c.young.value(at), true
	}
	at, ok := c.old.find(h, key)
	if !ok {
		return nil, false
	}
	value = c.old.value(at)
	delete(c.old.index, h)
	if c.full() {
		value = bytes.Clone(value) // else growing old would write over it
	}
	c.insert(h, key, value)
	return value, true
}

// put remembers a copy of value, which is none of this cache's.
func (c *cache) put(key, value []byte) {
	h := maphash.Bytes(c.seed, key)
	if at, ok := c.young.find(h, key); ok && c.young.replace(at, value) {
		return
	}
	delete(c.old.index, h)
	c.insert(h, key, value)
}

// drop forgets a key.
func (c *cache) drop(key []byte) {
	h := maphash.Bytes(c.seed, key)
	delete(c.young.index, h)
	delete(c.old.index, h)
}

// clear forgets all.
func (c *cache) clear() {
	c.young.clear()
	c.old.clear()
}

// full reports that the young generation takes no more.
func (c *cache) full() bool {
	return len(c.young.index) >= c.limit || len(c.young.memory) >= min(c.limit*entryBytes, math.MaxInt32)
}

func (c *cache) insert(h uint64, key, value []byte) {
	if c.full() {
		c.young, c.old = c.old, c.young
		c.young.clear()
	}
	c.young.insert(h, key, value)
}

func (g *generation) clear() {
	clear(g.index)
	g.memory = g.memory[:0]
}

// find returns where the entry of key begins.
func (g *generation) find(h uint64, key []byte) (at uint32, ok bool) {
	at, ok = g.index[h]
	return at, ok && bytes.Equal(g.key(at), key)
}

func (g *generation) key(at uint32) []byte {
	n := binary.LittleEndian.Uint32(g.memory[at:])
	return g.memory[at+entryHeader:][:n]
}

func (g *generation) value(at uint32) []byte {
	e := g.memory[at:]
	k, n := binary.LittleEndian.Uint32(e), binary.LittleEndian.Uint32(e[4:])
	return e[entryHeader+k:][:n:n]
}

// replace writes another value into an entry, if there is room.
func (g *generation) replace(at uint32, value []byte) bool {
	e := g.memory[at:]
	if len(value) > int(binary.LittleEndian.Uint32(e[8:])) {
		return false
	}
	binary.LittleEndian.PutUint32(e[4:], uint32(len(value)))
	copy(e[entryHeader+binary.LittleEndian.Uint32(e):], value)
	return true
}

// insert appends an entry, with room for the value to grow by a quarter.
func (g *generation) insert(h uint64, key, value []byte) {
	room := len(value) + max(8, len(value)/4)
	g.index[h] = uint32(len(g.memory))
	g.memory = binary.LittleEndian.AppendUint32(g.memory, uint32(len(key)))
	g.memory = binary.LittleEndian.AppendUint32(g.memory, uint32(len(value)))
	g.memory = binary.LittleEndian.AppendUint32(g.memory, uint32(room))
	g.memory = append(append(g.memory, key...), value...)
	for range room - len(value) {
		g.memory = append(g.memory, 0)
	}
}
