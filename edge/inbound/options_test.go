package inbound

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

func validOptions() Options {
	o := Default()
	o.BounceDomain, o.ReplyDomain = "bounce.example.com", "reply.example.com"
	return o
}

func TestValidate(t *testing.T) {
	if err := validOptions().Validate(); err != nil {
		t.Errorf("defaults and domains: %v", err)
	}
	for _, tt := range []struct {
		change func(*Options)
		want   string
	}{
		{func(o *Options) { o.Listen = ":" }, `listen: ":": want host:port`},
		{func(o *Options) { o.Listen = "2525" }, `listen: "2525": want`},
		{func(o *Options) { o.BounceDomain = "" }, `bounce_domain: "": want a domain`},
		{func(o *Options) { o.ReplyDomain = "a b" }, `reply_domain: "a b": want`},
		{func(o *Options) { o.ReplyDomain = "a..b" }, `reply_domain`},
		{func(o *Options) { o.ReplyDomain = "-a.b" }, `reply_domain`},
		{func(o *Options) { o.Hostname = "x\r\n" }, `hostname`},
		{func(o *Options) { o.FeedbackAddresses = []string{"fbl"} }, `feedback_addresses: "fbl": want an address`},
		{func(o *Options) { o.ReplyAddresses = []string{"a@example.com", "@example.com"} }, `reply_addresses: "@example.com"`},
		{func(o *Options) { o.TLSCertFile = "a" }, `tls_key_file: "": want`},
		{func(o *Options) { o.TLSKeyFile = "a" }, `tls_cert_file: "": want`},
		{func(o *Options) { o.ProxyProtocol = true }, `trusted_proxies: []: want`},
		{func(o *Options) { o.TrustedProxies = []string{"192.0.2.1"} }, `trusted_proxies: "192.0.2.1": want a CIDR`},
		{func(o *Options) { o.MaxMessageBytes = 1 }, `max_message_bytes: 1: want 65536 to 1073741824`},
		{func(o *Options) { o.MaxMemoryBytes = o.MaxMessageBytes }, `max_memory_bytes: 37748736: want 75497472 to`},
		{func(o *Options) { o.MaxRecipients = 99 }, `max_recipients: 99: want 100 to 1000`},
		{func(o *Options) { o.MaxConnections = 0 }, `max_connections: 0`},
		{func(o *Options) { o.MaxConnectionsPerClient = o.MaxConnections + 1 }, `max_connections_per_client: 1025: want 1 to 1024`},
		{func(o *Options) { o.PostmasterMaxMails = 0 }, `postmaster_max_mails: 0`},
		{func(o *Options) { o.CommandTimeout = 0 }, `command_timeout: 0s: want 1s to 1h0m0s`},
		{func(o *Options) { o.MessageTimeout = time.Second }, `message_timeout: 1s: want 3m0s`},
		{func(o *Options) { o.ShutdownTimeout = -1 }, `shutdown_timeout: -1ns: want 0s`},
	} {
		o := validOptions()
		tt.change(&o)
		if err := o.Validate(); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}

func TestStartErrors(t *testing.T) {
	taken := loopback(t)
	defer taken.Close()
	for _, tt := range []struct {
		name   string
		change func(*Options)
		want   string
		is     error
	}{
		{"bad option", func(o *Options) { o.Listen = "x" }, "inbound.listen: ", nil},
		{"no mailbox", func(o *Options) { o.PostmasterDir = "" }, "inbound.postmaster_dir: ", nil},
		{"port in use", func(o *Options) { o.Listen = taken.Addr().String() }, "inbound.listen: ", syscall.EADDRINUSE},
		{"mailbox is a file", func(o *Options) { o.PostmasterDir = "/dev/null/x" }, "inbound.postmaster_dir: ", syscall.ENOTDIR},
		{"no certificate", func(o *Options) { o.TLSCertFile, o.TLSKeyFile = "/nowhere", "/nowhere" }, "inbound.tls_cert_file, ", syscall.ENOENT},
	} {
		o := validOptions()
		o.Listen, o.PostmasterDir = "127.0.0.1:0", t.TempDir()
		tt.change(&o)
		s, err := New(o, keyring(t, ourKeys), &sink{}, zap.NewNop(), prometheus.NewRegistry())
		if err == nil {
			err = s.Listen()
			s.Close()
		}
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) || tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestClose(t *testing.T) {
	f := newFixture(t, nil)
	if f.Addr() != nil {
		t.Error("address before Listen")
	}
	if err := f.Listen(); err != nil {
		t.Fatal(err)
	}
	f.run()
	c := f.hello()
	c.begin(f.returnPath())
	for range 2 {
		if err := f.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	c.wantEnd()
	if err := f.stop(); err != nil {
		t.Errorf("Run after Close: %v", err)
	}
	if _, err := net.Dial("tcp", f.Addr().String()); err == nil {
		t.Error("still listens")
	}
}
