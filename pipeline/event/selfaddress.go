package event

import (
	"fmt"
	"net/netip"
)

// A range that is wider than this isn't a sender's: a slip of the pen would hide a part of the world's hits.
const minSelfBits4, minSelfBits6 = 8, 16

// ParseSelfAddress reads an address from which a sender opens its own mail, or a range of addresses: not wider than /8,
// of IPv6 /16. A mapped IPv4 address is an IPv4 address, as clients are compared.
func ParseSelfAddress(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return p, fmt.Errorf("%.64q: want an address such as 203.0.113.7, or a range such as 203.0.113.0/24", text)
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	if bits := p.Bits() - 96; p.Addr().Is4In6() && bits >= 0 {
		p = netip.PrefixFrom(p.Addr().Unmap(), bits)
	}
	least := minSelfBits6
	if p.Addr().Is4() {
		least = minSelfBits4
	}
	if p.Bits() < least {
		return p, fmt.Errorf("%q: is too wide for one sender: want /%d or narrower", text, least)
	}
	return p.Masked(), nil
}
