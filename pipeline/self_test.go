package pipeline

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"carom/pipeline/event"
	"carom/pipeline/journal"
)

// told are addresses that senders told while the process runs, by account/sender.
type told map[string][]netip.Prefix

func (t told) SelfAddresses(account, sender string) []netip.Prefix { return t[account+"/"+sender] }

func TestSelf(t *testing.T) {
	o := Default()
	o.RepeatEntries = 0
	o.SelfAddresses = []string{
		"acme/alice=203.0.113.0/24", "acme/alice=2001:db8:1::/48", "acme/a%2Fb%2Cc%3D=198.51.100.7", "acme/alice=::ffff:192.0.2.0/120",
	}
	var j memoryJournal
	a, reg := newAcceptor(t, o, &j)
	a.Recognise(told{"acme/alice": {netip.MustParsePrefix("198.51.100.0/28")}})
	both := from("203.0.113.9", browser)
	both.Self = true
	cookie := from("192.0.3.1", library)
	cookie.Self, cookie.Method, cookie.Purpose = true, "HEAD", "prefetch"
	for _, c := range []struct {
		what, sender string
		req          event.Request
		want         []string // reasons of self; nil: another verdict
	}{
		{"configured", "alice", from("203.0.113.9", browser), []string{"self_address"}},
		{"configured, IPv6", "alice", from("2001:db8:1:2::3", browser), []string{"self_address"}},
		{"configured as a mapped address", "alice", from("192.0.2.77", browser), []string{"self_address"}},
		{"a name that is escaped", "a/b,c=", from("198.51.100.7", browser), []string{"self_address"}},
		{"told", "alice", from("198.51.100.15", library), []string{"self_address"}},
		{"beside what was told", "alice", from("198.51.100.16", browser), nil},
		{"another sender", "bob", from("203.0.113.9", browser), nil},
		{"no address", "alice", event.Request{Method: "GET", UserAgent: browser}, nil},
		{"by cookie", "alice", cookie, []string{"self_cookie"}},
		{"by both", "alice", both, []string{"self_cookie", "self_address"}},
	} {
		for _, ev := range []event.Event{open(start), click(start, 1)} {
			ev.Sender, ev.Soon = c.sender, event.Soon{Within: 1, Verdict: event.Scanner}
			if c.sender == "bob" {
				ev.Flags = event.Honeypot
			}
			j.records = nil
			if err := a.Hit(&ev, &c.req); err != nil {
				t.Fatal(err)
			}
			got := j.records[0]
			if (got.ev.Actor.Verdict == event.Self) != (c.want != nil) {
				t.Errorf("%s: %s is %+v", c.what, ev.Kind, got.ev.Actor)
			}
			if c.want == nil {
				continue
			}
			if !slices.Equal(got.ev.Actor.Reasons, c.want) || got.ev.Soon != (event.Soon{}) {
				t.Errorf("%s: %s is %+v, %+v; want %q", c.what, ev.Kind, got.ev.Actor, got.ev.Soon, c.want)
			}
			// When the journal fills up, they go before readers' hits.
			if got.class != journal.MachineOpen && got.class != journal.MachineClick {
				t.Errorf("%s: %s is of class %v", c.what, ev.Kind, got.class)
			}
		}
	}
	wantMetric(t, reg, `carom_pipeline_accepted_total{kind="open",verdict="self"} 7`)
}

// A sender's own hit hides no reader's, nor the other way round, although they share a client.
func TestSelfHidesNothing(t *testing.T) {
	var j memoryJournal
	a, _ := newAcceptor(t, Default(), &j)
	for _, self := range []bool{true, false, true, false} {
		ev, req := open(start), from("203.0.113.9", browser)
		req.Self = self
		if err := a.Hit(&ev, &req); err != nil {
			t.Fatal(err)
		}
	}
	if len(j.records) != 2 || j.records[0].ev.Actor.Verdict != event.Self || j.records[1].ev.Actor.Verdict != event.Human {
		t.Errorf("recorded %+v", j.records)
	}
}

func TestOptionsOfMaps(t *testing.T) {
	for in, says := range map[string]string{
		"acme":                                         "has no =",
		"acme=whole":                                   "one slash",
		"a/b/keep_agent=whole":                         "one slash",
		"/keep_agent=whole":                            "a name is empty",
		"100%/keep_agent=whole":                        "%25",
		"acme/keep_agent=all":                          "want whole, truncated or none",
		"acme/keep_everything=whole":                   "may have keep_address and keep_agent",
		"acme/keep_agent=whole,same":                   "want whole",
		"beta/keep_agent=none;acme/x=none":             "an account may have",
		"twice/keep_agent=none;twice/keep_agent=whole": "given twice",
	} {
		o := Default()
		o.Accounts = strings.Split(in, ";")
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), "accounts: ") {
			t.Errorf("%s: %v, want %q", in, err, says)
		}
	}
	for in, says := range map[string]string{
		"acme=203.0.113.0/24":  "one slash",
		"acme/alice=0.0.0.0/0": "too wide",
		"acme/alice=nowhere":   "want an address",
	} {
		o := Default()
		o.SelfAddresses = []string{in}
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), "self_addresses: ") {
			t.Errorf("%s: %v, want %q", in, err, says)
		}
	}
}

// What is kept of clients differs by account; what tells clients apart doesn't depend on it.
func TestAccountsKeepWhatTheySay(t *testing.T) {
	o := Default()
	o.KeepAddress, o.KeepAgent, o.RepeatEntries = KeepTruncated, KeepWhole, 0
	o.Accounts = []string{"open/keep_address=whole", "shy/keep_address=none", "shy/keep_agent=none", "half/keep_agent=truncated"}
	var j memoryJournal
	a, _ := newAcceptor(t, o, &j)
	for _, c := range []struct {
		account, ip, agent string
		flags              event.Flags
	}{
		{"acme", "203.0.113.0", browser, 0},
		{"open", "203.0.113.9", browser, 0},
		{"shy", "invalid IP", "", 0},
		{"half", "203.0.113.0", "Mozilla/5 (Windows NT 10; Win64; x64) AppleWebKit/537 (KHTML, like Gecko) Chrome/142 Safari/537", 0},
		{"open", "invalid IP", "", event.Anonymous},
		{"open", "invalid IP", "", event.Shared},
	} {
		ev, req := open(start), from("203.0.113.9", browser)
		ev.Account, ev.Flags, ev.Key = c.account, c.flags, event.KeyOf(c.account, "m-1")
		j.records = nil
		if err := a.Hit(&ev, &req); err != nil {
			t.Fatal(err)
		}
		got := j.records[0].ev
		if got.Client.IP.String() != c.ip || got.Client.UserAgent != c.agent {
			t.Errorf("%s: kept %s, %q", c.account, got.Client.IP, got.Client.UserAgent)
		}
		if got.Actor.Verdict != event.Human || got.Client.Hash == 0 || got.Client.AddressHash == 0 {
			t.Errorf("%s: %+v, %+v", c.account, got.Actor, got.Client)
		}
	}
}
