package refine

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
	"carom/pipeline/event"
)

// timerKey orders the timers: they fire by due time, then by the offset of the fact that waits.
type timerKey struct {
	due    event.Millis
	offset int64
	what   timerKind
}

// timerKind is what a timer does when it fires. The numbers are stored.
type timerKind uint8

const (
	timerWhole timerKind = 1 // value: message key(16) and the click, as fact.append writes it; read, no longer written
	timerPark  timerKind = 2 // value: the message key(16) under which the fact is parked
	timerClick timerKind = 3 // value: message key(16) and id(16) of the click that waits

	timerVolume timerKind = 4 // no value: what was sent is to be told
	timerAlert  timerKind = 5 // value: the id(16) of an alert that need not be known any longer
)

func (t timerKey) compare(u timerKey) int {
	return cmp.Or(cmp.Compare(t.due, u.due), cmp.Compare(t.offset, u.offset), cmp.Compare(t.what, u.what))
}

type timer struct {
	timerKey
	value []byte
}

// parkedKey returns the key under which the fact of a timerPark is parked.
func (t *timer) parkedKey() (event.Key, error) {
	if len(t.value) != len(event.Key{}) {
		return event.Key{}, fmt.Errorf("%w: timer of a parked fact", errDamaged)
	}
	return event.Key(t.value), nil
}

// frontBound bounds the timers in memory. The earliest are there, so that firing costs no read: at most twice so many,
// or so many bytes.
type frontBound struct{ timers, bytes int }

var defaultFront = frontBound{timers: 8 << 10, bytes: 16 << 20}

// timers are the partition's timers. All are on disk (or in the step's batch); the earliest are in a heap as well:
//
//	disk  ─────────────┬──────────────────────▶ due
//	      front (heap) │ beyond: on disk only
//	               horizon
//
// They never look at keys before floor: what fired there has left tombstones, and a scan over those is what makes a
// queue in Pebble slow.
type timers struct {
	store *kv.Store
	keys  keyspace
	bound frontBound

	front   []timer // a heap
	bytes   int     // of the values in front
	all     bool    // front holds all timers
	horizon timerKey
	floor   timerKey // the last one that fired
	scratch []byte
}

// add sets a timer. It keeps t.value.
func (ts *timers) add(b *kv.Batch, t timer) error {
	ts.scratch = ts.keys.timer(ts.scratch[:0], t.timerKey)
	if err := b.Set(ts.scratch, t.value, nil); err != nil {
		return fmt.Errorf("set timer: %w", err)
	}
	if !ts.all && t.compare(ts.horizon) > 0 {
		return nil
	}
	ts.push(t)
	if len(ts.front) > 2*ts.bound.timers || ts.bytes > 2*ts.bound.bytes {
		ts.shrink()
	}
	return nil
}

// remove takes back a timer before it fires.
func (ts *timers) remove(b *kv.Batch, k timerKey) error {
	ts.scratch = ts.keys.timer(ts.scratch[:0], k)
	if err := b.Delete(ts.scratch, nil); err != nil {
		return fmt.Errorf("remove timer: %w", err)
	}
	for i := range ts.front {
		if ts.front[i].timerKey == k {
			ts.removeAt(i)
			break
		}
	}
	return nil
}

// next returns the earliest timer, nil if there is none. It must not be asked when the front is exhausted.
func (ts *timers) next() *timer {
	if len(ts.front) == 0 {
		return nil
	}
	return &ts.front[0]
}

// exhausted reports that the front is used up while there may be more on disk: load must be called.
func (ts *timers) exhausted() bool { return len(ts.front) == 0 && !ts.all }

// pop removes the earliest timer.
func (ts *timers) pop(b *kv.Batch) (timer, error) {
	t := ts.front[0]
	ts.removeAt(0)
	ts.floor = t.timerKey
	ts.scratch = ts.keys.timer(ts.scratch[:0], t.timerKey)
	if err := b.Delete(ts.scratch, nil); err != nil {
		return t, fmt.Errorf("remove timer: %w", err)
	}
	return t, nil
}

// load fills the front from disk. There must be no uncommitted timers.
func (ts *timers) load() error {
	return ts.scan(func(key timerKey, value []byte) bool {
		ts.front = append(ts.front, timer{timerKey: key, value: slices.Clone(value)}) // ascending: a heap
		ts.bytes += len(value)
		if len(ts.front) >= ts.bound.timers || ts.bytes >= ts.bound.bytes {
			ts.all, ts.horizon = false, key
			return false
		}
		return true
	})
}

// waiting returns how many clicks wait.
func (ts *timers) waiting() (n int, err error) {
	all, horizon := ts.all, ts.horizon
	err = ts.scan(func(key timerKey, _ []byte) bool {
		if key.what == timerClick || key.what == timerWhole {
			n++
		}
		return true
	})
	ts.all, ts.horizon = all, horizon
	return n, err
}

// scan calls f with the timers on disk after floor until it returns false; if it never does, all is set.
func (ts *timers) scan(f func(timerKey, []byte) bool) (err error) {
	table := ts.keys.table(nil, tableTimers)
	it, err := ts.store.DB().NewIter(&pebble.IterOptions{
		LowerBound: append(ts.keys.timer(nil, ts.floor), 0),
		UpperBound: kv.PrefixEnd(table),
	})
	if err != nil {
		return fmt.Errorf("read timers: %w", err)
	}
	ts.all = true
	for ok := it.First(); ok; ok = it.Next() {
		key, ok := readTimer(it.Key())
		if !ok {
			err = fmt.Errorf("%w: timer key %x", errDamaged, it.Key())
			break
		}
		if !f(key, it.Value()) {
			break
		}
	}
	if closeErr := it.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("read timers: %w", err)
	}
	return nil
}

// shrink forgets the later half of the front, which stays on disk.
func (ts *timers) shrink() {
	slices.SortFunc(ts.front, func(a, b timer) int { return a.compare(b.timerKey) }) // sorted: still a heap
	kept, bytes := 0, 0
	for kept < len(ts.front) && kept < ts.bound.timers && (kept == 0 || bytes < ts.bound.bytes) {
		bytes += len(ts.front[kept].value)
		kept++
	}
	clear(ts.front[kept:])
	ts.front, ts.bytes = ts.front[:kept], bytes
	ts.all, ts.horizon = false, ts.front[kept-1].timerKey
}

func (ts *timers) push(t timer) {
	ts.bytes += len(t.value)
	ts.front = append(ts.front, t)
	ts.up(len(ts.front) - 1)
}

func (ts *timers) removeAt(i int) {
	last := len(ts.front) - 1
	ts.bytes -= len(ts.front[i].value)
	ts.front[i] = ts.front[last]
	ts.front[last] = timer{}
	ts.front = ts.front[:last]
	if i < last {
		ts.down(i)
		ts.up(i)
	}
}

func (ts *timers) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if ts.front[parent].compare(ts.front[i].timerKey) <= 0 {
			return
		}
		ts.front[parent], ts.front[i] = ts.front[i], ts.front[parent]
		i = parent
	}
}

func (ts *timers) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(ts.front); child++ {
			if ts.front[child].compare(ts.front[least].timerKey) < 0 {
				least = child
			}
		}
		if least == i {
			return
		}
		ts.front[least], ts.front[i] = ts.front[i], ts.front[least]
		i = least
	}
}
