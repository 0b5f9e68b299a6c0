package rollup

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
	"carom/pipeline/event"
)

// Scrub is an erase that was counted and of which the log that is counted may hold copies.
type Scrub struct {
	Contact event.ContactKey
	At      event.Millis // what was sent later stays
	id      event.ID
}

const scrubKeyBytes = headerSize + len(event.ContactKey{}) + len(event.ID{})

func (p *Partition) scrubKey(c event.ContactKey, id event.ID) []byte {
	return append(append(appendHeader(nil, p.number, tableScrub), c[:]...), id[:]...)
}

// noteScrub puts an erase into b.
func (p *Partition) noteScrub(b *kv.Batch, e *erasure) error {
	if err := b.Set(p.scrubKey(e.contact, e.id), kv.AppendUint64(nil, uint64(e.at)), nil); err != nil {
		return fmt.Errorf("note an erase: %w", err)
	}
	return nil
}

// Scrubs returns the erases that were not told to Scrubbed, at most limit. It is safe while Run runs.
func (p *Partition) Scrubs(limit int) (list []Scrub, err error) {
	if err := p.store.Enter(); err != nil {
		return nil, err
	}
	defer p.store.Leave()
	table := appendHeader(nil, p.number, tableScrub)
	it, err := p.store.DB().NewIter(&pebble.IterOptions{LowerBound: table, UpperBound: kv.PrefixEnd(table)})
	if err != nil {
		return nil, fmt.Errorf("read scrubs: %w", err)
	}
	for ok := it.First(); ok && len(list) < limit; ok = it.Next() {
		key, value := it.Key(), it.Value()
		if len(key) != scrubKeyBytes || len(value) != 8 {
			err = errKey
			break
		}
		key = key[headerSize:]
		list = append(list, Scrub{event.ContactKey(key[:16]), event.Millis(binary.BigEndian.Uint64(value)), event.ID(key[16:])})
	}
	return list, errors.Join(err, it.Error(), it.Close())
}

// Scrubbing reports whether the log that is counted may hold copies of what a contact's erase took, as far as it is
// counted. It is safe while Run runs.
func (p *Partition) Scrubbing(contact event.ContactKey) (bool, error) {
	if err := p.store.Enter(); err != nil {
		return false, err
	}
	defer p.store.Leave()
	from := append(appendHeader(nil, p.number, tableScrub), contact[:]...)
	it, err := p.store.DB().NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: kv.PrefixEnd(from)})
	if err != nil {
		return false, fmt.Errorf("read scrubs: %w", err)
	}
	found := it.First()
	return found, errors.Join(it.Error(), it.Close())
}

// Scrubbed says that no copies are left of what these erases took. It is safe while Run runs.
func (p *Partition) Scrubbed(list []Scrub) error {
	b := p.store.NewBatch()
	defer func() { _ = b.Close() }()
	for i := range list {
		if err := b.Delete(p.scrubKey(list[i].Contact, list[i].id), nil); err != nil {
			return fmt.Errorf("end scrubs: %w", err)
		}
	}
	return p.store.Commit(b)
}
