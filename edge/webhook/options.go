package webhook

import (
	"fmt"
	"net/netip"
	"time"
)

// Options are the settings of webhooks: the section `webhooks` of the configuration.
type Options struct {
	PerAccount int `yaml:"per_account" doc:"How many webhooks an account may have by API, 1 to 4096; control.max_webhooks bounds those of all accounts. More are refused."`

	Hooks []string `yaml:"hooks" form:"tree" doc:"Webhooks: ACCOUNT/NAME/url=VALUE, with kinds, verdicts, secret, format, max_events, max_bytes and max_wait in the same way, as in PUT /v1/webhooks/{name}; at most 256. In the file also as a mapping, hooks: {ACCOUNT: {NAME: {url: VALUE}}}. The same on all nodes. A comma in a url is %2C."`

	BatchEvents int           `yaml:"batch_events" doc:"How many events one request has at most, 1 to 10000, where a webhook says nothing else."`
	BatchBytes  int           `yaml:"batch_bytes" doc:"How many bytes of events one request has at most, 1024 to 4194304, where a webhook says nothing else; a larger event goes alone."`
	BatchWait   time.Duration `yaml:"batch_wait" doc:"How long the first event of a batch waits for more, 0s to 1m, where a webhook says nothing else."`

	Timeout    time.Duration `yaml:"timeout" doc:"How long a server may take to answer, 100ms to 5m."`
	RetryFirst time.Duration `yaml:"retry_first" doc:"The pause before a failed request is sent again, 1ms to 1h; it doubles from time to time, and varies by half at random."`
	RetryMost  time.Duration `yaml:"retry_most" doc:"The longest pause between two requests, from retry_first to 24h."`
	RetryFor   time.Duration `yaml:"retry_for" doc:"How long a batch is sent again before its webhook is paused, 100ms to 720h."`

	Allow     []string `yaml:"allow" doc:"Addresses that are not public and may be sent to nevertheless: CIDRs. Private, loopback, link-local and reserved ones are refused otherwise."`
	PlainHTTP bool     `yaml:"plain_http" doc:"Whether the url of a webhook may begin with http://. What it sends can be read on its way then."`
}

// Default returns the settings that hold where nothing else is said.
func Default() Options {
	return Options{
		PerAccount: 32,
		// Some 300 KB of events: many servers take 1 MB.
		BatchEvents: 500, BatchBytes: 512 << 10, BatchWait: time.Second,
		Timeout: 15 * time.Second, RetryFirst: 5 * time.Second, RetryMost: 15 * time.Minute, RetryFor: 24 * time.Hour,
	}
}

// Development makes webhooks to this host possible.
func (o *Options) Development() {
	o.Allow, o.PlainHTTP = []string{"127.0.0.0/8", "::1/128"}, true
}

// Bounds of what a webhook may ask for.
const (
	mostEvents = 10_000
	leastBytes = 1 << 10
	mostBytes  = 4 << 20
	mostWait   = time.Minute
)

// Validate names the first setting that is not allowed.
func (o Options) Validate() error {
	for _, n := range []struct {
		key           string
		value, lo, hi int
	}{
		{"batch_events", o.BatchEvents, 1, mostEvents},
		{"batch_bytes", o.BatchBytes, leastBytes, mostBytes},
		{"per_account", o.PerAccount, 1, 4096},
	} {
		if n.value < n.lo || n.value > n.hi {
			return fmt.Errorf("%s: %d: want %d to %d", n.key, n.value, n.lo, n.hi)
		}
	}
	for _, d := range []struct {
		key           string
		value, lo, hi time.Duration
	}{
		{"batch_wait", o.BatchWait, 0, mostWait},
		{"timeout", o.Timeout, 100 * time.Millisecond, 5 * time.Minute},
		{"retry_first", o.RetryFirst, time.Millisecond, time.Hour},
		{"retry_most", o.RetryMost, o.RetryFirst, 24 * time.Hour},
		{"retry_for", o.RetryFor, 100 * time.Millisecond, 30 * 24 * time.Hour},
	} {
		if d.value < d.lo || d.value > d.hi {
			return fmt.Errorf("%s: %v: want %v to %v", d.key, d.value, d.lo, d.hi)
		}
	}
	if _, err := o.allowed(); err != nil {
		return err
	}
	_, err := o.configured()
	return err
}

func (o Options) allowed() (list []netip.Prefix, err error) {
	for _, text := range o.Allow {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("allow: %q: want a range of addresses such as 10.0.0.0/8", text)
		}
		list = append(list, p.Masked())
	}
	return list, nil
}
