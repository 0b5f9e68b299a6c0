package provider

import (
	"os"
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	for in, want := range map[string]string{
		"gmail.com": "google", "GMail.com.": "google", "googlemail.com": "google", "tenant.onmicrosoft.com": "microsoft",
		"yahoo.co.jp": "yahoo-japan", "icloud.com": "apple", "example.com": "example.com", "Sub.Example.COM": "sub.example.com",
		"bücher.example": "xn--bcher-kva.example", "com": "com", "notgmail.com": "notgmail.com", "[192.0.2.1]": "[192.0.2.1]", "": "",
		".": "", "a@gmail.com": "google", "a\"b": "", "a\x80": "", "_dmarc.example.com": "_dmarc.example.com", "[ipv6:2001:DB8::1]": "[ipv6:2001:db8::1]",
		strings.Repeat("x", 300): "",
	} {
		if got := Of(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"bob@gmail.com": "google", "bob": "", "": "", "bob@": "", `"a@b"@Gmail.com`: "google"} {
		if got := OfAddress(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestReports(t *testing.T) {
	for name, want := range map[string]bool{"yahoo": true, "microsoft": true, "google": false, "apple": false, "example.com": false, "": false} {
		if Reports(name) != want {
			t.Errorf("%q: want %v", name, want)
		}
	}
}

// A bounce's provider and its recipient's have one name.
func TestNamesAreThoseOfReports(t *testing.T) {
	table, err := os.ReadFile("../../edge/report/tables/providers.tsv")
	if err != nil {
		t.Fatal(err)
	}
	names, addresses := map[string]bool{}, 0
	for line := range strings.Lines(string(table)) {
		if line[0] == '#' {
			continue
		}
		c := strings.Split(line, "\t")
		names[c[2]] = true
		if c[0] == "host" || c[0] == "text" {
			continue
		}
		addresses++
		if got := Of(c[1]); got != c[2] {
			t.Errorf("%s: got %q, edge/report says %q", c[1], got, c[2])
		}
	}
	if addresses < 20 {
		t.Fatalf("only %d rows were read", addresses)
	}
	seen := map[string]bool{}
	each("domains.tsv", domainFile, 3, func(c []string) {
		if seen[c[0]] {
			t.Errorf("%s stands twice", c[0])
		}
		seen[c[0]] = true
		if c[0] != strings.ToLower(c[0]) || c[2] == "" {
			t.Errorf("%q", c)
		}
	})
	known := map[string]bool{}
	for _, name := range compiled().names {
		known[name] = true
	}
	for name := range compiled().reports {
		if !known[name] {
			t.Errorf("%s has no domain", name)
		}
	}
}

func TestOfDoesNotAllocate(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { OfAddress("bob@mail.example.com") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
