package inbound

import (
	"net"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"
)

func TestProxyProtocol(t *testing.T) {
	f := overTCP(t, func(o *Options) {
		o.ProxyProtocol, o.TrustedProxies = true, []string{"::ffff:127.0.0.0/104", "::1/128"} // mapped IPv4 counts as IPv4
		o.MaxConnectionsPerClient = 1
	})
	header := func(version byte, ip string) string {
		h := proxyproto.HeaderProxyFromAddrs(version, &net.TCPAddr{IP: net.ParseIP(ip), Port: 4000}, &net.TCPAddr{IP: net.ParseIP(ip), Port: 25})
		b, err := h.Format()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	local, err := (&proxyproto.Header{Version: 2, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}).Format()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, send, want string }{
		{"version 1", header(1, "192.0.2.1"), "220"},
		{"version 2", header(2, "192.0.2.2"), "220"},
		{"version 2, IPv6", header(2, "2001:db8:1:2::3"), "220"},
		{"the same client", header(1, "192.0.2.1"), "421 4.7.0 Too many connections"},
		{"the same /64", header(2, "2001:db8:1:2::4"), "421 4.7.0"},
		{"the next /64", header(2, "2001:db8:1:3::4"), "220"},
		{"the proxy itself", string(local), "220"},
		{"no header", "EHLO client.example.net\r\n", "421 4.3.5 PROXY"},
		{"half a header", "PROXY TCP4 192.0.2.9\r\n", "421 4.3.5"},
		{"nonsense", "PROXY " + strings.Repeat("x", 200) + "\r\n", "421 4.3.5"},
	} {
		c := f.dial() // stays open
		c.send(tt.send)
		if got, err := c.reply(); err != nil || !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, err, tt.want)
		}
		if tt.want == "220" {
			c.do("EHLO client.example.net", "250")
		}
	}
	// Who isn't trusted is taken for what he is, and his header for a bad command.
	f = overTCP(t, func(o *Options) { o.ProxyProtocol, o.TrustedProxies = true, []string{"192.0.2.0/24"} })
	c := f.dial()
	c.want("220")
	c.send(header(1, "192.0.2.1"))
	c.want("500")
}
