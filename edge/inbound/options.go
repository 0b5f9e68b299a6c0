package inbound

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Options are the settings of inbound mail: the section `inbound` of the configuration.
type Options struct {
	Listen   string `yaml:"listen" doc:"Address on which mail is taken, host:port; MTAs deliver to port 25, so forward that or listen on it."`
	Hostname string `yaml:"hostname" doc:"Name by which the mail server greets; default: the host's name."`

	BounceDomain      string   `yaml:"bounce_domain" doc:"Domain of return paths (b-...) and mailto unsubscribes (u-...); its MX record points here. Nodes with the roles inbound or api need it."`
	ReplyDomain       string   `yaml:"reply_domain" doc:"Domain of reply addresses (r-...); its MX record points here; may be the bounce domain. Nodes with the roles inbound or api need it."`
	FeedbackAddresses []string `yaml:"feedback_addresses" doc:"Addresses registered with feedback loops, such as fbl@bounce.example.com; whose complaint it is tell the returned headers."`
	ReplyAddresses    []string `yaml:"reply_addresses" doc:"Addresses to which copies of replies are sent, such as replies@reply.example.com."`

	TLSCertFile string `yaml:"tls_cert_file" doc:"PEM file with the certificate chain for STARTTLS, read again when it changes; empty: no STARTTLS."`
	TLSKeyFile  string `yaml:"tls_key_file" doc:"PEM file with the certificate's private key."`

	ProxyProtocol  bool     `yaml:"proxy_protocol" doc:"Whether the trusted proxies put a PROXY protocol header (version 1 or 2) before each connection."`
	TrustedProxies []string `yaml:"trusted_proxies" doc:"CIDRs of the proxies whose PROXY protocol header is believed, and demanded."`

	PostmasterDir      string `yaml:"postmaster_dir" doc:"Folder in which mail to postmaster and abuse is kept for the operator, a file each; default: postmaster in the data folder."`
	PostmasterMaxMails int    `yaml:"postmaster_max_mails" doc:"Most mails kept for the operator, 1 to 100000; beyond that they are deferred."`
	PostmasterMaxBytes int64  `yaml:"postmaster_max_bytes" doc:"Most bytes kept for the operator, 1048576 to 1099511627776; beyond that mail is deferred."`

	MaxMessageBytes          int64 `yaml:"max_message_bytes" doc:"Largest mail in bytes, 65536 to 1073741824; larger ones are refused."`
	MaxMemoryBytes           int64 `yaml:"max_memory_bytes" doc:"Most memory in bytes for all mails being read at once, at least twice max_message_bytes; beyond that mail is deferred. Up to a quarter is kept for mails of at most 262144 bytes."`
	MaxRecipients            int   `yaml:"max_recipients" doc:"Most recipients of one mail, 100 to 1000."`
	MaxConnections           int   `yaml:"max_connections" doc:"Most connections at once, 1 to 100000; further ones are told to come back."`
	MaxConnectionsPerClient  int   `yaml:"max_connections_per_client" doc:"Most connections at once from one IPv4 address or IPv6 /64, 1 to max_connections."`
	MaxMessagesPerConnection int   `yaml:"max_messages_per_connection" doc:"Most mails over one connection, 1 to 1000000; then the client must connect again."`
	MaxRefusedRecipients     int   `yaml:"max_refused_recipients" doc:"Most refused recipients on one connection, 1 to 10000; then it is closed."`
	MaxErrors                int   `yaml:"max_errors" doc:"Most refused commands on one connection, recipients aside, 1 to 10000; then it is closed."`

	CommandTimeout  time.Duration `yaml:"command_timeout" doc:"How long a client may take for one command, 1s to 1h; RFC 5321 asks for 5m."`
	DataTimeout     time.Duration `yaml:"data_timeout" doc:"How long a client may pause within a mail, 1s to 1h; RFC 5321 asks for 3m."`
	MessageTimeout  time.Duration `yaml:"message_timeout" doc:"How long the whole of one mail may take, data_timeout to 6h."`
	SessionTimeout  time.Duration `yaml:"session_timeout" doc:"How long a connection may last, message_timeout to 24h."`
	WriteTimeout    time.Duration `yaml:"write_timeout" doc:"How long a client may leave replies unread, 1s to 1h."`
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout" doc:"How long mails in flight may take to finish when the server stops, 0s to 10m."`
}

// Default returns the settings that hold where nothing else is said. The two domains have no sane default.
func Default() Options {
	return Options{
		Listen:             ":2525",
		PostmasterMaxMails: 1000,
		PostmasterMaxBytes: 256 << 20,
		// Bounces return what bounced, and large providers let out 25 MB, which base64 makes 34 MB.
		MaxMessageBytes:          36 << 20,
		MaxMemoryBytes:           256 << 20,
		MaxRecipients:            100, // the least that RFC 5321 §4.5.3.1.8 allows; reports have one
		MaxConnections:           1024,
		MaxConnectionsPerClient:  128,
		MaxMessagesPerConnection: 10000,
		MaxRefusedRecipients:     50,
		MaxErrors:                20,
		CommandTimeout:           5 * time.Minute, // RFC 5321 §4.5.3.2.7
		DataTimeout:              3 * time.Minute, // RFC 5321 §4.5.3.2.5
		MessageTimeout:           15 * time.Minute,
		SessionTimeout:           time.Hour,
		WriteTimeout:             time.Minute,
		ShutdownTimeout:          10 * time.Second,
	}
}

// The longest names, RFC 5321 §4.5.3.1.
const (
	maxLocalPart = 64
	maxDomain    = 255
)

// maxFixedAddresses bounds each list of configured addresses.
const maxFixedAddresses = 100

// Validate names the first setting that is not allowed.
func (o Options) Validate() error {
	for _, check := range []func() error{o.checkNames, o.checkNetwork, o.checkAmounts, o.checkTimes} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (o Options) checkNames() error {
	for _, d := range []struct {
		key, value string
		optional   bool
	}{
		{"hostname", o.Hostname, true}, {"bounce_domain", o.BounceDomain, false}, {"reply_domain", o.ReplyDomain, false},
	} {
		if d.value == "" && d.optional {
			continue
		}
		if !isDomain(d.value) {
			return fmt.Errorf("%s: %q: want a domain name such as bounce.example.com", d.key, d.value)
		}
	}
	for _, l := range []struct {
		key  string
		list []string
	}{{"feedback_addresses", o.FeedbackAddresses}, {"reply_addresses", o.ReplyAddresses}} {
		if len(l.list) > maxFixedAddresses {
			return fmt.Errorf("%s: %d addresses: want at most %d", l.key, len(l.list), maxFixedAddresses)
		}
		for _, a := range l.list {
			if !isAddress(a) {
				return fmt.Errorf("%s: %q: want an address such as fbl@bounce.example.com", l.key, a)
			}
		}
	}
	return nil
}

func (o Options) checkNetwork() error {
	if _, port, err := net.SplitHostPort(o.Listen); err != nil || port == "" {
		return fmt.Errorf("listen: %q: want host:port, such as :2525", o.Listen)
	}
	if (o.TLSCertFile == "") != (o.TLSKeyFile == "") {
		key := "tls_key_file"
		if o.TLSCertFile == "" {
			key = "tls_cert_file"
		}
		return fmt.Errorf("%s: %q: want a file: tls_cert_file and tls_key_file go together", key, "")
	}
	if o.ProxyProtocol && len(o.TrustedProxies) == 0 {
		return fmt.Errorf("trusted_proxies: %q: want CIDRs, because proxy_protocol is on", o.TrustedProxies)
	}
	_, err := parseProxies(o.TrustedProxies)
	return err
}

func parseProxies(cidrs []string) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, s := range cidrs {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("trusted_proxies: %q: want a CIDR such as 192.0.2.0/24", s)
		}
		// Callers are compared as IPv4 where they have a mapped address, so ::ffff:192.0.2.0/120 is 192.0.2.0/24.
		if bits := p.Bits() - 96; p.Addr().Is4In6() && bits >= 0 {
			p = netip.PrefixFrom(p.Addr().Unmap(), bits)
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

func (o Options) checkAmounts() error {
	for _, n := range []struct {
		key              string
		value, low, high int64
	}{
		{"postmaster_max_mails", int64(o.PostmasterMaxMails), 1, 100_000},
		{"postmaster_max_bytes", o.PostmasterMaxBytes, 1 << 20, 1 << 40},
		{"max_message_bytes", o.MaxMessageBytes, 64 << 10, 1 << 30},
		{"max_memory_bytes", o.MaxMemoryBytes, 2 * o.MaxMessageBytes, 1 << 42},
		{"max_recipients", int64(o.MaxRecipients), 100, 1000},
		{"max_connections", int64(o.MaxConnections), 1, 100_000},
		{"max_connections_per_client", int64(o.MaxConnectionsPerClient), 1, int64(o.MaxConnections)},
		{"max_messages_per_connection", int64(o.MaxMessagesPerConnection), 1, 1_000_000},
		{"max_refused_recipients", int64(o.MaxRefusedRecipients), 1, 10_000},
		{"max_errors", int64(o.MaxErrors), 1, 10_000},
	} {
		if n.value < n.low || n.value > n.high {
			return fmt.Errorf("%s: %d: want %d to %d", n.key, n.value, n.low, n.high)
		}
	}
	return nil
}

func (o Options) checkTimes() error {
	for _, d := range []struct {
		key              string
		value, low, high time.Duration
	}{
		{"command_timeout", o.CommandTimeout, time.Second, time.Hour},
		{"data_timeout", o.DataTimeout, time.Second, time.Hour},
		{"message_timeout", o.MessageTimeout, o.DataTimeout, 6 * time.Hour},
		{"session_timeout", o.SessionTimeout, o.MessageTimeout, 24 * time.Hour},
		{"write_timeout", o.WriteTimeout, time.Second, time.Hour},
		{"shutdown_timeout", o.ShutdownTimeout, 0, 10 * time.Minute},
	} {
		if d.value < d.low || d.value > d.high {
			return fmt.Errorf("%s: %v: want %v to %v", d.key, d.value, d.low, d.high)
		}
	}
	return nil
}

// isDomain checks a configured name: labels of letters, digits, dashes and underscores (RFC 5321 §4.1.2, and the
// underscore that some internal names have), or non-ASCII ones for SMTPUTF8 (RFC 6531 §3.3).
func isDomain(s string) bool {
	if s == "" || len(s) > maxDomain {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			c := label[i]
			if c < 0x80 && c != '-' && c != '_' && !('a' <= c|0x20 && c|0x20 <= 'z') && !('0' <= c && c <= '9') {
				return false
			}
		}
	}
	return true
}

func isAddress(s string) bool {
	at := strings.LastIndexByte(s, '@')
	return at > 0 && at <= maxLocalPart && isDomain(s[at+1:]) && !strings.ContainsAny(s[:at], " \t\r\n<>\"@,:;\\")
}
