package track

import (
	"net/netip"
	"strings"
	"testing"

	"carom/edge/ref"
)

func TestClientBehindProxies(t *testing.T) {
	trusted := []string{"127.0.0.0/8", "10.0.0.0/8", "192.0.2.7", "2001:db8:ffff::/48", "::ffff:172.16.0.0/108"}
	tests := []struct {
		name  string
		lines []string // of X-Forwarded-For
		want  string
	}{
		{"no header", nil, "127.0.0.1"},
		{"an empty header", []string{""}, "127.0.0.1"},
		{"one hop", []string{"203.0.113.5"}, "203.0.113.5"},
		{"the client forges", []string{"198.51.100.1, 203.0.113.5"}, "203.0.113.5"},
		{"the client forges a proxy", []string{"10.0.0.1, 203.0.113.5"}, "203.0.113.5"},
		{"proxies in a row", []string{"198.51.100.1, 203.0.113.5, 10.1.2.3,192.0.2.7 , 10.0.0.1"}, "203.0.113.5"},
		{"a neighbour of a proxy", []string{"203.0.113.5, 192.0.2.8"}, "192.0.2.8"},
		{"only proxies", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"several lines", []string{"198.51.100.1", "203.0.113.5", "10.0.0.1, 10.0.0.2"}, "203.0.113.5"},
		{"empty elements", []string{"203.0.113.5,,", ", 10.0.0.1,"}, "203.0.113.5"},
		{"tabs", []string{"203.0.113.5\t,\t10.0.0.1"}, "203.0.113.5"},

		{"a port", []string{"203.0.113.5:4711, 10.0.0.1:80"}, "203.0.113.5"},
		{"IPv6", []string{"2001:db8::1"}, "2001:db8::1"},
		{"IPv6 in brackets", []string{"[2001:db8::1], [2001:db8:ffff::9]"}, "2001:db8::1"},
		{"IPv6 with a port", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{"IPv6 with a zone", []string{"fe80::1%eth0"}, "fe80::1"},
		{"mapped IPv4", []string{"203.0.113.5, ::ffff:10.0.0.1"}, "203.0.113.5"},
		{"a proxy configured as mapped IPv4", []string{"203.0.113.5, 172.31.0.1"}, "203.0.113.5"},
		{"mapped IPv4 of a client", []string{"::ffff:203.0.113.5"}, "203.0.113.5"},

		{"garbage", []string{"unknown"}, "127.0.0.1"},
		{"garbage behind a proxy", []string{"203.0.113.5, unknown, 10.0.0.1"}, "10.0.0.1"},
		{"garbage in front of the client", []string{"<script>, 203.0.113.5"}, "203.0.113.5"},
		{"a number", []string{"3405803781"}, "127.0.0.1"},
		{"octal", []string{"010.0.0.1"}, "127.0.0.1"},
		{"no port", []string{"203.0.113.5:"}, "127.0.0.1"},
		{"a long port", []string{"203.0.113.5:123456"}, "127.0.0.1"},
		{"a bad port", []string{"203.0.113.5:8o"}, "127.0.0.1"},
		{"an open bracket", []string{"[2001:db8::1"}, "127.0.0.1"},
		{"a closed bracket", []string{"2001:db8::1]"}, "127.0.0.1"},
		{"behind the bracket", []string{"[2001:db8::1]x"}, "127.0.0.1"},
		{"brackets alone", []string{"[]"}, "127.0.0.1"},
		{"quotes", []string{`"203.0.113.5"`}, "127.0.0.1"},
		{"long garbage", []string{strings.Repeat("1", 5000)}, "127.0.0.1"},
		{"as many hops as are looked at", []string{"203.0.113.5" + strings.Repeat(",10.0.0.1", maxHops-1)}, "203.0.113.5"},
		{"a hop more", []string{"203.0.113.5" + strings.Repeat(",10.0.0.1", maxHops)}, "10.0.0.1"},
		{"very many empty elements", []string{"203.0.113.5" + strings.Repeat(",", 10000)}, "127.0.0.1"},
	}
	o := testOptions()
	o.TrustedProxies = trusted
	r := start(t, o)
	url := r.url(t, ref.OpenPixel, typical)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var headers []string
			for _, l := range tt.lines {
				headers = append(headers, "X-Forwarded-For", l)
			}
			do(t, "GET", url, "", headers...)
			if got := r.sink.take1(t).req.IP; got != netip.MustParseAddr(tt.want) {
				t.Errorf("the client is %s, want %s", got, tt.want)
			}
		})
	}
}

// TestStrangersCannotForward sends the header from an address that is no proxy of ours.
func TestStrangersCannotForward(t *testing.T) {
	o := testOptions()
	o.TrustedProxies = []string{"10.0.0.0/8", "127.0.0.2"}
	r := start(t, o)
	do(t, "GET", r.url(t, ref.OpenPixel, typical), "", "X-Forwarded-For", "203.0.113.5")
	if got := r.sink.take1(t).req.IP; got != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("the client is %s", got)
	}
}

func TestFollowAllocatesNothing(t *testing.T) {
	p, err := newProxies([]string{"10.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	lines := [][]byte{[]byte("198.51.100.1"), []byte("[2001:db8::1]:4711, 10.0.0.1, 10.0.0.2:80")}
	if n := testing.AllocsPerRun(100, func() { p.follow(netip.MustParseAddr("10.0.0.3"), lines) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
