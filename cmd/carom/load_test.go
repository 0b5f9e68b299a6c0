package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func writeFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "carom.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestLoadConfig(t *testing.T) {
	file := writeFile(t, `
node: edge-1
track:
  listen: 127.0.0.1:9000
  trusted_proxies: [10.0.0.0/8, "192.0.2.1"]
refine:
  settle: 3s
inbound:
`)
	c, err := loadConfig(defaultConfig(), file, []string{
		"CAROM_REFINE_SETTLE=5s", "CAROM_INBOUND_FEEDBACK_ADDRESSES=a@example.com, b@example.com", "HOME=/",
		"CAROM_CORPUS=x", "CAROM_SERVICE_HOST=192.0.2.9", "CAROM_PORT_8080_TCP_ADDR=192.0.2.9",
		"CAROM_PORT=tcp://192.0.2.9:8080", "CAROM_API_PORT=tcp://192.0.2.9:8081", "CAROM_SERVICE_PORT_HTTP=8080",
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Node != "edge-1" || c.Track.Listen != "127.0.0.1:9000" {
		t.Errorf("file: got %q, %q", c.Node, c.Track.Listen)
	}
	if want := []string{"10.0.0.0/8", "192.0.2.1"}; !slices.Equal(c.Track.TrustedProxies, want) {
		t.Errorf("list in the file: got %q, want %q", c.Track.TrustedProxies, want)
	}
	if c.Refine.Settle != 5*time.Second {
		t.Errorf("the environment must win over the file: got %v", c.Refine.Settle)
	}
	if want := []string{"a@example.com", "b@example.com"}; !slices.Equal(c.Inbound.FeedbackAddresses, want) {
		t.Errorf("list in the environment: got %q, want %q", c.Inbound.FeedbackAddresses, want)
	}
	if c.Rollup.CompleteAfter != 72*time.Hour {
		t.Errorf("default: got %v", c.Rollup.CompleteAfter)
	}
}

// What is a map of maps is a mapping in the file, and PATH=VALUE with commas in the environment.
func TestLoadConfigOfMaps(t *testing.T) {
	file := writeFile(t, `
accept:
  accounts:
    acme: {keep_address: whole, keep_agent: none}
    "a/b, c": {keep_agent: truncated}
    none:
  self_addresses:
    acme:
      alice: [203.0.113.0/24, "2001:db8::/48"]
      bob@example.com: 198.51.100.7
`)
	c, err := loadConfig(defaultConfig(), file, nil)
	if err != nil {
		t.Fatal(err)
	}
	accounts := []string{"acme/keep_address=whole", "acme/keep_agent=none", "a%2Fb%2C%20c/keep_agent=truncated"}
	if !slices.Equal(c.Accept.Accounts, accounts) {
		t.Errorf("accounts: got %q, want %q", c.Accept.Accounts, accounts)
	}
	addresses := []string{"acme/alice=203.0.113.0/24", "acme/alice=2001:db8::/48", "acme/bob@example.com=198.51.100.7"}
	if !slices.Equal(c.Accept.SelfAddresses, addresses) {
		t.Errorf("addresses: got %q, want %q", c.Accept.SelfAddresses, addresses)
	}
	if err := c.Accept.Validate(); err != nil {
		t.Error(err)
	}
	again, err := loadConfig(defaultConfig(), "", []string{
		"CAROM_ACCEPT_ACCOUNTS=" + strings.Join(accounts, ","), "CAROM_ACCEPT_SELF_ADDRESSES=" + strings.Join(addresses, ", "),
	})
	if err != nil || !slices.Equal(again.Accept.Accounts, accounts) || !slices.Equal(again.Accept.SelfAddresses, addresses) {
		t.Errorf("the environment gives %q, %q, %v", again.Accept.Accounts, again.Accept.SelfAddresses, err)
	}
	list := writeFile(t, "accept:\n  accounts: [acme/keep_address=whole]\n")
	if c, err := loadConfig(defaultConfig(), list, nil); err != nil || !slices.Equal(c.Accept.Accounts, accounts[:1]) {
		t.Errorf("a list gives %q, %v", c.Accept.Accounts, err)
	}
}

func TestLoadConfigRefuses(t *testing.T) {
	for _, test := range []struct {
		name, file string
		env        []string
		want       []string
	}{
		{"unknown key", "track:\n  lisen: ':1'\n", nil, []string{"line 2", "track.lisen", "track.listen"}},
		{"unknown section", "tracker:\n  listen: ':1'\n", nil, []string{"tracker"}},
		{"bad duration", "refine:\n  settle: 5 minutes\n", nil, []string{"refine.settle", `"5 minutes"`, "500ms"}},
		{"bad number", "track:\n  max_connections: many\n", nil, []string{"track.max_connections", "many", "whole number"}},
		{"mapping for a value", "refine:\n  settle: {a: 1}\n", nil, []string{"refine.settle"}},
		{"mapping for a list", "track:\n  trusted_proxies: {a: 192.0.2.1}\n", nil, []string{"track.trusted_proxies"}},
		{"value for a section", "refine: 12s\n", nil, []string{"refine"}},
		{"twice", "refine:\n  settle: 1s\n  settle: 2s\n", nil, []string{"settle"}},
		{"two documents", "node: a\n---\nnode: b\n", nil, []string{"more than one YAML document"}},
		{"a port that Kubernetes did not set", "", []string{"CAROM_TRACK_PORT=9000"}, []string{"CAROM_TRACK_PORT"}},
		{"no YAML", "\tx", nil, []string{"carom.yaml"}},
		{"unknown variable", "", []string{"CAROM_TRACK_LISTN=:1"}, []string{"CAROM_TRACK_LISTN", "CAROM_TRACK_LISTEN"}},
		{"bad variable", "", []string{"CAROM_REFINE_SETTLE=x"}, []string{"CAROM_REFINE_SETTLE", "refine.settle", `"x"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := loadConfig(defaultConfig(), writeFile(t, test.file), test.env)
			if err == nil {
				t.Fatal("it was taken")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not name %q", err, want)
				}
			}
		})
	}
}

func TestValidateNamesTheKey(t *testing.T) {
	for _, test := range []struct {
		name string
		mend func(*Config)
		want string
	}{
		{"node", func(c *Config) { c.Node = "a b" }, "node"},
		{"data", func(c *Config) { c.Data.Dir = "" }, "data.dir"},
		{"data", func(c *Config) { c.Data.CacheBytes = 1 }, "data.cache_bytes"},
		{"level", func(c *Config) { c.Log.Level = "loud" }, "log.level"},
		{"listen", func(c *Config) { c.Track.Listen = "8080" }, "track.listen"},
		{"settle", func(c *Config) { c.Refine.Settle = -time.Second }, "refine.settle"},
		{"role", func(c *Config) { c.Roles = []string{"track", "cook"} }, `roles: "cook": want some of track, `},
		{"relay without Kafka", func(c *Config) { c.Roles = []string{"relay"} }, "roles: relay: there is nowhere to relay to while kafka.brokers is empty"},
		{"edge without relay", func(c *Config) {
			c.Kafka.Brokers, c.Roles = []string{"127.0.0.1:9092"}, []string{"api"}
		}, "roles: api without relay: what this node hears would stay in its journal: add relay"},
		{"worker without a place", func(c *Config) {
			c.Kafka.Brokers, c.Kafka.Workers = []string{"127.0.0.1:9092"}, []string{"a:1", "b:1"}
		}, "kafka.worker: -1: want this node's place in kafka.workers, 0 to 1; or leave refine out of roles"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := devConfig()
			c.fill(true)
			test.mend(&c)
			if err := c.validate(); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error that names %s", err, test.want)
			}
		})
	}
	c := devConfig()
	c.fill(true)
	if err := c.validate(); err != nil {
		t.Errorf("the settings of --dev: %v", err)
	}
}

// A node needs no settings of edges that it has no role for, unless it mints what leads to them.
func TestValidateByRoles(t *testing.T) {
	for _, test := range []struct{ roles, want string }{
		{"refine,rollup", ""},
		{"refine", ""},
		{"track,relay", "track.base_url"},
		{"inbound,relay", "inbound.bounce_domain"},
		{"api,relay", "track.base_url"},
		{"", "track.base_url"},
	} {
		c := defaultConfig()
		c.Kafka.Brokers = []string{"127.0.0.1:9092"}
		if test.roles != "" {
			c.Roles = strings.Split(test.roles, ",")
		}
		err := c.validate()
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("roles %q: got %v, want an error that names %q", test.roles, err, test.want)
		}
	}
}

// Every key has a meaning, a variable of its own, and takes the text of its own default.
func TestEverySettingIsDescribed(t *testing.T) {
	c := defaultConfig()
	seen := make(map[string]bool)
	for _, s := range settings(&c) {
		if s.doc == "" {
			t.Errorf("%s has no doc tag", s.key)
		}
		if seen[s.env()] {
			t.Errorf("%s: two keys have this variable", s.env())
		}
		seen[s.env()] = true
		if err := setValue(s, valueText(s)); err != nil {
			t.Errorf("%s does not take its own default: %v", s.key, err)
		}
	}
	for _, want := range []string{
		"CAROM_DATA_DIR", "CAROM_NODE", "CAROM_KEYS_FILE", "CAROM_TRACK_LISTEN", "CAROM_TRACK_BASE_URL", "CAROM_TRACK_TRUSTED_PROXIES",
		"CAROM_INBOUND_LISTEN", "CAROM_INBOUND_BOUNCE_DOMAIN", "CAROM_INBOUND_REPLY_DOMAIN", "CAROM_INBOUND_FEEDBACK_ADDRESSES",
		"CAROM_INBOUND_REPLY_ADDRESSES", "CAROM_API_LISTEN", "CAROM_KAFKA_BROKERS", "CAROM_KAFKA_TOPIC_PREFIX", "CAROM_REFINE_SETTLE",
		"CAROM_ROLLUP_COMPLETE_AFTER",
	} {
		if !seen[want] {
			t.Errorf("%s is promised and missing", want)
		}
	}
}
