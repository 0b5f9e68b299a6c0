package pipeline

import (
	"net/netip"
	"testing"

	"carom/pipeline/event"
)

func TestTruncateAgent(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", ""},
		{"curl/8.5.0", "curl/8"},
		{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/18.1", "Mozilla/5 (Macintosh; Intel Mac OS X 10) Version/18"},
		{"Mozilla/5.0 (Linux; Android 9; CUBOT Build/PPR1.180610.011; wv)", "Mozilla/5 (Linux; Android 9; CUBOT Build/PPR1; wv)"},
		// A dot that no number follows, or that follows none, is no version's.
		{"a.b 1. 2 .3 _4 5.x", "a.b 1. 2 .3 _4 5.x"},
		{"1.2.3 4_5 6.7", "1 4 6"},
		{"1.2.", "1."},
	}
	for _, tt := range tests {
		if got := string(truncateAgent(make([]byte, 0, maxTruncatedAgent), tt.in)); got != tt.want {
			t.Errorf("%q becomes %q, want %q", tt.in, got, tt.want)
		}
	}
	if got := string(truncateAgent(make([]byte, 0, 4), "abcdef")); got != "abcd" {
		t.Errorf("with room for 4: %q", got)
	}
}

func TestTruncateAddress(t *testing.T) {
	for in, want := range map[string]string{
		"203.0.113.255": "203.0.113.0", "2001:db8:ffff:ffff::1": "2001:db8:ffff::", "fe80::1": "fe80::",
		"2002:cb00:71ff:ffff::1": "2002:cb00:7100::", // 203.0.113.255 by 6to4
	} {
		if got := truncateAddress(netip.MustParseAddr(in)); got.String() != want {
			t.Errorf("%s becomes %s, want %s", in, got, want)
		}
	}
	if got := truncateAddress(netip.Addr{}); got.IsValid() {
		t.Errorf("no address becomes %s", got)
	}
}

func TestClientHash(t *testing.T) {
	var s clientScratch
	c := newClients([32]byte{1})
	hash := func(c *clients, at event.Millis, ip, agent string) uint64 {
		req := event.Request{UserAgent: agent}
		if ip != "" {
			req.IP = netip.MustParseAddr(ip)
		}
		return c.hash(&s, at, &req)
	}
	const day = event.Millis(20000 * millisPerDay)
	base := hash(c, day, "203.0.113.1", browser)

	if got := hash(c, day+millisPerDay-1, "203.0.113.1", browser); got != base {
		t.Error("it changes within a day")
	}
	if got := hash(newClients([32]byte{1}), day, "203.0.113.1", browser); got != base {
		t.Error("another node with the same key has another hash")
	}
	for name, got := range map[string]uint64{
		"the next day":     hash(c, day+millisPerDay, "203.0.113.1", browser),
		"the day before":   hash(c, day-1, "203.0.113.1", browser),
		"another secret":   hash(newClients([32]byte{2}), day, "203.0.113.1", browser),
		"another address":  hash(c, day, "203.0.113.2", browser),
		"an IPv6 address":  hash(c, day, "2001:db8::cb00:7101", browser),
		"no address":       hash(c, day, "", browser),
		"another agent":    hash(c, day, "203.0.113.1", browser+"x"),
		"no agent":         hash(c, day, "203.0.113.1", ""),
		"neither":          hash(c, day, "", ""),
		"agent as address": hash(c, day, "", "\x01"+browser),
	} {
		if got == base {
			t.Errorf("%s: the same hash", name)
		}
	}
	if hash(c, day, "", "") != 0 {
		t.Error("no client has a hash")
	}
}

// TestClientHashOfLongAgent shows the bound: agents that differ behind it are one client.
func TestClientHashOfLongAgent(t *testing.T) {
	var s clientScratch
	c := newClients([32]byte{1})
	long := make([]byte, maxHashedAgent+1)
	a := c.hash(&s, start, &event.Request{UserAgent: string(long)})
	long[maxHashedAgent] = 'x'
	if b := c.hash(&s, start, &event.Request{UserAgent: string(long)}); a != b {
		t.Error("the hash looks further than its bound")
	}
	long[maxHashedAgent-1] = 'x'
	if b := c.hash(&s, start, &event.Request{UserAgent: string(long)}); a == b {
		t.Error("the hash doesn't look as far as its bound")
	}
}
