package refine

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
	"carom/pipeline/event"
)

// Bounds of what is parked; Options.MaxParked bounds the whole.
const (
	maxParkedPerMessage = 1000     // counted by the first four bytes of the key
	maxParkedBytes      = 64 << 10 // of one fact: what is released at once must fit into memory
)

// parked knows how many facts are parked for which message ids. The facts themselves are on disk:
//
//	key      message key(16), its last 12 bytes zero if only the Message-ID is known | offset(8)
//	value    when its time is up (8, big-endian) and the fact, as fact.append writes it
type parked struct {
	perID map[prefix]int
	total int

	// What this step did that is not on disk yet.
	fresh   map[prefix]struct{} // parked
	touched map[prefix]struct{} // parked or released
}

func openParked(store *kv.Store, keys keyspace) (*parked, error) {
	pk := &parked{
		perID: make(map[prefix]int), fresh: make(map[prefix]struct{}), touched: make(map[prefix]struct{}),
	}
	table := keys.table(nil, tableParked)
	it, err := store.DB().NewIter(&pebble.IterOptions{LowerBound: table, UpperBound: kv.PrefixEnd(table)})
	if err != nil {
		return nil, fmt.Errorf("count what is parked: %w", err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		key, _, ok := readParked(it.Key())
		if !ok {
			err = fmt.Errorf("%w: key of a parked fact", errDamaged)
			break
		}
		pk.add(prefixOf(key), 1)
	}
	if closeErr := it.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("count what is parked: %w", err)
	}
	pk.committed()
	return pk, nil
}

func (pk *parked) add(pre prefix, n int) {
	pk.total += n
	pk.touched[pre] = struct{}{}
	if n > 0 {
		pk.fresh[pre] = struct{}{}
	}
	if pk.perID[pre] += n; pk.perID[pre] == 0 {
		delete(pk.perID, pre)
	}
}

// changed reports whether the disk shows what is parked other than it is.
func (pk *parked) changed(pre prefix) bool {
	_, touched := pk.touched[pre]
	return touched && pk.perID[pre] > 0
}

// hidden reports whether something is parked that the disk may not show.
func (pk *parked) hidden(pre prefix) bool {
	_, fresh := pk.fresh[pre]
	return fresh
}

func (pk *parked) committed() {
	clear(pk.fresh)
	clear(pk.touched)
}

// park keeps f until its message becomes known, or registered, under the whole key or the partial one.
func (p *Partition) park(f *fact, key event.Key) error {
	pre := prefixOf(key)
	switch {
	case p.parked.perID[pre] >= maxParkedPerMessage || p.parked.total >= p.opts.MaxParked:
		return p.reject(f, rejectParkFull, "")
	case len(f.raw) > maxParkedBytes:
		return p.reject(f, rejectParkFull, "the fact is too big to wait")
	}
	p.metrics.parkedTotal.Inc()
	return p.parkUntil(f, key, timerKey{due: p.now.at.Add(p.opts.Park), offset: f.offset, what: timerPark})
}

func (p *Partition) parkUntil(f *fact, key event.Key, t timerKey) error {
	value := binary.BigEndian.AppendUint64(make([]byte, 0, 128+len(f.raw)), uint64(t.due))
	p.scratch = p.keys.parkedEntry(p.scratch[:0], key, f.offset)
	if err := p.step.batch.Set(p.scratch, f.append(value), nil); err != nil {
		return fmt.Errorf("park: %w", err)
	}
	p.parked.add(prefixOf(key), 1)
	p.metrics.parked.Inc()
	return p.timers.add(p.step.batch, timer{timerKey: t, value: slices.Clone(key[:])})
}

// parkedFact is one that was read back.
type parkedFact struct {
	*fact
	key event.Key // under which it is parked
	due event.Millis
}

func decodeParked(key event.Key, offset int64, value []byte) (parkedFact, error) {
	if len(value) < 8 {
		return parkedFact{}, fmt.Errorf("%w: parked fact", errDamaged)
	}
	f, err := decodeFact(value[8:], offset)
	if err != nil {
		return parkedFact{}, err
	}
	return parkedFact{fact: f, key: key, due: event.Millis(binary.BigEndian.Uint64(value))}, nil
}

// release hands on what is parked for a message that became known just now, in the order in which it came.
func (p *Partition) release(s *state) error {
	if p.parked.perID[prefixOf(s.key)] == 0 {
		return nil
	}
	waiting, err := p.parkedFor(s.key, nil)
	if err != nil {
		return err
	}
	partial := event.Key{}
	copy(partial[:], s.key[:len(prefix{})])
	if waiting, err = p.parkedFor(partial, waiting); err != nil {
		return err
	}
	slices.SortFunc(waiting, func(a, b parkedFact) int { return cmp.Compare(a.offset, b.offset) })
	for _, w := range waiting {
		if w.KnownBy == event.ByMessageID && event.CleanMessageID(w.Message) != s.ref.Message {
			continue
		}
		if awaitsRecipient(w.fact, s) {
			if err := p.repark(w, s.key); err != nil {
				return err
			}
			continue
		}
		if err := p.unpark(w.key, w.offset); err != nil {
			return err
		}
		if err := p.timers.remove(p.step.batch, timerKey{due: w.due, offset: w.offset, what: timerPark}); err != nil {
			return err
		}
		p.metrics.released.Inc()
		if err := p.handle(w.fact, s); err != nil {
			return err
		}
	}
	return nil
}

// repark keeps a fact that goes on waiting under the key of its message, by which its timer and an erase find it.
func (p *Partition) repark(w parkedFact, key event.Key) error {
	if w.key == key {
		return nil
	}
	if err := p.unpark(w.key, w.offset); err != nil {
		return err
	}
	t := timerKey{due: w.due, offset: w.offset, what: timerPark}
	if err := p.timers.remove(p.step.batch, t); err != nil {
		return err
	}
	return p.parkUntil(w.fact, key, t)
}

// parkedFor appends what is parked under a key.
func (p *Partition) parkedFor(key event.Key, dst []parkedFact) ([]parkedFact, error) {
	p.scratch = p.keys.parked(p.scratch[:0], key)
	it, err := p.store.DB().NewIter(&pebble.IterOptions{LowerBound: p.scratch, UpperBound: kv.PrefixEnd(p.scratch)})
	if err != nil {
		return dst, fmt.Errorf("read what is parked: %w", err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var w parkedFact
		k, offset, _ := readParked(it.Key())
		if w, err = decodeParked(k, offset, slices.Clone(it.Value())); err == nil {
			dst = append(dst, w)
		}
	}
	if closeErr := it.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return dst, fmt.Errorf("read what is parked: %w", err)
	}
	return dst, nil
}

func (p *Partition) unpark(key event.Key, offset int64) error {
	p.scratch = p.keys.parkedEntry(p.scratch[:0], key, offset)
	if err := p.step.batch.Delete(p.scratch, nil); err != nil {
		return fmt.Errorf("unpark: %w", err)
	}
	p.parked.add(prefixOf(key), -1)
	p.metrics.parked.Dec()
	return nil
}

// expire rejects a fact whose message did not become known in time. A reply to one that became known and was never
// registered is taken for what it is.
func (p *Partition) expire(t timer) error {
	key, err := t.parkedKey()
	if err != nil {
		return err
	}
	value, ok, err := p.store.Get(nil, p.keys.parkedEntry(nil, key, t.offset))
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%w: a timer runs for a fact that is not parked", errDamaged)
	}
	w, err := decodeParked(key, t.offset, value)
	if err != nil {
		return err
	}
	if err := p.unpark(key, t.offset); err != nil {
		return err
	}
	if w.Kind == event.Reply {
		if s, err := p.cache.get(key); err != nil {
			return err
		} else if s != nil {
			w.Key = s.key
			return p.recordFact(w.fact, s)
		}
	}
	return p.reject(w.fact, rejectUnattributed, "")
}
