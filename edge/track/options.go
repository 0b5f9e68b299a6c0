package track

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"carom/edge/ref"
)

// Options are the settings of the HTTP edge: the section `track` of the configuration.
type Options struct {
	Listen                   string        `yaml:"listen" doc:"Address to listen on, host:port; without a host, on all addresses."`
	BaseURL                  string        `yaml:"base_url" doc:"URL under which the public reaches this listener, for example https://track.example.com: tracked links begin with it. Nodes with the roles track or api need it."`
	TrustedProxies           []string      `yaml:"trusted_proxies" doc:"Addresses and CIDRs of the proxies whose X-Forwarded-For (or PROXY header) names the client."`
	ProxyProtocol            bool          `yaml:"proxy_protocol" doc:"Whether the trusted proxies begin every connection with a PROXY protocol header, version 1 or 2; then connections of theirs without one are closed."`
	MaxConnections           int           `yaml:"max_connections" doc:"How many connections may be open at once, 1 to 1000000; further ones get 503."`
	MaxConnectionsPerClient  int           `yaml:"max_connections_per_client" doc:"How many connections an IPv4 address or an IPv6 /64 that is no trusted proxy may have open at once, 0 to 1000000; 0 sets no bound. Behind a proxy that isn't listed as trusted this would bound all clients together."`
	MaxRequestsPerConnection int           `yaml:"max_requests_per_connection" doc:"After how many requests a connection is closed, 0 or more; 0 sets no bound."`
	ReadTimeout              time.Duration `yaml:"read_timeout" doc:"How long a request may take to arrive, header and body, 100ms to 10m."`
	WriteTimeout             time.Duration `yaml:"write_timeout" doc:"How long an answer may take to leave, 100ms to 10m."`
	IdleTimeout              time.Duration `yaml:"idle_timeout" doc:"How long a connection may wait for its next request, 100ms to 1h."`
	MaxHeaderBytes           int           `yaml:"max_header_bytes" doc:"How long a request's line and header may be together, in bytes, 16384 to 1048576; a longer one gets 431. Every connection has a buffer of this size."`
	MaxBodyBytes             int           `yaml:"max_body_bytes" doc:"How long a request's body may be, in bytes, 1024 to 1048576; a longer one gets 413."`
	Self                     bool          `yaml:"self" doc:"Whether senders may mark their own browsers: GET /self/TOKEN sets a cookie, and what comes with it has the verdict self in that sender's mail. Without it, no cookies are set or read."`
	ShutdownTimeout          time.Duration `yaml:"shutdown_timeout" doc:"How long requests in flight may take to end when the process stops, 0s to 10m; then their connections are cut."`
}

// Bounds of the settings.
const (
	maxConnections   = 1_000_000
	minTimeout       = 100 * time.Millisecond
	maxTimeout       = 10 * time.Minute
	maxIdleTimeout   = time.Hour
	minHeaderBytes   = 16 << 10
	maxHeaderBytes   = 1 << 20
	minBodyBytes     = 1 << 10
	maxBodyBytes     = 1 << 20
	maxBaseURL       = 190 // bytes: what package ref mints with
	maxTrustedPrefix = 65536
)

// The longest click token must fit into a header with 2 KiB of other fields.
const _ = uint(minHeaderBytes - ref.MaxTokenLen - maxBaseURL - 2<<10)

// Default returns the settings that hold where nothing else is said. They lack a base URL, which nobody can guess.
func Default() Options {
	return Options{
		Listen:          ":8080",
		MaxConnections:  16384,
		ReadTimeout:     10 * time.Second,
		WriteTimeout:    10 * time.Second,
		IdleTimeout:     time.Minute,
		MaxHeaderBytes:  minHeaderBytes,
		MaxBodyBytes:    16 << 10,
		ShutdownTimeout: 10 * time.Second,
	}
}

// Validate names the first setting that is not allowed.
func (o Options) Validate() error {
	if err := checkListen(o.Listen); err != nil {
		return fmt.Errorf("listen: %q: %w", o.Listen, err)
	}
	if _, err := parseBaseURL(o.BaseURL); err != nil {
		return fmt.Errorf("base_url: %q: %w", o.BaseURL, err)
	}
	if len(o.TrustedProxies) > maxTrustedPrefix {
		return fmt.Errorf("trusted_proxies: %d entries: want at most %d", len(o.TrustedProxies), maxTrustedPrefix)
	}
	for _, s := range o.TrustedProxies {
		if _, err := parseProxy(s); err != nil {
			return fmt.Errorf("trusted_proxies: %q: %w", s, err)
		}
	}
	if o.ProxyProtocol && len(o.TrustedProxies) == 0 {
		return errors.New("proxy_protocol: true: want the proxies in trusted_proxies, nobody else may send the header")
	}
	return o.validateBounds()
}

func (o Options) validateBounds() error {
	for _, n := range []struct {
		key             string
		value, min, max int
	}{
		{"max_connections", o.MaxConnections, 1, maxConnections},
		{"max_connections_per_client", o.MaxConnectionsPerClient, 0, maxConnections},
		{"max_requests_per_connection", o.MaxRequestsPerConnection, 0, int(^uint(0) >> 1)},
		{"max_header_bytes", o.MaxHeaderBytes, minHeaderBytes, maxHeaderBytes},
		{"max_body_bytes", o.MaxBodyBytes, minBodyBytes, maxBodyBytes},
	} {
		if n.value < n.min || n.value > n.max {
			return fmt.Errorf("%s: %d: want %d to %d", n.key, n.value, n.min, n.max)
		}
	}
	for _, d := range []struct {
		key             string
		value, min, max time.Duration
	}{
		{"read_timeout", o.ReadTimeout, minTimeout, maxTimeout},
		{"write_timeout", o.WriteTimeout, minTimeout, maxTimeout},
		{"idle_timeout", o.IdleTimeout, minTimeout, maxIdleTimeout},
		{"shutdown_timeout", o.ShutdownTimeout, 0, maxTimeout},
	} {
		if d.value < d.min || d.value > d.max {
			return fmt.Errorf("%s: %s: want %s to %s", d.key, d.value, d.min, d.max)
		}
	}
	return nil
}

func checkListen(s string) error {
	const want = "want host:port, or :port"
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return errors.New(want)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%s, with a port from 0 to 65535", want)
	} else if strconv.FormatUint(n, 10) != port {
		return errors.New(want)
	}
	if strings.ContainsAny(host, " /") {
		return errors.New(want)
	}
	return nil
}

// parseBaseURL returns the path of a base URL, without a slash at its end.
func parseBaseURL(s string) (path string, err error) {
	if s == "" {
		return "", errors.New("want the public URL of this listener, such as https://track.example.com")
	}
	const want = "want http:// or https://, a host and perhaps a path, nothing else"
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
		strings.ContainsAny(s, "?#<>") {
		return "", errors.New(want)
	}
	if len(s) > maxBaseURL {
		return "", fmt.Errorf("%d bytes: want at most %d", len(s), maxBaseURL)
	}
	return strings.TrimRight(u.EscapedPath(), "/"), nil
}

// parseProxy reads an address or a CIDR.
func parseProxy(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		// Clients are compared as IPv4 where they have a mapped address, so ::ffff:192.0.2.0/120 is 192.0.2.0/24.
		if bits := p.Bits() - 96; p.Addr().Is4In6() && bits >= 0 {
			p = netip.PrefixFrom(p.Addr().Unmap(), bits)
		}
		return p.Masked(), nil
	}
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.Prefix{}, errors.New("want an address such as 192.0.2.1, or a CIDR such as 192.0.2.0/24")
}
