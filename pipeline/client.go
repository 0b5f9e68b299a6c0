package pipeline

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"sync/atomic"

	"github.com/dchest/siphash"

	"carom/pipeline/event"
)

const (
	// maxWholeAgent and maxTruncatedAgent bound what is kept of a user agent, in bytes. Real ones have 70 to 250.
	maxWholeAgent     = 512
	maxTruncatedAgent = 128
	// maxHashedAgent bounds what of it makes clients different, in bytes.
	maxHashedAgent = 2048
	// The prefixes that a truncated address keeps: a site, not a household.
	keptBits4, keptBits6 = 24, 48
	// Of a 6to4 address (RFC 3056) bits 16 to 47 are an IPv4 address.
	keptBits6to4 = 16 + keptBits4
)

// clientScratch holds what is made of one request's client, so that nothing is allocated.
type clientScratch struct {
	agent [maxTruncatedAgent]byte
	hash  [1 + 16 + maxHashedAgent]byte
}

var prefix6to4 = netip.MustParsePrefix("2002::/16")

// truncateAddress sets the bits to 0 that tell the households of a site apart.
func truncateAddress(ip netip.Addr) netip.Addr {
	bits := keptBits6
	switch {
	case ip.Is4():
		bits = keptBits4
	case prefix6to4.Contains(ip):
		bits = keptBits6to4
	}
	p, err := ip.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Addr{} // there was no address
	}
	return p.Addr()
}

// truncateAgent appends to dst, without growing it, the agent with all versions cut to their first number: which
// browser of which year it is stays, which build on which patch level goes.
func truncateAgent(dst []byte, agent string) []byte {
	digits, cutting := false, false
	for i := 0; i < len(agent) && len(dst) < cap(dst); i++ {
		c := agent[i]
		digit := '0' <= c && c <= '9'
		switch {
		case digit && cutting:
			continue
		case digit:
			digits = true
		case (c == '.' || c == '_') && (digits || cutting) && i+1 < len(agent) && '0' <= agent[i+1] && agent[i+1] <= '9':
			digits, cutting = false, true
			continue
		default:
			digits, cutting = false, false
		}
		dst = append(dst, c)
	}
	return dst
}

// clients tells clients apart by a keyed hash whose key changes every day (UTC): enough to see that two hits came from
// one client, not to recognise it a day later, nor to find its address by trying all.
type clients struct {
	secret [32]byte
	today  atomic.Pointer[dayKey]
}

type dayKey struct {
	day int64 // since 1970
	key sipKey
}

func newClients(secret [32]byte) *clients { return &clients{secret: secret} }

// hash returns the hash of a client at a time. It is 0 if the request tells nothing of the client, and only then.
func (c *clients) hash(s *clientScratch, at event.Millis, req *event.Request) uint64 {
	if !req.IP.IsValid() && req.UserAgent == "" {
		return 0
	}
	// As16 maps IPv4 into IPv6, so the length of what precedes the agent is fixed; the first byte is 1 if there is an
	// address.
	b := s.hash[:0]
	if req.IP.IsValid() {
		ip := req.IP.As16()
		b = append(append(b, 1), ip[:]...)
	} else {
		b = b[:1+16]
		clear(b)
	}
	b = append(b, req.UserAgent[:min(len(req.UserAgent), maxHashedAgent)]...)
	return max(c.keyOf(at).hash(b), 1)
}

// addressHash returns the hash of a client's address alone; 0 if there is none, and only then. Its first byte sets it
// apart from the hash of a client without an agent.
func (c *clients) addressHash(s *clientScratch, at event.Millis, req *event.Request) uint64 {
	if !req.IP.IsValid() {
		return 0
	}
	ip := req.IP.As16()
	return max(c.keyOf(at).hash(append(append(s.hash[:0], 2), ip[:]...)), 1)
}

// unlink makes a client's hashes those of one message: within it they tell clients apart as before, and nobody can find
// another message's hits by them.
func (c *clients) unlink(s *clientScratch, ev *event.Event) {
	for _, h := range [...]*uint64{&ev.Client.Hash, &ev.Client.AddressHash} {
		if *h != 0 {
			b := binary.BigEndian.AppendUint64(append(s.hash[:0], 3), *h)
			*h = max(c.keyOf(ev.Time).hash(append(b, ev.Key[:]...)), 1)
		}
	}
}

// millisPerDay is the length of a UTC day; event times know no leap seconds.
const millisPerDay = 24 * 60 * 60 * 1000

// keyOf returns the key of a day. The last one asked for is remembered; around midnight, while hits of both days arrive,
// it is made anew a few times.
func (c *clients) keyOf(at event.Millis) sipKey {
	day := int64(at) / millisPerDay
	if k := c.today.Load(); k != nil && k.day == day {
		return k.key
	}
	k := &dayKey{day: day, key: c.derive(day)}
	c.today.Store(k)
	return k.key
}

// derive makes a day's key: the first 16 bytes of HMAC-SHA256 over "carom client day v1", 0x00 and the day.
func (c *clients) derive(day int64) sipKey {
	mac := hmac.New(sha256.New, c.secret[:])
	mac.Write([]byte("carom client day v1\x00"))
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(day)))
	return newSipKey([16]byte(mac.Sum(nil)))
}

// sipKey is a key of SipHash-2-4: without it nobody can tell what was hashed, even by trying all addresses. On input
// as short as a client's it is several times as fast as HMAC-SHA256.
type sipKey struct{ k0, k1 uint64 }

func newSipKey(b [16]byte) sipKey {
	return sipKey{binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])}
}

func (k sipKey) hash(p []byte) uint64 { return siphash.Hash(k.k0, k.k1, p) }
