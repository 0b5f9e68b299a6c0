package provider

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"

	"carom/pipeline/event"
)

// Every row names its source.
//
//go:embed domains.tsv
var domainFile string

//go:embed feedback.tsv
var feedbackFile string

// maxDomain is how long a domain can be (RFC 1035 §2.3.4); a longer one is none.
const maxDomain = 255

type tables struct {
	names   map[string]string // by domain
	known   map[string]bool   // names that are in there
	reports map[string]bool   // by name
}

// compiled returns the tables, compiled at first use.
var compiled = sync.OnceValue(func() *tables {
	t := &tables{names: map[string]string{}, known: map[string]bool{}, reports: map[string]bool{}}
	each("domains.tsv", domainFile, 3, func(c []string) { t.names[c[0]], t.known[c[1]] = c[1], true })
	each("feedback.tsv", feedbackFile, 2, func(c []string) { t.reports[c[0]] = true })
	return t
})

func each(name, file string, columns int, row func([]string)) {
	n := 0
	for line := range strings.Lines(file) {
		n++
		if line = strings.TrimSuffix(line, "\n"); line == "" || line[0] == '#' {
			continue
		}
		c := strings.Split(line, "\t")
		if len(c) != columns {
			panic(fmt.Sprintf("BUG: %s:%d: %d columns, want %d", name, n, len(c), columns))
		}
		row(c)
	}
}

// Of returns the name of the mailbox provider of a recipient's domain, such as "google": that of the domain itself or of
// the nearest parent that is known, otherwise the domain in lower case and A-labels. It is empty for what is no domain, so
// that a name can stand anywhere: it has letters, digits, hyphens, dots and underscores, and of an address the brackets and
// colons.
func Of(domain string) string {
	if domain == "" {
		return ""
	}
	return OfAddress("@" + domain)
}

// OfAddress returns the provider of an address, empty if it has no domain. It does not allocate where the domain is in
// lower case.
func OfAddress(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 || len(address)-at-1 > maxDomain {
		return ""
	}
	address = event.NormalAddress(address)
	domain := address[strings.LastIndexByte(address, '@')+1:]
	for i := range len(domain) {
		if !inDomain(domain[i]) {
			return ""
		}
	}
	names := compiled().names
	for name := domain; ; {
		if provider, ok := names[name]; ok {
			return provider
		}
		dot := strings.IndexByte(name, '.')
		if dot < 0 {
			return domain
		}
		name = name[dot+1:]
	}
}

func inDomain(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("-._[]:", c) >= 0
}

// Known reports whether a name is one of the table's, and not a domain that stands for itself.
func Known(name string) bool { return compiled().known[name] }

// Reports reports whether the provider of that name sends feedback reports (RFC 5965) to senders who enroll: whether
// the absence of complaints means anything there.
func Reports(name string) bool { return compiled().reports[name] }
