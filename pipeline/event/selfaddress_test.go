package event

import "testing"

func TestParseSelfAddress(t *testing.T) {
	for in, want := range map[string]string{
		"203.0.113.7": "203.0.113.7/32", "203.0.113.7/24": "203.0.113.0/24", "::ffff:203.0.113.7": "203.0.113.7/32",
		"2001:db8::1": "2001:db8::1/128", "2001:db8::/16": "2001::/16", "10.0.0.0/8": "10.0.0.0/8",
		"0.0.0.0/0": "", "10.0.0.0/7": "", "::/0": "", "2001::/15": "", "::ffff:0.0.0.0/96": "", "fe80::1%eth0": "", "": "", "example.com": "", "203.0.113.0/33": "",
	} {
		p, err := ParseSelfAddress(in)
		if got := p.String(); want != "" && (err != nil || got != want) || want == "" && err == nil {
			t.Errorf("%q: %s, %v; want %q", in, got, err, want)
		}
	}
}
