package rollup

// cache remembers the last values of a store's keys. It holds them in two generations: when the young one is full, the
// old one is forgotten and the young one grows old; what is asked for is young again. So it forgets what was not used for
// long, at the cost of a map.
type cache struct {
	limit      int // of each generation
	young, old map[string][]byte
}

func newCache(limit int) *cache {
	return &cache{limit: limit, young: make(map[string][]byte), old: make(map[string][]byte)}
}

// get returns the value of key. It is valid until put is called for key.
func (c *cache) get(key []byte) (value []byte, ok bool) {
	if value, ok = c.young[string(key)]; ok {
		return value, true
	}
	if value, ok = c.old[string(key)]; ok {
		delete(c.old, string(key))
		c.insert(key, value)
	}
	return value, ok
}

// put remembers a copy of value.
func (c *cache) put(key, value []byte) {
	if kept, ok := c.young[string(key)]; ok {
		if cap(kept) < len(value) {
			c.young[string(key)] = append([]byte(nil), value...)
			return
		}
		kept = append(kept[:0], value...)
		c.young[string(key)] = kept
		return
	}
	delete(c.old, string(key))
	c.insert(key, append([]byte(nil), value...))
}

func (c *cache) insert(key, value []byte) {
	if len(c.young) >= c.limit {
		c.young, c.old = c.old, c.young
		clear(c.young)
	}
	c.young[string(key)] = value
}
