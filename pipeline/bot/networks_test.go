package bot

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"carom/pipeline/event"
)

// at is a GET by an agent from an address.
func at(ip, agent string) event.Request {
	r := get(agent)
	r.IP = netip.MustParseAddr(ip)
	return r
}

func TestJudgeByNetwork(t *testing.T) {
	withReferer := func(r event.Request, referer string) event.Request {
		r.Referer = referer
		return r
	}
	withAccept := func(r event.Request, accept string) event.Request {
		r.Accept = accept
		return r
	}
	const gateway = " within 10m0s scanner"
	tests := []struct {
		name        string
		req         event.Request
		open, click string
	}{
		{"a person", at("203.0.113.77", chrome), "human", "human"},
		{"EOP", at("40.93.1.2", chrome), "scanner network_microsoft_eop", "scanner network_microsoft_eop"},
		{"SafeLinks", at("40.94.31.26", chrome), "scanner network_microsoft_eop", "scanner network_microsoft_eop"},
		{"EOP, the last of a prefix", at("104.47.127.255", chrome), "scanner network_microsoft_eop", "scanner network_microsoft_eop"},
		{"behind it", at("104.47.128.0", chrome), "human", "human"},
		{"EOP by IPv6", at("2a01:111:f403:c000::1", chrome), "scanner network_microsoft_eop", "scanner network_microsoft_eop"},
		{"Microsoft beside EOP", at("2a01:111:f402::1", chrome), "human", "human"},
		{"EOP, IPv4 in IPv6", at("::ffff:40.93.1.2", chrome), "scanner network_microsoft_eop", "scanner network_microsoft_eop"},
		{"Barracuda", at("209.222.82.149", chrome), "scanner network_barracuda", "scanner network_barracuda"},
		{"Barracuda that says so", at("209.222.82.149", "Barracuda Sentinel (EE)"), "scanner network_barracuda,agent_scanner", "scanner network_barracuda,agent_scanner"},

		{"Proofpoint", at("148.163.153.9", chrome), "unknown network_proofpoint" + gateway, "unknown network_proofpoint" + gateway},
		{"Mimecast", at("170.10.129.5", chrome), "unknown network_mimecast" + gateway, "unknown network_mimecast" + gateway},
		{"Cisco", at("216.71.144.7", chrome), "unknown network_cisco" + gateway, "unknown network_cisco" + gateway},
		{"Cisco by IPv6", at("2620:101:2005::7", chrome), "unknown network_cisco" + gateway, "unknown network_cisco" + gateway},
		{"a library at Proofpoint", at("148.163.153.9", "curl/8.5.0"), "scanner agent_library", "scanner agent_library"},
		{"no agent at Proofpoint", at("148.163.153.9", ""), "unknown network_proofpoint,agent_empty" + gateway, "scanner agent_empty"},
		{"HEAD at Proofpoint", event.Request{Method: "HEAD", IP: netip.MustParseAddr("148.163.153.9"), UserAgent: chrome}, "scanner method", "scanner method"},
		{"Outlook at Proofpoint", at("148.163.153.9", outlook), "unknown network_proofpoint" + gateway, "scanner agent_office"},

		{"Microsoft's cloud, which is off", at("20.50.1.1", chrome), "human", "human"},
		{"Google's cloud, which is off", at("35.192.1.1", chrome), "human", "human"},

		{"Gmail's prefetch from Google", at("66.249.84.1", prefetch), "proxy agent_prefetch,network_google via gmail", "human"},
		{"Gmail's prefetch from elsewhere", at("203.0.113.77", prefetch), "human", "human"},
		{
			"Gmail's prefetch by its referer",
			withReferer(at("203.0.113.77", prefetch), "https://mail.google.com/"),
			"proxy agent_prefetch via gmail", "human",
		},
		{"Gmail's image proxy", at("66.249.84.1", gmail), "human agent_image_proxy via gmail within 1m0s unknown", "scanner agent_image_proxy via gmail"},
		{"a person at Google", at("66.249.84.1", chrome), "human", "human"},
		{"Apple, whose list isn't there", at("17.253.1.1", "Mozilla/5.0"), "proxy agent_privacy_proxy via apple", "unknown agent_privacy_proxy via apple"},

		{"a browser's Accept", withAccept(at("203.0.113.77", chrome), "text/html,application/xhtml+xml,*/*;q=0.8"), "human", "human"},
		{"Accept in capitals", withAccept(at("203.0.113.77", chrome), "TEXT/HTML"), "human", "human"},
		{"any Accept", withAccept(at("203.0.113.77", chrome), "*/*"), "human", "human accept_no_html"},
		{"Accept of images", withAccept(at("203.0.113.77", chrome), "image/avif,image/webp,*/*;q=0.8"), "human", "human accept_no_html"},
		{"any Accept, and a gateway", withAccept(at("40.93.1.2", "curl/8"), "*/*"), "scanner network_microsoft_eop,agent_library", "scanner network_microsoft_eop,agent_library,accept_no_html"},
	}
	rules := Default()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for kind, want := range map[event.Kind]string{event.Open: tt.open, event.Click: tt.click} {
				if got := judged(rules, kind, &tt.req); got != want {
					t.Errorf("%s is judged %q, want %q", kind, got, want)
				}
			}
		})
	}
}

// withFiles is a rules folder, on disk, of the files given as pairs of name and text; the others are built in.
func withFiles(tb testing.TB, pairs ...string) string {
	tb.Helper()
	dir := tb.TempDir()
	for i := 0; i < len(pairs); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, pairs[i]), []byte(pairs[i+1]), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

func TestFolderOverBuiltIn(t *testing.T) {
	asns, err := os.ReadFile("rules/" + asnsFile)
	if err != nil {
		t.Fatal(err)
	}
	dir := withFiles(t,
		// The same line as the shipped one but for "on".
		asnsFile, strings.Replace(string(asns), "8075\tnetwork_microsoft\t-\tscanner\t-\t-\toff", "8075\tnetwork_microsoft\t-\tscanner\t-\t-\ton", 1),
		originsFile, "192.0.2.0\t24\t8075\n198.51.100.0\t24\t64496_8075\n203.0.113.0\t24\t64496,22843\n2001:db8::\t32\t64496\n",
		"apple-egress.csv", "192.0.2.128/31,GB,GB-ENG,London,\r\n172.224.224.0/27,US,US-CA,Los Angeles,\n2a02:26f7::/64,GB,,\n",
		"README", "files of other names are nobody's business",
	)
	rules, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		req         event.Request
		open, click string
	}{
		{at("192.0.2.1", chrome), "human", "scanner network_microsoft"},
		{at("198.51.100.1", chrome), "human", "scanner network_microsoft"},
		{at("203.0.113.1", chrome), "unknown network_proofpoint within 10m0s scanner", "unknown network_proofpoint within 10m0s scanner"},
		{at("2001:db8::1", chrome), "human", "human"},
		{at("216.71.144.7", chrome), "human", "human"}, // Cisco's prefixes are not in this pfx2as
		{at("40.93.1.2", chrome), "scanner network_microsoft_eop", "scanner network_microsoft_eop"},
		{at("172.224.224.9", "Mozilla/5.0"), "proxy agent_privacy_proxy,network_apple_egress via apple", "unknown agent_privacy_proxy,network_apple_egress via apple"},
		{at("2a02:26f7::9", "Mozilla/5.0"), "proxy agent_privacy_proxy,network_apple_egress via apple", "unknown agent_privacy_proxy,network_apple_egress via apple"},
		{at("172.224.224.9", chrome), "human", "human"},
		{at("192.0.2.129", "Mozilla/5.0"), "proxy agent_privacy_proxy,network_apple_egress via apple", "scanner network_microsoft via apple"},
	} {
		for kind, want := range map[event.Kind]string{event.Open: tt.open, event.Click: tt.click} {
			if got := judged(rules, kind, &tt.req); got != want {
				t.Errorf("%s from %s is judged %q, want %q", kind, tt.req.IP, got, want)
			}
		}
	}
	files := map[string]File{}
	for _, f := range rules.Summary().Files {
		files[f.Name] = f
	}
	if f := files["apple-egress.csv"]; f.BuiltIn || f.Missing || f.Prefixes != 3 || f.Bytes == 0 {
		t.Errorf("the list is %+v", f)
	}
	if f := files[originsFile]; f.BuiltIn || f.Prefixes != 3 {
		t.Errorf("the origins are %+v", f)
	}
	if f := files[agentsFile]; !f.BuiltIn || f.Rules < 300 {
		t.Errorf("the agents are %+v", f)
	}
	again, err := Load(dir)
	if err != nil || again.Summary().Hash != rules.Summary().Hash || rules.Summary().Hash == Default().Summary().Hash {
		t.Errorf("hashes: %s, again %s (%v), built in %s", rules.Summary().Hash, again.Summary().Hash, err, Default().Summary().Hash)
	}
}

// TestNetworkRules covers what the shipped rules don't use.
func TestNetworkRules(t *testing.T) {
	f := folder(
		"seen\tcontains\tapp\t-\tnear\thuman\tunknown\t-\t-\t-\ts\n"+
			"exactly\texact\tX\t-\tnear\tproxy\t-\t-\t-\t-\ts\n"+
			"exactly_any\texact\tX\t-\t-\tunknown\tscanner\t1m\tproxy\t-\ts\n",
		"asks\taccept\tcontains\tjson\tweight\tscanner\ts\nasks_too\taccept\tcontains\tapplication\tweight\t-\ts\n")
	f[networksFile] = &fstest.MapFile{Data: []byte(networkHead +
		"192.0.2.0/24\tnear\tweight\tunknown\t-\t-\ts\n192.0.2.128/25\tfar\t-\thuman\t-\t-\ts\n192.0.2.200\tone\tscanner\t-\t-\t-\ts\n")}
	rules, err := Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		ip, agent, accept string
		open, click       string
	}{
		{"192.0.2.1", "x", "", "human near", "unknown near"},
		{"192.0.2.129", "x", "", "human", "human far"},
		{"192.0.2.200", "x", "", "scanner one", "human"},
		{"192.0.2.1", "my app", "", "human seen,near", "unknown near,seen"},
		{"192.0.2.129", "my app", "", "human", "human far"},
		{"192.0.2.1", "X", "", "proxy exactly,near", "scanner exactly_any"},
		{"192.0.2.129", "X", "", "unknown exactly_any within 1m0s proxy", "scanner exactly_any"},
		{"203.0.113.1", "x", "application/json", "human asks,asks_too", "scanner asks"},
	} {
		req := at(tt.ip, tt.agent)
		req.Accept = tt.accept
		for kind, want := range map[event.Kind]string{event.Open: tt.open, event.Click: tt.click} {
			if got := judged(rules, kind, &req); got != want {
				t.Errorf("%s from %s by %q is judged %q, want %q", kind, tt.ip, tt.agent, got, want)
			}
		}
	}
}

func TestNetworksRefused(t *testing.T) {
	many := strings.Repeat("x", 100)
	tests := []struct {
		name, file, text, want string
	}{
		{"no prefix", networksFile, networkHead + "x\ta\thuman\thuman\t-\t-\ts\n", `networks.tsv:2: prefix "x": want an address and its bits`},
		{"bits behind", networksFile, networkHead + "192.0.2.1/24\ta\thuman\thuman\t-\t-\ts\n", "want 192.0.2.0/24"},
		{"all of IPv4", networksFile, networkHead + "0.0.0.0/0\ta\tscanner\tscanner\t-\t-\ts\n", "want /8 or narrower"},
		{"all of IPv6", networksFile, networkHead + "::/0\ta\tscanner\tscanner\t-\t-\ts\n", "want /7 or narrower"},
		{"a default route", originsFile, "192.0.2.0\t24\t64496\n0.0.0.0\t0\t22843\n", "want /8 or narrower"},
		{"mapped", networksFile, networkHead + "::ffff:192.0.2.0/120\ta\thuman\thuman\t-\t-\ts\n", "write an IPv4 address as such"},
		{"a zone", networksFile, networkHead + "fe80::1%eth0\ta\thuman\thuman\t-\t-\ts\n", "want an address and its bits"},
		{"twice", networksFile, networkHead + "192.0.2.0/24\ta\thuman\thuman\t-\t-\ts\n192.0.2.0/24\tb\thuman\thuman\t-\t-\ts\n", "networks.tsv:3: prefix 192.0.2.0/24: it stands further up"},
		{"a list elsewhere", networksFile, networkHead + "../x.csv\ta\thuman\thuman\t-\t-\ts\n", "want the name of a file in the same folder"},
		{"a list twice", networksFile, networkHead + "x.csv\ta\t-\t-\t-\t-\ts\nx.csv\ta\t-\t-\t-\t-\ts\n", `prefix "x.csv": it stands further up`},
		{"soon without within", networksFile, networkHead + "192.0.2.0/24\ta\thuman\thuman\t-\tscanner\ts\n", "want a time such as 60s"},
		{"within without soon", networksFile, networkHead + "192.0.2.0/24\ta\thuman\thuman\t60s\t-\ts\n", "want a time such as 60s"},
		{"soon, a weight", networksFile, networkHead + "192.0.2.0/24\ta\thuman\thuman\t60s\tweight\ts\n", "want a time such as 60s"},
		{"within too long", networksFile, networkHead + "192.0.2.0/24\ta\thuman\thuman\t25h\tscanner\ts\n", "at most 24h0m0s"},
		{"a broken list", "apple-egress.csv", "192.0.2.0/24,GB\nLondon,GB\n", `apple-egress.csv:2: prefix "London"`},
		{"a list that nobody names", "other.csv", "192.0.2.0/24\n", "other.csv: no line of networks.tsv names it"},
		{"no ASN", asnsFile, asnHead + "AS1\ta\thuman\thuman\t-\t-\ton\ts\n", `asns.tsv:2: asn "AS1": want a number`},
		{"no state", asnsFile, asnHead + "1\ta\thuman\thuman\t-\t-\tyes\ts\n", `state "yes": want on or off`},
		{"an ASN twice", asnsFile, asnHead + "1\ta\thuman\thuman\t-\t-\ton\ts\n1\ta\thuman\thuman\t-\t-\ton\ts\n", "asn 1: it stands further up"},
		{"no tabs", originsFile, "192.0.2.0/24 1\n", "pfx2as:1: want address, bits and AS"},
		{"no AS", originsFile, "192.0.2.0\t24\tx\n", `pfx2as:1: AS "x": want a number`},
		{"no bits", originsFile, "192.0.2.0\tx\t22843\n", `pfx2as:1: prefix "192.0.2.0/x"`},
		{"a network that isn't there", agentsFile, agentHead + "a\tcontains\tx\t-\tnowhere\thuman\thuman\t-\t-\t-\ts\n", `agents.tsv:2: network "nowhere": want a code of networks.tsv or asns.tsv`},
		{"a weight of an agent", agentsFile, agentHead + "a\tcontains\tx\t-\t-\tweight\thuman\t-\t-\t-\ts\n", "weight is for headers and networks"},
		{"a header that isn't looked at", headersFile, headerHead + "a\tcookie\tlacks\tx\thuman\thuman\ts\n", `header "cookie": want purpose or accept`},
		{"a header's match", headersFile, headerHead + "a\taccept\tis\tx\thuman\thuman\ts\n", `match "is": want contains or lacks`},
		{"too many of a header", headersFile, headerHead + strings.Repeat("a\taccept\tlacks\tx\thuman\thuman\ts\n", maxHeaderRules+1), "want at most 64 rules"},
		{"a file of another name", "agent.tsv", many, "agent.tsv: no such file is read"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(withFiles(t, tt.file, tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v, want one with %q", err, tt.want)
			}
		})
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a folder that isn't there is taken")
	}
}

// TestCacheIsTrue judges agents in a cache that is far too small for them, beside the automaton alone.
func TestCacheIsTrue(t *testing.T) {
	a := &Default().agents
	check := func(agent string) {
		t.Helper()
		if got, want := a.findAgent(agent), a.scan(agent, agent); got != want {
			t.Fatalf("%q: found %+v, the automaton %+v", agent, got, want)
		}
	}
	reqs := traffic(t)
	for round := range 3 * cacheSlots / len(reqs) {
		for _, r := range reqs {
			if r.UserAgent != "" {
				check(r.UserAgent)
				check(fmt.Sprintf("%s %d", r.UserAgent, round))
			}
		}
	}
}

// TestRulesAtOnce judges with one set of rules from several goroutines; the race detector watches.
func TestRulesAtOnce(t *testing.T) {
	rules, reqs := Default(), traffic(t)
	var want []string
	for _, r := range reqs {
		want = append(want, judged(rules, event.Click, &r))
	}
	for range 4 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for round := range 20 {
				for i, r := range reqs {
					if got := judged(rules, event.Click, &r); got != want[i] {
						t.Fatalf("round %d: %q is judged %q, want %q", round, r.UserAgent, got, want[i])
					}
				}
			}
		})
	}
}
