package refine

import (
	"fmt"

	"carom/kv"
	"carom/pipeline/event"
)

// cache holds the states that were used last. States that the current step changed stay until it is committed; then
// the least recently used ones beyond the bound go.
type cache struct {
	store *kv.Store
	keys  keyspace
	bound int

	states map[event.Key]*state
	lru    state // sentinel of a ring: lru.next was used last
	dirty  []*state

	key, value []byte // scratch
}

func newCache(store *kv.Store, keys keyspace, bound int) *cache {
	c := &cache{store: store, keys: keys, bound: bound, states: make(map[event.Key]*state)}
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
	c.key = c.keys.message(c.key[:0], key)
	value, ok, err := c.store.Get(c.value[:0], c.key)
	c.value = value
	if err != nil || !ok {
		return nil, err
	}
	s := &state{key: key}
	if err := s.decode(value); err != nil {
		return nil, fmt.Errorf("message %s: %w", key, err)
	}
	if s.format1 {
		if err := c.upgrade(s); err != nil {
			return nil, err
		}
	}
	c.insert(s)
	return s, nil
}

// create adds the state of a message that is not known yet.
func (c *cache) create(key event.Key, as standing) *state {
	s := &state{key: key, standing: as}
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
		c.key = c.keys.message(c.key[:0], s.key)
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
