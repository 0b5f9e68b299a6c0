package rollup

import (
	"encoding/binary"
	"fmt"
	"strings"

	"carom/kv"
	"carom/pipeline/provider"
)

// otherProviders is under which name what a sender sends to domains beyond rollup.domains is counted.
const otherProviders = "other"

// providers gives each recipient's provider the name that it is counted under: its own, if package provider knows it or it
// is one of the first so many domains that the sender wrote to. Else every company on a long list had rows of its own,
// with one mail in it. The name that was given is kept in the enrollment, so what counts under it never changes.
//
// The table of providers has a row for each name that a sender has; that of domains says how many of them are domains.
// What a step finds is written with it, and found here meanwhile.
type providers struct {
	p       *Partition
	given   map[part]string // to names that were met of late
	domains map[scope]int   // of senders that were met of late
	fresh   []part          // to be written
	grown   map[scope]struct{}
}

func newProviders(p *Partition) *providers {
	return &providers{p: p, given: make(map[part]string), domains: make(map[scope]int), grown: make(map[scope]struct{})}
}

// maxDomain bounds what is taken for a name.
const maxDomain = 255

// clear forgets what was written; it keeps what it knows, within bounds.
func (ps *providers) clear() {
	ps.fresh = ps.fresh[:0]
	clear(ps.grown)
	if len(ps.given) > maxKnown {
		clear(ps.given)
	}
	if len(ps.domains) > maxKnown {
		clear(ps.domains)
	}
}

// name returns the name that mail of a sender to a provider is counted under; empty if the provider is not known.
func (ps *providers) name(account, sender, domain string) (string, error) {
	if domain == "" || len(domain) > maxDomain {
		return "", nil
	}
	key := part{account, sender, partProvider, domain}
	if name, ok := ps.given[key]; ok {
		return name, nil
	}
	// They are parts of a whole record, which must not stay for them.
	key = part{strings.Clone(account), strings.Clone(sender), partProvider, strings.Clone(domain)}
	name, err := ps.give(key)
	if err != nil {
		return "", fmt.Errorf("name provider: %w", err)
	}
	ps.given[key] = name
	return name, nil
}

func (ps *providers) give(key part) (string, error) {
	_, known, err := ps.p.disk.Get(ps.p.providerKey(key))
	if err != nil || known {
		return key.name, err
	}
	if !provider.Known(key.name) {
		of := scope{account: key.account, sender: key.sender}
		n, err := ps.count(of)
		if err != nil {
			return "", err
		}
		if n >= ps.p.o.Domains {
			key.name = otherProviders
			if _, given := ps.given[key]; !given {
				ps.given[key] = key.name
				ps.fresh = append(ps.fresh, key)
			}
			return key.name, nil
		}
		ps.domains[of] = n + 1
		ps.grown[of] = struct{}{}
	}
	ps.fresh = append(ps.fresh, key)
	return key.name, nil
}

// count returns how many domains a sender has.
func (ps *providers) count(of scope) (int, error) {
	if n, ok := ps.domains[of]; ok {
		return n, nil
	}
	value, ok, err := ps.p.disk.Get(ps.p.domainsKey(of))
	if err != nil {
		return 0, err
	}
	n := 0
	if ok {
		s := openValue(value, domainsVersion, "number of domains")
		n = int(s.uint32())
		if err := s.end(); err != nil {
			return 0, err
		}
	}
	ps.domains[of] = n
	return n, nil
}

// write puts what is new into b.
func (ps *providers) write(b *kv.Batch) error {
	for _, key := range ps.fresh {
		if err := b.Set(ps.p.providerKey(key), []byte{nameVersion}, nil); err != nil {
			return fmt.Errorf("write provider: %w", err)
		}
	}
	for of := range ps.grown {
		value := binary.AppendUvarint([]byte{domainsVersion}, uint64(ps.domains[of]))
		if err := b.Set(ps.p.domainsKey(of), value, nil); err != nil {
			return fmt.Errorf("write number of domains: %w", err)
		}
	}
	return nil
}

func (p *Partition) providerKey(of part) []byte {
	return kv.AppendName(scope{account: of.account, sender: of.sender}.appendSender(appendHeader(nil, p.number, tableProvider)), of.name)
}

func (p *Partition) domainsKey(of scope) []byte {
	return of.appendSender(appendHeader(nil, p.number, tableDomains))
}
