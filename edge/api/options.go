package api

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Options are the API's settings.
type Options struct {
	Listen string `yaml:"listen" doc:"Where the API listens, host:port."`
	Token  string `yaml:"token" doc:"Bearer token that may ask everything: 16 to 512 printable ASCII characters without blanks. Nodes ask each other with it, so it is the same on all of them. May be empty, and then no request needs a token, only while listen is on loopback and tokens_file is empty."`

	TokensFile string `yaml:"tokens_file" doc:"File with more tokens, each with scopes and accounts, made by 'carom tokens new'; it holds hashes of them. It is read at the start and on SIGHUP. Default: none."`
	Rate       int    `yaml:"rate" doc:"How many requests a second one token may send, from 0 to 1000000; more are answered 429. 0 is no bound."`
	RateLines  int    `yaml:"rate_lines" doc:"How many lines a second one token may send in all of its bulks, from 0 to 10000000: they are read no faster than that, and a bulk that begins while none is left is answered 429. 0 is no bound."`

	MaxConnections int `yaml:"max_connections" doc:"How many connections may be open at once, from 1 to 1048576; more wait to be accepted."`
	MaxBulks       int `yaml:"max_bulks" doc:"How many bulk requests may run at once, from 1 to 65536; more are answered 503."`
	MaxTails       int `yaml:"max_tails" doc:"How many live tails may be open at once, from 1 to 65536; more are answered 503."`
	MaxLimit       int `yaml:"max_limit" doc:"The largest limit of a page of events or of the journal, from 1 to 100000."`

	MaxBodyBytes    int `yaml:"max_body_bytes" doc:"Bound of the body of a request with a single object, in bytes, from 1024 to 67108864."`
	MaxLineBytes    int `yaml:"max_line_bytes" doc:"Bound of one line of a bulk, in bytes, from 1024 to 67108864; the bulk itself has none."`
	MaxBacklogBytes int `yaml:"max_backlog_bytes" doc:"How many bytes of answers, of all bulks together, wait in memory for clients that send without reading, from 65536 to 17179869184; then no more lines are read."`

	HeaderTimeout  time.Duration `yaml:"header_timeout" doc:"How long a client may take to send the header of a request, from 100ms to 10m."`
	RequestTimeout time.Duration `yaml:"request_timeout" doc:"How long a request that is neither bulk nor tail may take to come in, and twice that to be answered, from 100ms to 1h."`
	StallTimeout   time.Duration `yaml:"stall_timeout" doc:"How long a bulk or tail may move no byte that its client was to send or read, from 100ms to 1h."`
	IdleTimeout    time.Duration `yaml:"idle_timeout" doc:"How long a connection is kept open between two requests, from 100ms to 1h."`
}

// Default returns the settings of a server that is told nothing.
func Default() Options {
	return Options{
		Listen:          "127.0.0.1:8081",
		MaxConnections:  1024,
		MaxBulks:        16,
		MaxTails:        64,
		MaxLimit:        10_000,
		MaxBodyBytes:    1 << 20,
		MaxLineBytes:    1 << 20,
		MaxBacklogBytes: 256 << 20,
		HeaderTimeout:   5 * time.Second,
		RequestTimeout:  30 * time.Second,
		StallTimeout:    time.Minute,
		IdleTimeout:     2 * time.Minute,
	}
}

// Validate reports the first setting that is out of its bounds.
func (o Options) Validate() error {
	if err := checkListen(o.Listen); err != nil {
		return err
	}
	if err := checkToken(o.Token, o.Listen, o.TokensFile != ""); err != nil {
		return err
	}
	for _, n := range []struct {
		key           string
		value, lo, hi int
	}{
		{"rate", o.Rate, 0, 1_000_000},
		{"rate_lines", o.RateLines, 0, 10_000_000},
		{"max_connections", o.MaxConnections, 1, 1 << 20},
		{"max_bulks", o.MaxBulks, 1, 1 << 16},
		{"max_tails", o.MaxTails, 1, 1 << 16},
		{"max_limit", o.MaxLimit, 1, 100_000},
		{"max_body_bytes", o.MaxBodyBytes, 1 << 10, 64 << 20},
		{"max_line_bytes", o.MaxLineBytes, 1 << 10, 64 << 20},
		{"max_backlog_bytes", o.MaxBacklogBytes, 64 << 10, 16 << 30},
	} {
		if n.value < n.lo || n.value > n.hi {
			return fmt.Errorf("%s: %d: want %d to %d", n.key, n.value, n.lo, n.hi)
		}
	}
	for _, d := range []struct {
		key   string
		value time.Duration
		hi    time.Duration
	}{
		{"header_timeout", o.HeaderTimeout, 10 * time.Minute},
		{"request_timeout", o.RequestTimeout, time.Hour},
		{"stall_timeout", o.StallTimeout, time.Hour},
		{"idle_timeout", o.IdleTimeout, time.Hour},
	} {
		if d.value < minTimeout || d.value > d.hi {
			return fmt.Errorf("%s: %v: want %v to %v", d.key, d.value, minTimeout, d.hi)
		}
	}
	return nil
}

const minTimeout = 100 * time.Millisecond

func checkListen(listen string) error {
	_, port, err := net.SplitHostPort(listen)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil || port == "" {
		return fmt.Errorf("listen: %q: want host:port", listen)
	}
	return nil
}

const (
	minToken = 16
	maxToken = 512
)

func checkToken(token, listen string, others bool) error {
	if token == "" {
		if !others && !onLoopback(listen) {
			return fmt.Errorf("token: is empty: want a bearer token, because listen %q is not on loopback", listen)
		}
		return nil
	}
	if len(token) < minToken || len(token) > maxToken || strings.ContainsFunc(token, notTokenRune) {
		// The token itself stays out of messages, which end up in logs.
		return fmt.Errorf("token: a value of %d bytes: want %d to %d printable ASCII characters without blanks", len(token), minToken, maxToken)
	}
	return nil
}

func notTokenRune(r rune) bool { return r <= ' ' || r > '~' }

// onLoopback reports whether only this host can reach the address. An empty host means all interfaces.
func onLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
