package webhook

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// The figures were worked out by another implementation of HMAC.
func TestSign(t *testing.T) {
	got, err := (secrets{Secret: testSecret}).sign("wh_1", time.Unix(1674087231, 0), []byte(`[{"id":"x"}]`))
	if want := "v1,AWZ/FwnrCN3FUYDfpTgMuVT2gLKhYx3wGjHBFAyUuT8="; err != nil || got != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
}

func TestGuard(t *testing.T) {
	g := guard{allowed: parsePrefixes("10.1.0.0/16")}
	for text, public := range map[string]bool{
		"8.8.8.8": true, "2600::1": true, "10.1.2.3": true, "::ffff:8.8.8.8": true, "64:ff9b::808:808": true, "::ffff:10.1.2.3": true,
		"10.2.0.1": false, "127.0.0.1": false, "::1": false, "0.0.0.0": false, "::": false, "169.254.169.254": false,
		"100.64.0.1": false, "172.31.0.1": false, "192.168.1.1": false, "224.0.0.1": false, "255.255.255.255": false,
		"fc00::1": false, "fe80::1": false, "ff02::1": false, "::ffff:127.0.0.1": false, "64:ff9b::7f00:1": false,
		"2002:7f00:1::": false, "2001::1": false, "::7f00:1": false, "198.51.100.1": false, "2001:db8::1": false,
	} {
		if err := g.check(netip.MustParseAddr(text)); (err == nil) != public {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestRow(t *testing.T) {
	r := row{
		tag: [8]byte{1, 2}, serial: 1 << 63, failing: 5, tried: 4, attempts: 6, delivered: 7, last: 8, missed: 9, told: 3,
		places: map[int32]place{0: {1, 2, 3, 1, unknownFresh}, 31: {1 << 40, 1 << 40, 0, 0, noneFresh}},
	}
	b := r.append(nil)
	var got row
	if err := got.decode(b); err != nil || !reflect.DeepEqual(got, r) || !got.inFlight() {
		t.Errorf("%+v, %v", got, err)
	}
	for n := range b {
		if err := got.decode(b[:n]); err == nil && reflect.DeepEqual(got, r) {
			t.Errorf("%d bytes of %d are the whole", n, len(b))
		}
	}
	if err := got.decode(append([]byte{9}, b[1:]...)); err == nil {
		t.Error("another version is read")
	}
}

func TestOptions(t *testing.T) {
	good := []string{"a%2Fb/crm/url=https://hooks.example.com/x", "a%2Fb/crm/secret=" + testSecret}
	o := Default()
	o.Hooks = append(good[:2:2], "a%2Fb/crm/kinds=click", "a%2Fb/crm/max_wait=2s", "a%2Fb/crm/format=ndjson", "a%2Fb/crm/max_events=7")
	list, err := o.configured()
	if err != nil || len(list) != 1 || list[0].Account != "a/b" || *list[0].MaxWait != 2*time.Second || list[0].MaxEvents != 7 {
		t.Errorf("%+v, %v", list, err)
	}
	for want, change := range map[string]func(*Options){
		"hooks: acme/crm/url":               func(o *Options) { o.Hooks = []string{"acme/crm/secret=" + testSecret} },
		"hooks: acme/crm/secret":            func(o *Options) { o.Hooks = []string{"acme/crm/url=https://example.com"} },
		"user and password":                 func(o *Options) { o.Hooks[0] = "a%2Fb/crm/url=https://u:p@example.com" },
		"https://":                          func(o *Options) { o.Hooks[0] = "a%2Fb/crm/url=http://example.com" },
		"fragment":                          func(o *Options) { o.Hooks[0] = "a%2Fb/crm/url=https://example.com/#x" },
		"no public address":                 func(o *Options) { o.Hooks[0] = "a%2Fb/crm/url=https://[::1]:8443/" },
		"kinds":                             func(o *Options) { o.Hooks = append(o.Hooks, "a%2Fb/crm/kinds=tick") },
		"verdicts":                          func(o *Options) { o.Hooks = append(o.Hooks, "a%2Fb/crm/verdicts=robot") },
		"no field":                          func(o *Options) { o.Hooks = append(o.Hooks, "a%2Fb/crm/color=red") },
		"ACCOUNT/NAME":                      func(o *Options) { o.Hooks = []string{"https://example.com"} },
		"max_events: want a number":         func(o *Options) { o.Hooks = append(o.Hooks, "a%2Fb/crm/max_events="+testSecret) },
		"max_wait: want a duration":         func(o *Options) { o.Hooks = append(o.Hooks, "a%2Fb/crm/max_wait="+testSecret) },
		`kinds: "": want some of`:           func(o *Options) { o.Hooks = append(o.Hooks, "a%2Fb/crm/kinds="+testSecret) },
		"acme/crm/secret: : is no field of": func(o *Options) { o.Hooks = []string{"acme/crm/secret: " + testSecret} },
		`"secret ": want ACCOUNT`:           func(o *Options) { o.Hooks = []string{"secret " + testSecret} },
		"name": func(o *Options) {
			o.Hooks = []string{"acme/../url=https://example.com", "acme/../secret=" + testSecret}
		},
		"allow":                   func(o *Options) { o.Allow = []string{"10.0.0.1"} },
		"batch_events: 0":         func(o *Options) { o.BatchEvents = 0 },
		"retry_most":              func(o *Options) { o.RetryMost = time.Second },
		"is given twice: a comma": func(o *Options) { o.Hooks = append(o.Hooks, good[0]) },
	} {
		o := Default()
		o.Hooks = append([]string(nil), good...)
		change(&o)
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), secretPrefix+"AAEC") {
			t.Errorf("%q, want %q and no secret", err, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "120": 2 * time.Minute, "999999": maxRetryAfter, "-1": 0, "soon": 0,
		"Sun, 22 Nov 2026 05:00:30 GMT": 30 * time.Second, "Sun, 22 Nov 2026 04:00:00 GMT": 0,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

func TestPause(t *testing.T) {
	h := &Hooks{o: Default()}
	for attempts, most := range map[int64]time.Duration{1: 5 * time.Second, 2: 10 * time.Second, 5: 80 * time.Second, 9: 15 * time.Minute, 1 << 40: 15 * time.Minute} {
		if got := h.pause(attempts); got < most/2 || got > most {
			t.Errorf("after %d: %v, want %v to %v", attempts, got, most/2, most)
		}
	}
}
