package webhook

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// notPublic are the addresses that no stranger's server has, by the registries of special-purpose addresses (RFC 6890 and
// its updates).
var notPublic = parsePrefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"224.0.0.0/4", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

var (
	// globalUnicast is what IPv6 has of public addresses, RFC 4291 §2.4 as IANA has assigned it.
	globalUnicast = netip.MustParsePrefix("2000::/3")
	// translated addresses have an IPv4 address in their last four bytes, RFC 6052 §2.1.
	translated = netip.MustParsePrefix("64:ff9b::/96")
)

func parsePrefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// guard says which addresses may be connected to.
type guard struct{ allowed []netip.Prefix }

// errAddress is why a connection was not made.
type errAddress struct{ address netip.Addr }

func (e *errAddress) Error() string {
	return fmt.Sprintf("%v is no public address: webhooks.allow lists those that may be sent to nevertheless", e.address)
}

// check refuses an address that is neither public nor allowed.
func (g guard) check(a netip.Addr) error {
	a = a.Unmap().WithZone("")
	contains := func(p netip.Prefix) bool { return p.Contains(a) }
	if slices.ContainsFunc(g.allowed, contains) {
		return nil
	}
	if translated.Contains(a) {
		b := a.As16()
		return g.check(netip.AddrFrom4([4]byte(b[12:])))
	}
	if !a.IsValid() || a.Is6() && !globalUnicast.Contains(a) || slices.ContainsFunc(notPublic, contains) {
		return &errAddress{a}
	}
	return nil
}

// dial connects, and checks each address that it tries after the name was resolved.
func (g guard) dial(timeout time.Duration) func(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{Timeout: timeout, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return g.check(at.Addr())
	}}
	return d.DialContext
}
