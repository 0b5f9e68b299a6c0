package track

import (
	"bytes"
	"net"
	"net/netip"

	"github.com/gaissmai/bart"
	"github.com/valyala/fasthttp"
)

// maxHops bounds how many hops of X-Forwarded-For are looked at. Proxies of one's own come in twos and threes.
const maxHops = 32

// proxies are the configured ones.
type proxies struct {
	table bart.Lite
	any   bool
}

func newProxies(list []string) (*proxies, error) {
	p := new(proxies)
	for _, s := range list {
		prefix, err := parseProxy(s)
		if err != nil {
			return nil, err
		}
		p.table.Insert(prefix)
		p.any = true
	}
	return p, nil
}

// trust reports whether ip is a configured proxy's.
func (p *proxies) trust(ip netip.Addr) bool { return p.any && ip.IsValid() && p.table.Lookup(ip) }

// headerForwarded is as fasthttp normalises it.
const headerForwarded = "X-Forwarded-For"

// client returns the address that a request came from, as far as it can be known: the peer's, unless the peer is one of
// our proxies; then the rightmost hop that isn't, and the last hop of ours that could be followed if there is none.
// It is not valid where the peer has no IP address.
func (p *proxies) client(ctx *fasthttp.RequestCtx) netip.Addr {
	peer := addrOf(ctx.RemoteAddr())
	if !p.trust(peer) {
		return peer
	}
	return p.follow(peer, ctx.Request.Header.PeekAll(headerForwarded))
}

// follow goes through the hops of all X-Forwarded-For lines from right to left. Several lines are one list, in their
// order (RFC 9110 §5.3).
func (p *proxies) follow(at netip.Addr, lines [][]byte) netip.Addr {
	hops := 0
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			if hops++; hops > maxHops {
				return at
			}
			var hop []byte
			rest, hop, more = cutLastHop(rest)
			if len(hop) == 0 {
				continue // RFC 9110 §5.6.1.2: empty elements are passed over
			}
			ip, ok := parseHop(hop)
			if !ok {
				return at // nothing to the left of it can be vouched for
			}
			if !p.trust(ip) {
				return ip
			}
			at = ip
		}
	}
	return at
}

// cutLastHop splits the last element off a comma-separated list. more tells whether a comma was before it.
func cutLastHop(list []byte) (rest, hop []byte, more bool) {
	if i := bytes.LastIndexByte(list, ','); i >= 0 {
		return list[:i], bytes.Trim(list[i+1:], " \t"), true
	}
	return nil, bytes.Trim(list, " \t"), false
}

// parseHop reads an address with or without a port: 192.0.2.1, 192.0.2.1:1234, 2001:db8::1, [2001:db8::1],
// [2001:db8::1]:1234.
func parseHop(hop []byte) (netip.Addr, bool) {
	// The longest form is a mapped address with a zone of some length, a port and brackets.
	const maxHop = 100
	if len(hop) > maxHop {
		return netip.Addr{}, false
	}
	switch {
	case hop[0] == '[':
		end := bytes.IndexByte(hop, ']')
		if end < 0 || end+1 < len(hop) && !isPort(hop[end+1:]) {
			return netip.Addr{}, false
		}
		hop = hop[1:end]
	case bytes.Count(hop, colon) == 1:
		i := bytes.IndexByte(hop, ':')
		if !isPort(hop[i:]) {
			return netip.Addr{}, false
		}
		hop = hop[:i]
	}
	ip, err := netip.ParseAddr(alias(hop))
	if err != nil {
		return netip.Addr{}, false
	}
	return plain(ip), true
}

var colon = []byte{':'}

// isPort reports whether b is a colon and up to five digits.
func isPort(b []byte) bool {
	if len(b) < 2 || len(b) > 6 || b[0] != ':' {
		return false
	}
	for _, c := range b[1:] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// addrOf returns the address of a peer; it is not valid for one that has none.
func addrOf(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	ip, _ := netip.AddrFromSlice(tcp.IP)
	return plain(ip)
}

// plain makes the different forms of an address equal.
func plain(ip netip.Addr) netip.Addr { return ip.Unmap().WithZone("") }
