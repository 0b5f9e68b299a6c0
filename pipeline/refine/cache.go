package refine

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
	"carom/pipeline/event"
)

// cache holds the states that were used last. States that the current step changed stay until it is committed; then
// the least recently used ones beyond the bound go.
type cache struct {
	store  *kv.Store
	keys   keyspace
	epochs *epochs
	bound  int

	states map[event.Key]*state
	lru    state // sentinel of a ring: lru.next was used last
	dirty  []*state

	// disk is what was committed before this step, nil until somebody looks. That is enough: what the step changed is
	// among the states.
	disk *pebble.Iterator

	key, value []byte // scratch
}

func newCache(store *kv.Store, keys keyspace, epochs *epochs, bound int) *cache {
	c := &cache{store: store, keys: keys, epochs: epochs, bound: bound, states: make(map[event.Key]*state)}
	c.lru.next, c.lru.prev = &c.lru, &c.lru
	return c
}

// get returns the state of a message, nil if it is not known.
func (c *cache) get(key event.Key) (*state, error) {
	if s, ok := c.states[key]; ok {
		c.unlink(s)
		c.link(s)
		return s, nil
	}
	s, err := c.read(key)
	if err != nil {
		return nil, fmt.Errorf("message %s: %w", key, err)
	}
	if s == nil {
		return nil, nil
	}
	if s.format1 {
		if err := c.upgrade(s); err != nil {
			return nil, err
		}
	}
	c.insert(s)
	return s, nil
}

// read reads a state from disk, nil if there is none.
func (c *cache) read(key event.Key) (*state, error) {
	for _, e := range c.epochs.live() {
		if !e.roll.mayHave(key) {
			continue
		}
		if err := c.look(); err != nil {
			return nil, err
		}
		c.key = c.keys.message(c.key[:0], e.id, key)
		if !c.disk.SeekPrefixGE(c.key) {
			if err := c.disk.Error(); err != nil {
				return nil, err
			}
			continue
		}
		s := &state{key: key, epoch: e.id}
		value, err := c.disk.ValueAndErr()
		if err != nil {
			return nil, err
		}
		return s, s.decode(value)
	}
	return nil, nil
}

// look opens disk.
func (c *cache) look() (err error) {
	if c.disk == nil {
		table := c.keys.table(nil, tableMessages)
		c.disk, err = c.store.DB().NewIter(&pebble.IterOptions{LowerBound: table, UpperBound: kv.PrefixEnd(table)})
	}
	return err
}

// endStep lets go of the disk as it was when the step began.
func (c *cache) endStep() error {
	if c.disk == nil {
		return nil
	}
	err := c.disk.Close()
	c.disk = nil
	return err
}

// create adds the state of a message that is not known yet.
func (c *cache) create(key event.Key, e epochID, as standing) *state {
	s := &state{key: key, epoch: e, standing: as}
	c.epochs.enrol(e, key)
	c.insert(s)
	c.touch(s)
	return s
}

// touch notes that s was changed.
func (c *cache) touch(s *state) {
	if !s.dirty {
		s.dirty = true
		c.dirty = append(c.dirty, s)
	}
}

// write puts the changed states into b: one write a message, however often the step changed it.
func (c *cache) write(b *kv.Batch) error {
	for _, s := range c.dirty {
		c.key = c.keys.message(c.key[:0], s.epoch, s.key)
		c.value = s.append(c.value[:0])
		if err := b.Set(c.key, c.value, nil); err != nil {
			return fmt.Errorf("write message state: %w", err)
		}
	}
	return nil
}

// committed is called when what write wrote is on disk.
func (c *cache) committed() {
	for i, s := range c.dirty {
		s.dirty = false
		c.dirty[i] = nil
	}
	c.dirty = c.dirty[:0]
	for len(c.states) > c.bound {
		last := c.lru.prev
		c.unlink(last)
		delete(c.states, last.key)
	}
}

func (c *cache) insert(s *state) {
	c.states[s.key] = s
	c.link(s)
}

func (c *cache) link(s *state) {
	s.prev, s.next = &c.lru, c.lru.next
	s.prev.next, s.next.prev = s, s
}

func (c *cache) unlink(s *state) {
	s.prev.next, s.next.prev = s.next, s.prev
	s.prev, s.next = nil, nil
}
