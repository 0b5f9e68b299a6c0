package suppress

import (
	"errors"
	"fmt"

	"carom/kv"
	"carom/pipeline/event"
)

// maxErasedOrders bounds the decisions about one address that lose it; older ones have a bound of their own, which is time.
const maxErasedOrders = 10_000

// erase takes the address of a contact who was erased: what is known of it stays under its hash, so that he is not mailed.
func (p *Partition) erase(f *event.AddressFact) error {
	if f.Recipient == "" || f.Account == "" {
		return nil
	}
	for _, account := range []string{"", f.Account} {
		name, err := p.name(account, f.Recipient)
		if err != nil || !isName(name) {
			return err
		}
		hide := p.hashEntry
		if isHashed(name) { // all are, or he was erased before, and mailed again
			hide = p.blankEntry
		}
		if err := errors.Join(hide(account, name), p.blankDecisions(account, name)); err != nil {
			return err
		}
	}
	return nil
}

// blankEntry takes from an entry that is kept under a hash what came to it since.
func (p *Partition) blankEntry(account, name string) error {
	e, known, err := p.load(account, name)
	if err != nil || !known {
		return err
	}
	e.blank()
	return p.keep(e)
}

// hashEntry moves an entry to its hash, if it ever stopped mail, or holds what other accounts know; else nothing is left of it.
func (p *Partition) hashEntry(account, name string) error {
	e, known, err := p.load(account, name)
	if err != nil || !known {
		return err
	}
	if err := p.remove(e); err != nil || !e.Told && len(e.Hits) == 0 {
		return err
	}
	e.name, e.row, e.Due, e.Asked = p.hashes.name(name), nil, 0, nil
	e.blank()
	p.at.hashed++
	return errors.Join(p.indexHard(e, nil), p.keep(e))
}

// undue drops what names an entry's address in the table of what is due.
func (p *Partition) undue(at event.Millis, what byte, e *entry) error {
	key := kv.AppendUint64(p.table(tableDue), uint64(at))
	return p.drop(append(append(key, what), entryRef(e)...))
}

// blankDecisions takes an address from the decisions about it.
func (p *Partition) blankDecisions(account, name string) error {
	prefix := p.ordersPrefix(account, name)
	var ids []event.ID
	err := p.scan(prefix, kv.PrefixEnd(prefix), func(key, _ []byte) (bool, error) {
		ids = append(ids, event.ID(key[len(prefix):]))
		return len(ids) < maxErasedOrders, nil
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		row, err := p.get(p.decisionRow(id))
		if err != nil {
			return err
		}
		if row == nil {
			continue
		}
		var w wireDecision
		if err := decode(row, &w); err != nil {
			return fmt.Errorf("%w: %w", errRow, err)
		}
		d, err := w.decision()
		if err != nil {
			return err
		}
		hashed := p.hashes.name(name)
		if d.Order.Address == hashed && d.Order.Note == "" && d.Suppression == nil {
			continue
		}
		d.Order.Address, d.Order.Note, d.Suppression = hashed, "", nil
		if err := errors.Join(p.drop(append(p.ordersPrefix(account, name), id[:]...)), p.set(append(p.ordersPrefix(account, hashed), id[:]...), nil)); err != nil {
			return err
		}
		if err := p.keepDecision(&d); err != nil {
			return err
		}
	}
	return nil
}
