package suppress

import (
	"context"
	"errors"
	"fmt"

	"carom/kv"
	"carom/pipeline/event"
)

// switchNames follows a change of hash_only, before anything else is decided. Switched on, every address that is kept gets
// the name that it has from then on: its hash. Switched off, what has a hash keeps it, and is found by it.
func (p *Partition) switchNames(ctx context.Context) error {
	_, all, err := p.store.Get(nil, p.metaKey(metaHashed))
	if err != nil || all == p.o.HashOnly {
		return err
	}
	p.place = wirePlace{Addresses: p.at.next - 1}
	if all {
		return p.step(ctx, func() error {
			p.at.hashed++
			return p.drop(p.metaKey(metaHashed))
		})
	}
	p.logger.Info("keeps hashes of addresses alone from now on")
	for _, t := range []struct {
		table byte
		hash  func(key, row []byte) error
	}{{tableEntry, p.hideEntry}, {tableDecision, p.hideDecision}, {tableWaiting, p.hideWaiting}} {
		if err := p.rewriteRows(ctx, t.table, t.hash); err != nil {
			return err
		}
	}
	return p.step(ctx, func() error { return p.set(p.metaKey(metaHashed), nil) })
}

// rewriteRows calls fn with the rows of a table, some in one step.
func (p *Partition) rewriteRows(ctx context.Context, table byte, fn func(key, row []byte) error) error {
	end := kv.PrefixEnd(p.table(table))
	for from := p.table(table); from != nil; {
		err := p.step(ctx, func() error {
			var keys, rows [][]byte
			err := p.scan(from, end, func(key, value []byte) (bool, error) {
				row, err := openRow(value)
				keys, rows = append(keys, key), append(rows, row)
				return len(keys) < p.rowsAtOnce, err
			})
			if from = nil; len(keys) == p.rowsAtOnce {
				from = append(keys[p.rowsAtOnce-1], 0)
			}
			for i := range keys {
				if err == nil {
					err = fn(keys[i], rows[i])
				}
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// hideEntry gives an entry the hash of its address as its name.
func (p *Partition) hideEntry(key, row []byte) error {
	account, name, err := cutEntryRef(key[headerSize:])
	if err != nil || isHashed(name) {
		return err
	}
	e := &entry{}
	if err := decode(row, e); err != nil {
		return fmt.Errorf("%w: %w", errRow, err)
	}
	e.account, e.name = account, name
	if err := p.remove(e); err != nil {
		return err
	}
	e.name = p.hashes.name(name)
	e.hide()
	errs := []error{p.indexHard(e, nil)}
	if e.Due != 0 {
		errs = append(errs, p.due(e.Due, dueEntry, entryRef(e)))
	}
	if e.Asked != nil {
		errs = append(errs, p.due(e.Asked.Due, dueInquiry, entryRef(e)))
	}
	value := encode(e)
	if e.Told {
		p.publishEntry(e, value)
	}
	return errors.Join(append(errs, p.set(p.entryKey(e.account, e.name), value))...)
}

// hideDecision takes the address from a decision.
func (p *Partition) hideDecision(_, row []byte) error {
	var w wireDecision
	if err := decode(row, &w); err != nil {
		return fmt.Errorf("%w: %w", errRow, err)
	}
	d, err := w.decision()
	if err != nil {
		return err
	}
	name := normalName(d.Order.Address)
	if !isName(name) || isHashed(name) {
		return nil
	}
	id, hashed := event.ID(d.ID), p.hashes.name(name)
	if err := errors.Join(p.drop(append(p.ordersPrefix(d.Order.Account, name), id[:]...)), p.set(append(p.ordersPrefix(d.Order.Account, hashed), id[:]...), nil)); err != nil {
		return err
	}
	d.Order.Address = hashed
	if s := w.Suppression; s != nil {
		hideAll(s.Others)
		if s.Evidence != nil {
			s.Evidence.Diagnostic = ""
		}
		hidden := s.suppression()
		hidden.Address, hidden.Original = hashed, ""
		d.Suppression = &hidden
	}
	return p.keepDecision(&d)
}

// hideWaiting takes from a fact that waits what may name its address.
func (p *Partition) hideWaiting(_, row []byte) error {
	var f event.AddressFact
	if err := f.DecodeJSON(row); err != nil {
		return fmt.Errorf("read a fact that waited: %w", err)
	}
	f.Bounce.Diagnostic = ""
	return p.setWaiting(&f)
}
