package refine

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
	"carom/pipeline/event"
)

// Scrub is an erase of which copies may be left in logs.
type Scrub struct {
	Contact event.ContactKey // or event.AddressKeyOf an address of his
	At      event.Millis     // what was sent later stays
	offset  int64            // of the erase's record
}

func (k keyspace) scrub(dst []byte, c event.ContactKey, offset int64) []byte {
	return kv.AppendUint64(append(k.table(dst, tableScrubs), c[:]...), uint64(offset))
}

const scrubKeyBytes = tableBytes + len(event.ContactKey{}) + 8

// Scrubs returns the erases that are done here and were not told to Scrubbed, at most limit. It is safe while Run runs.
func (p *Partition) Scrubs(limit int) (list []Scrub, err error) {
	if err := p.store.Enter(); err != nil {
		return nil, err
	}
	defer p.store.Leave()
	table := p.keys.table(nil, tableScrubs)
	it, err := p.store.DB().NewIter(&pebble.IterOptions{LowerBound: table, UpperBound: kv.PrefixEnd(table)})
	if err != nil {
		return nil, fmt.Errorf("read scrubs: %w", err)
	}
	for ok := it.First(); ok && len(list) < limit; ok = it.Next() {
		key, value := it.Key(), it.Value()
		if len(key) != scrubKeyBytes || len(value) != 8 {
			err = fmt.Errorf("%w: scrub", errDamaged)
			break
		}
		list = append(list, Scrub{
			Contact: event.ContactKey(key[tableBytes : tableBytes+16]), At: event.Millis(binary.BigEndian.Uint64(value)),
			offset: int64(binary.BigEndian.Uint64(key[scrubKeyBytes-8:])),
		})
	}
	return list, errors.Join(err, it.Error(), it.Close())
}

// Scrubbed says that no copies are left of what these erases took. It is safe while Run runs.
func (p *Partition) Scrubbed(list []Scrub) error {
	b := p.store.NewBatch()
	defer func() { _ = b.Close() }()
	for i := range list {
		if err := b.Delete(p.keys.scrub(nil, list[i].Contact, list[i].offset), nil); err != nil {
			return fmt.Errorf("end scrubs: %w", err)
		}
	}
	return p.store.Commit(b)
}

// Scrubbing reports whether copies may be left of what a contact's erase took.
func (p *Partition) Scrubbing(contact event.ContactKey) (bool, error) {
	if err := p.store.Enter(); err != nil {
		return false, err
	}
	defer p.store.Leave()
	from := append(p.keys.table(nil, tableScrubs), contact[:]...)
	it, err := p.store.DB().NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: kv.PrefixEnd(from)})
	if err != nil {
		return false, fmt.Errorf("read scrubs: %w", err)
	}
	found := it.First()
	return found, errors.Join(it.Error(), it.Close())
}

// Buried reports whether the message of a fact that brings no ref was erased: the message as it was before, if one was
// sent under the same id since. It is safe while Run runs.
func (p *Partition) Buried(e *event.Event) (gone bool, err error) {
	if err := p.store.Enter(); err != nil {
		return false, err
	}
	defer p.store.Leave()
	switch e.KnownBy {
	case event.ByKey:
		ok, err := p.buried(e.Key)
		if !ok || err != nil {
			return false, err
		}
		return p.before(e.Time, e.Key)
	case event.ByMessageID:
		err = p.tombsOf(event.CleanMessageID(e.Message), func(key event.Key) error {
			old, err := p.before(e.Time, key)
			gone = gone || old
			return err
		})
	}
	return gone, err
}

// before reports whether a time is before that of the message which has a key now, if one does.
func (p *Partition) before(at event.Millis, key event.Key) (bool, error) {
	s, ok, err := p.readState(p.store.DB(), key)
	return !ok || at < s.ref.SentAt, err
}
