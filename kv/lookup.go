package kv

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Lookup gets values as they were when it first looked, until End lets go of that moment; then it looks anew. One
// goroutine uses it.
//
// Unlike a Get, it asks the bloom filters of the lowest level too, so that a key that is not there costs no block of it, and
// it goes on from where it is: keys that are asked for in their order cost a fraction of what they cost otherwise.
type Lookup struct {
	store *Store
	opts  pebble.IterOptions
	it    *pebble.Iterator
}

// NewLookup returns a lookup of keys from start up to, not including, end.
func (s *Store) NewLookup(start, end []byte) *Lookup {
	return &Lookup{store: s, opts: pebble.IterOptions{LowerBound: start, UpperBound: end, UseL6Filters: true}}
}

// Get returns the value of key, which is valid until the next call; ok is false if there is none.
func (l *Lookup) Get(key []byte) (value []byte, ok bool, err error) {
	if l.it == nil {
		if err := l.begin(); err != nil {
			return nil, false, err
		}
	}
	if ok = l.it.SeekPrefixGE(key); ok {
		value, err = l.it.ValueAndErr()
	} else {
		err = l.it.Error()
	}
	if err != nil {
		return nil, false, fmt.Errorf("read from %s store: %w", l.store.opts.Role, err)
	}
	return value, ok, nil
}

func (l *Lookup) begin() (err error) {
	if l.store.closed.Load() {
		return ErrClosed
	}
	if l.it, err = l.store.db.NewIter(&l.opts); err != nil {
		return fmt.Errorf("read from %s store: %w", l.store.opts.Role, err)
	}
	return nil
}

// End lets go of what is held.
func (l *Lookup) End() error {
	if l.it == nil {
		return nil
	}
	err := l.it.Close()
	l.it = nil
	if err != nil {
		return fmt.Errorf("read from %s store: %w", l.store.opts.Role, err)
	}
	return nil
}
