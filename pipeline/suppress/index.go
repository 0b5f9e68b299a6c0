package suppress

import (
	"hash/maphash"
	"strings"
	"sync"

	"carom/pipeline/event"
)

// index has at hand what stops mail to most of the addresses that are suppressed: those with one cause, that has no end. So a
// check of one is no read of the store. It is a copy of rows, and knows so many at most. Its methods are safe for concurrent
// use.
//
// A row is forgotten before it changes, and put in again when it has: in between it is read. What is read in to begin with may
// be older than what came meanwhile, so that is remembered until all is read.
type index struct {
	seeds [2]maphash.Seed

	mu         sync.RWMutex // guards what follows
	stops      map[indexKey]packedStop
	categories []string
	changed    map[indexKey]struct{} // since reading began; nil: nothing is being read
}

// indexKey is of an account and a name: 128 bits, so that no two of them share one.
type indexKey [2]uint64

// packedStop is since << 16, the place of the reason << 8, and of the category.
type packedStop uint64

const (
	// maxIndexed bounds the rows that are at hand, of some 50 bytes each.
	maxIndexed = 1 << 20
	// maxCategories bounds the texts that they share.
	maxCategories = 1 << 8
)

func newIndex() *index {
	return &index{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, stops: make(map[indexKey]packedStop)}
}

func (x *index) key(account, name string) (k indexKey) {
	for i, seed := range x.seeds {
		k[i] = maphash.String(seed, account)*0x9e3779b97f4a7c15 ^ maphash.String(seed, name)
	}
	return k
}

// get returns what stops mail at a time, if it is known.
func (x *index) get(k indexKey, at event.Millis, transactional bool) (s Stop, stops, known bool) {
	x.mu.RLock()
	p, known := x.stops[k]
	if known {
		s = Stop{Reason: reasons[p>>8&0xff], Category: x.categories[p&0xff], Since: event.Millis(p >> 16)}
	}
	x.mu.RUnlock()
	if !known || s.Since > at || transactional && s.Reason.SparesTransactional() {
		return Stop{}, false, known
	}
	return s, true, true
}

// forget takes rows out that are about to change, or to go.
func (x *index) forget(rows ...indexed) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, row := range rows {
		delete(x.stops, row.key)
		if x.changed != nil {
			x.changed[row.key] = struct{}{}
		}
	}
}

// indexed is a row that has changed; a cause without a reason is none that is kept here.
type indexed struct {
	key      indexKey
	reason   Reason
	category string
	since    event.Millis
}

// indexed returns a row as the index knows it.
func (x *index) indexed(account, name string, w *wireSuppression) indexed {
	row := indexed{key: x.key(account, name)}
	if w != nil && len(w.Others) == 0 && !w.Quarantined && w.Until == 0 && w.Ended == 0 && w.Since >= 0 && w.Reason.rank() >= 0 {
		row.reason, row.category, row.since = w.Reason, w.Category, event.Millis(w.Since)
	}
	return row
}

// put takes rows in as they are now.
func (x *index) put(rows ...indexed) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range rows {
		x.set(&rows[i])
		if x.changed != nil {
			x.changed[rows[i].key] = struct{}{}
		}
	}
}

// set takes a row in, or out if it is none that is kept. mu is held.
func (x *index) set(row *indexed) {
	delete(x.stops, row.key)
	if row.reason == "" || len(x.stops) >= maxIndexed {
		return
	}
	category := 0
	for category < len(x.categories) && x.categories[category] != row.category {
		category++
	}
	if category == maxCategories {
		return
	}
	if category == len(x.categories) {
		x.categories = append(x.categories, strings.Clone(row.category)) // which is a part of its record
	}
	x.stops[row.key] = packedStop(row.since)<<16 | packedStop(row.reason.rank())<<8 | packedStop(category)
}

// begin says that rows are being read in.
func (x *index) begin() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.changed = make(map[indexKey]struct{})
}

// read takes in a row as it was at some time since begin; false: no more are wanted.
func (x *index) read(row indexed) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if _, ok := x.changed[row.key]; !ok {
		x.set(&row)
	}
	return len(x.stops) < maxIndexed && len(x.changed) < maxIndexed
}

func (x *index) end() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.changed = nil
}
