package refine

import (
	"encoding/binary"
	"fmt"

	"carom/kv"
	"carom/pipeline/event"
)

// MaxContactsTold is how many contacts of an account a partition tells the log of addresses. Who needs their number
// needs it exactly up to there: at 2 % of them, the quota of reactivations is at its cap of 1,000.
const MaxContactsTold = 50_000

// maxCounts bounds how many accounts' counts are at hand between two steps.
const maxCounts = 4096

// knownContacts remembers which contacts were told. No time takes them, because who was told again would be counted
// again; MaxContactsTold bounds them, at some 18 bytes each: 0.9 MB of an account in a partition.
//
//	32 | account              how many (uvarint)
//	33 | contact key(16)      empty: this one
type knownContacts struct {
	counts map[string]uint64             // by account, those at hand
	dirty  map[string]struct{}           // of this step
	fresh  map[event.ContactKey]struct{} // told in this step
}

func newKnownContacts() *knownContacts {
	return &knownContacts{
		counts: make(map[string]uint64), dirty: make(map[string]struct{}), fresh: make(map[event.ContactKey]struct{}),
	}
}

func (k keyspace) contactCount(dst []byte, account string) []byte {
	return append(k.table(dst, tableContactCounts), account...)
}

func (k keyspace) contactTold(dst []byte, c event.ContactKey) []byte {
	return append(k.table(dst, tableContactsTold), c[:]...)
}

// tellContact tells the log of addresses the contact of a message that was registered just now, if he is new.
func (p *Partition) tellContact(f *fact, s *state) error {
	if s.ref.Contact == "" {
		return nil
	}
	told, err := p.contactsTold(s.ref.Account)
	if err != nil || told >= MaxContactsTold {
		return err
	}
	c := event.ContactKeyOf(s.ref.Account, s.ref.Contact)
	if _, known := p.known.fresh[c]; known {
		return nil
	}
	p.scratch = p.keys.contactTold(p.scratch[:0], c)
	_, known, err := p.store.Get(nil, p.scratch)
	if err != nil || known {
		return err
	}
	if err := p.step.batch.Set(p.scratch, nil, nil); err != nil {
		return fmt.Errorf("tell a contact: %w", err)
	}
	p.known.fresh[c] = struct{}{}
	p.known.counts[s.ref.Account] = told + 1
	p.known.dirty[s.ref.Account] = struct{}{}
	p.tellAddress(&event.AddressFact{
		ID: p.toldID(event.Contact), Kind: event.Contact, Time: f.Time, Ref: event.Ref{Account: s.ref.Account}, ContactKey: c.String(),
	}, f.source.Node)
	return nil
}

// contactsTold returns how many contacts of an account were told.
func (p *Partition) contactsTold(account string) (n uint64, err error) {
	n, ok := p.known.counts[account]
	if ok {
		return n, nil
	}
	p.scratch = p.keys.contactCount(p.scratch[:0], account)
	value, ok, err := p.store.Get(nil, p.scratch)
	if err != nil {
		return 0, err
	}
	if ok {
		d := decoder{rest: value}
		if n = d.uvarint(MaxContactsTold); d.finish("count of contacts") != nil {
			return 0, d.finish("count of contacts")
		}
	}
	p.known.counts[account] = n
	return n, nil
}

func (kc *knownContacts) write(keys keyspace, b *kv.Batch) error {
	for account := range kc.dirty {
		if err := b.Set(keys.contactCount(nil, account), binary.AppendUvarint(nil, kc.counts[account]), nil); err != nil {
			return fmt.Errorf("count contacts: %w", err)
		}
	}
	return nil
}

func (kc *knownContacts) committed() {
	clear(kc.dirty)
	clear(kc.fresh)
	if len(kc.counts) > maxCounts {
		clear(kc.counts)
	}
}
