package suppress

import (
	"context"
	"hash/maphash"
	"sync/atomic"

	"carom/kv"
)

// known tells without a look at the store of most rows that there are not that they are not: a filter that is built from the
// rows in the background, and anew when it is full. Its methods are safe for concurrent use.
type known struct {
	store  *kv.Store
	tables [][]byte
	of     func(key []byte) (uint64, error) // what a row's key is known by
	seed   maphash.Seed
	// building is the one that will take filter's place. nil: rows must be looked at.
	filter, building atomic.Pointer[filter]
	grow             chan struct{}
}

// newKnown knows the rows of some tables by their keys.
func newKnown(store *kv.Store, tables ...[]byte) *known {
	k := &known{store: store, tables: tables, seed: maphash.MakeSeed(), grow: make(chan struct{}, 1)}
	k.of = func(key []byte) (uint64, error) { return k.key(key), nil }
	return k
}

// name hashes an account and a name. It does not allocate.
func (k *known) name(account, name string) uint64 {
	return maphash.String(k.seed, account)*0x9e3779b97f4a7c15 ^ maphash.String(k.seed, name)
}

// key hashes the key of a row.
func (k *known) key(key []byte) uint64 { return maphash.Bytes(k.seed, key) }

// maybe reports whether there may be a row of a hash.
func (k *known) maybe(h uint64) bool {
	f := k.filter.Load()
	return f == nil || f.has(h)
}

// add puts hashes in. It is called before their rows are committed, so that no row can be read that the filter denies; and
// after that, because a filter may have begun to be built in between, from rows that lacked them.
func (k *known) add(hashes ...uint64) {
	building := k.building.Load() // first: what is no longer being built is the filter by now
	f := k.filter.Load()
	for _, h := range hashes {
		if building != nil {
			building.add(h)
		}
		if f != nil && f != building {
			f.add(h)
		}
	}
	if f != nil && f.full() {
		select {
		case k.grow <- struct{}{}:
		default:
		}
	}
}

// count is of how many rows the filter knows.
func (k *known) count() int64 {
	if f := k.filter.Load(); f != nil {
		return f.added.Load()
	}
	return 0
}

// run builds filters until ctx is done.
func (k *known) run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := k.build(ctx); err != nil {
			return err
		}
		select {
		case <-k.grow:
		case <-ctx.Done():
		}
	}
	return nil
}

func (k *known) build(ctx context.Context) error {
	rows := k.count()
	if rows == 0 {
		if err := k.each(ctx, func([]byte) error { rows++; return nil }); err != nil {
			return err
		}
	}
	f := newFilter(int(2 * rows))
	k.building.Store(f)
	if err := k.each(ctx, func(key []byte) error {
		h, err := k.of(key)
		f.add(h)
		return err
	}); err != nil {
		return err
	}
	if ctx.Err() == nil {
		k.filter.Store(f)
		k.building.Store(nil)
	}
	return nil
}

// each calls fn with the keys of all rows, or until ctx is done.
func (k *known) each(ctx context.Context, fn func(key []byte) error) error {
	for _, table := range k.tables {
		err := eachRow(k.store, table, kv.PrefixEnd(table), func(key, _ []byte) (bool, error) {
			return ctx.Err() == nil, fn(key)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
