package bot

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/gaissmai/bart"
)

// parseNetworks reads networks.tsv, the lists that it names, asns.tsv and pfx2as. It also returns the codes that there
// are.
func (l *loader) parseNetworks() (*networks, map[string]bool, error) {
	n := &networks{}
	b := networksBuilder{loader: l, n: n, codes: map[string]bool{}, lists: map[string]uint16{}, asns: map[uint32]uint16{}}
	if err := l.readTable(networksFile, networkColumns, b.addNetwork); err != nil {
		return nil, nil, err
	}
	for _, list := range b.order {
		if err := b.readList(list); err != nil {
			return nil, nil, err
		}
	}
	if err := l.readTable(asnsFile, asnColumns, b.addASN); err != nil {
		return nil, nil, err
	}
	if err := b.readOrigins(); err != nil {
		return nil, nil, err
	}
	n.noteUsed()
	return n, b.codes, nil
}

// networksBuilder fills the tables of prefixes.
type networksBuilder struct {
	loader *loader
	n      *networks
	codes  map[string]bool
	lists  map[string]uint16 // the rule of each list that networks.tsv names
	order  []string          // of lists
	asns   map[uint32]uint16 // the rule of each ASN that is on
	size   int               // prefixes of all tables
}

// addRule adds a rule and returns its number.
func (b *networksBuilder) addRule(f fields) (uint16, error) {
	r, err := f.rule()
	if err != nil {
		return 0, err
	}
	b.codes[r.code] = true
	b.n.rules = append(b.n.rules, networkRule{rule: r})
	return uint16(len(b.n.rules) - 1), nil
}

// addNetwork adds a line of networks.tsv: a prefix, or the name of a list of them.
func (b *networksBuilder) addNetwork(f fields) error {
	i, err := b.addRule(f)
	if err != nil {
		return err
	}
	name := f["prefix"]
	if !isList(name) {
		return b.insert(&b.n.named, name, i)
	}
	if !plainName(name) {
		return fmt.Errorf("prefix %q: want the name of a file in the same folder", name)
	}
	if _, twice := b.lists[name]; twice {
		return fmt.Errorf("prefix %q: it stands further up", name)
	}
	b.lists[name] = i
	b.order = append(b.order, name)
	return nil
}

const listSuffix = ".csv"

func isList(name string) bool { return strings.HasSuffix(name, listSuffix) }

// plainName reports whether a file's name has no path.
func plainName(name string) bool { return name != "" && !strings.ContainsAny(name, `/\`) }

// insert adds a prefix, which must be new.
func (b *networksBuilder) insert(table *bart.Table[uint16], text string, i uint16) error {
	p, err := parsePrefix(text)
	if err != nil {
		return err
	}
	if _, twice := table.Get(p); twice {
		return fmt.Errorf("prefix %s: it stands further up", p)
	}
	return b.grow(table, p, i)
}

func (b *networksBuilder) grow(table *bart.Table[uint16], p netip.Prefix, i uint16) error {
	if b.size++; b.size > maxPrefixes {
		return fmt.Errorf("want at most %d prefixes in all", maxPrefixes)
	}
	table.Insert(p, i)
	return nil
}

// The widest prefixes: nobody was given more, and unique local addresses (RFC 4193) are fc00::/7. A table of routes may
// have a default route, which is everybody's.
const widest4, widest6 = 8, 7

func parsePrefix(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		ip, err := netip.ParseAddr(text)
		if err != nil || ip.Zone() != "" {
			return p, fmt.Errorf("prefix %q: want an address and its bits, such as 192.0.2.0/24 or 2001:db8::/32", text)
		}
		p = netip.PrefixFrom(ip, ip.BitLen())
	}
	if p.Addr().Is4In6() {
		return p, fmt.Errorf("prefix %q: write an IPv4 address as such", text)
	}
	least := widest6
	if p.Addr().Is4() {
		least = widest4
	}
	if p.Bits() < least {
		return p, fmt.Errorf("prefix %q: nobody has that much: want /%d or narrower", text, least)
	}
	if p != p.Masked() {
		return p, fmt.Errorf("prefix %q: its address goes on behind its bits: want %s", text, p.Masked())
	}
	return p, nil
}

// readList reads a list: lines whose first value is a prefix. A list that isn't there is empty: its vendor's is too long
// and changes too often to ship.
//
//	2.3.4.5/31,GB,GB-ENG,London      as Apple publishes egress-ip-ranges.csv
func (b *networksBuilder) readList(name string) error {
	if !b.loader.has(name) {
		b.loader.skipped(name)
		return nil
	}
	before := b.size
	err := b.loader.readLines(name, maxList, func(s string) error {
		text, _, _ := strings.Cut(s, ",")
		if text = strings.TrimSpace(text); text == "" || text[0] == '#' {
			return nil
		}
		p, err := parsePrefix(text)
		if err != nil {
			return err
		}
		// Vendors repeat themselves: Apple's list has a line for every town.
		return b.grow(&b.n.lists, p, b.lists[name])
	})
	b.loader.count(name, 0, b.size-before)
	return err
}

// addASN adds a line of asns.tsv.
func (b *networksBuilder) addASN(f fields) error {
	i, err := b.addRule(f)
	if err != nil {
		return err
	}
	number, err := strconv.ParseUint(f["asn"], 10, 32)
	if err != nil {
		return fmt.Errorf("asn %q: want a number", f["asn"])
	}
	switch f["state"] {
	case "on":
		if _, twice := b.asns[uint32(number)]; twice {
			return fmt.Errorf("asn %d: it stands further up", number)
		}
		b.asns[uint32(number)] = i
	case "off":
	default:
		return fmt.Errorf("state %q: want on or off", f["state"])
	}
	return nil
}

// readOrigins reads which AS announces which prefix, and keeps the prefixes of those that are on.
//
//	192.0.2.0	24	64496           as CAIDA makes it of RouteViews: address, bits, AS
//	198.51.100.0	24	64496_64511     several that announce it; or a set, 64496,64511
func (b *networksBuilder) readOrigins() error {
	before := b.size
	err := b.loader.readLines(originsFile, maxList, func(s string) error {
		if s == "" || s[0] == '#' {
			return nil
		}
		address, rest, ok1 := strings.Cut(s, "\t")
		bits, origins, ok2 := strings.Cut(rest, "\t")
		if !ok1 || !ok2 {
			return fmt.Errorf("want address, bits and AS, with tabs between them")
		}
		for more := true; more; {
			i := strings.IndexAny(origins, "_,")
			one := origins
			if more = i >= 0; more {
				one, origins = origins[:i], origins[i+1:]
			}
			number, err := strconv.ParseUint(one, 10, 32)
			if err != nil {
				return fmt.Errorf("AS %q: want a number", one)
			}
			if rule, on := b.asns[uint32(number)]; on {
				p, err := parsePrefix(address + "/" + bits)
				if err != nil {
					return err
				}
				return b.grow(&b.n.asns, p, rule)
			}
		}
		return nil
	})
	b.loader.count(originsFile, 0, b.size-before)
	return err
}
