package suppress

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"carom/kv"
)

// known tells without a look at the store of most rows that there are not that they are not: filters that are built from the
// rows in the background, with another one behind them, as large as all before, whenever the last is full. Its methods are safe
// for concurrent use.
type known struct {
	store  *kv.Store
	tables [][]byte
	of     func(key []byte) (uint64, error) // what a row's key is known by
	seed   maphash.Seed
	// filters are asked in turn; nil: rows must be looked at. building will be the first.
	filters  atomic.Pointer[[]*filter]
	building atomic.Pointer[filter]
	growing  sync.Mutex
}

// newKnown knows the rows of some tables by their keys.
func newKnown(store *kv.Store, tables ...[]byte) *known {
	k := &known{store: store, tables: tables, seed: maphash.MakeSeed()}
	k.of = func(key []byte) (uint64, error) { return k.key(key), nil }
	return k
}

// name hashes an account and a name. It does not allocate.
func (k *known) name(account, name string) uint64 {
	return maphash.String(k.seed, account)*0x9e3779b97f4a7c15 ^ maphash.String(k.seed, name)
}

// key hashes the key of a row.
func (k *known) key(key []byte) uint64 { return maphash.Bytes(k.seed, key) }

// ready reports whether anything is known.
func (k *known) ready() bool { return k.filters.Load() != nil }

// maybe reports whether there may be a row of a hash.
func (k *known) maybe(h uint64) bool {
	filters := k.filters.Load()
	if filters == nil {
		return true
	}
	for _, f := range *filters {
		if f.has(h) {
			return true
		}
	}
	return false
}

// add puts hashes in. It is called before their rows are committed, so that no row can be read that the filters deny; and
// after that, because the first may have begun to be built in between, from rows that lacked them.
func (k *known) add(hashes ...uint64) {
	building := k.building.Load() // first: what is no longer being built is among the filters by now
	filters := k.filters.Load()
	for _, h := range hashes {
		switch {
		case filters == nil && building != nil:
			building.add(h)
		case filters != nil && !k.maybe(h):
			(*filters)[len(*filters)-1].add(h)
		}
	}
	if filters != nil && (*filters)[len(*filters)-1].full() {
		k.grow()
	}
}

// grow puts another filter behind those that there are.
func (k *known) grow() {
	k.growing.Lock()
	defer k.growing.Unlock()
	filters := *k.filters.Load()
	if !filters[len(filters)-1].full() { // somebody else was first
		return
	}
	grown := append(append([]*filter(nil), filters...), newFilter(int(k.count())))
	k.filters.Store(&grown)
}

// count is of how many rows the filters know.
func (k *known) count() (n int64) {
	if filters := k.filters.Load(); filters != nil {
		for _, f := range *filters {
			n += f.added.Load()
		}
	}
	return n
}

// build makes the first filter.
func (k *known) build(ctx context.Context) error {
	rows := 0
	if err := k.each(ctx, func([]byte) error { rows++; return nil }); err != nil {
		return err
	}
	f := newFilter(2 * rows)
	k.building.Store(f)
	err := k.each(ctx, func(key []byte) error {
		h, err := k.of(key)
		f.add(h)
		return err
	})
	if err == nil && ctx.Err() == nil {
		k.filters.Store(&[]*filter{f})
	}
	return err
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
