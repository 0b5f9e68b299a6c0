package scenario

import (
	"math/rand/v2"
	"net/netip"
	"slices"
)

// who acted.
type who uint8

const (
	nobody who = iota // what has no verdict
	person
	proxy
	scanner
)

// verdict is what a right node says of who.
func (w who) verdict() string {
	return [...]string{person: "human", proxy: "proxy", scanner: "scanner", nobody: ""}[w]
}

func (w who) String() string {
	return [...]string{person: "a person", proxy: "a proxy", scanner: "a scanner", nobody: ""}[w]
}

// visitor comes to messages. No two have an agent in common: an event is known by it.
type visitor struct {
	name    string
	who     who
	network netip.Prefix // IPv4
	opens   string       // the agent that loads pixels; "" if none does
	clicks  string       // the agent that follows links
	about   string
}

// visitors are few, and only those whose verdict is beyond doubt: `carom bench verdicts` is there for the others.
var visitors = []visitor{
	{
		"thunderbird", person, netip.MustParsePrefix("203.0.113.0/24"),
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.4.0",
		"Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
		"reads with Thunderbird, follows links with Firefox",
	},
	{
		"apple-mail", person, netip.MustParsePrefix("198.51.100.0/24"),
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Safari/605.1.15",
		"reads with Apple Mail, follows links with Safari",
	},
	{
		"iphone", person, netip.MustParsePrefix("192.0.2.0/24"),
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
		"reads and follows links on a telephone",
	},
	{
		"apple-privacy", proxy, netip.MustParsePrefix("104.28.0.0/16"),
		"Mozilla/5.0", "",
		"Apple's privacy proxy",
	},
	{
		"barracuda", scanner, netip.MustParsePrefix("209.222.82.0/24"),
		"", "Mozilla/5.0 (compatible; Barracuda Sentinel (EE))",
		"a gateway that names itself",
	},
	{
		"mimecast", scanner, netip.MustParsePrefix("207.211.30.0/24"),
		"", "Mozilla/5.0 (compatible; Mimecast URL Protection)",
		"a gateway that names itself, from its own network",
	},
	{
		"curl", scanner, netip.MustParsePrefix("100.66.0.0/16"),
		"", "curl/8.11.1",
		"a program",
	},
}

// headers are those of pixels and of links.
var (
	openHeaders  = map[string]string{"Accept": "image/avif,image/webp,image/*,*/*;q=0.8"}
	clickHeaders = map[string]string{"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "Accept-Language": "en-GB,en;q=0.8"}
)

func namesOf(w who) (all []string) {
	for i := range visitors {
		if visitors[i].who == w {
			all = append(all, visitors[i].name)
		}
	}
	return all
}

func visitorNamed(name string) *visitor {
	return &visitors[slices.IndexFunc(visitors, func(v visitor) bool { return v.name == name })]
}

// agents tells who has an agent.
var agents = func() map[string]who {
	all := make(map[string]who)
	for i := range visitors {
		all[visitors[i].opens], all[visitors[i].clicks] = visitors[i].who, visitors[i].who
	}
	delete(all, "")
	return all
}()

// actorOf is who an event speaks of: by the agent, which verdicts don't change, or else by the verdict.
func actorOf(agent, verdict string) who {
	if w, ok := agents[agent]; ok {
		return w
	}
	for _, w := range []who{person, proxy, scanner} {
		if w.verdict() == verdict {
			return w
		}
	}
	return nobody
}

// address draws one of the visitor's network.
func (v *visitor) address(random *rand.Rand) netip.Addr {
	b := v.network.Addr().As4()
	host := random.Uint32() & (1<<(32-v.network.Bits()) - 1)
	for i := range b {
		b[i] |= byte(host >> (8 * (3 - i)))
	}
	return netip.AddrFrom4(b)
}
