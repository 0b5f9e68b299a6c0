package bot

import (
	"net/netip"
	"strings"
	"testing"

	"carom/pipeline/event"
)

// traffic is a mix: the agents of people and machines, by addresses of people, of gateways and of a mail provider.
func traffic(tb testing.TB) (reqs []event.Request) {
	addresses := []netip.Addr{
		netip.MustParseAddr("203.0.113.77"), netip.MustParseAddr("40.107.1.2"), netip.MustParseAddr("148.163.136.9"),
		netip.MustParseAddr("66.249.84.1"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("198.51.100.9"),
		netip.MustParseAddr("2a01:111:f400:7e00::9"),
	}
	add := func(agent string) {
		req := get(agent)
		req.IP = addresses[len(reqs)%len(addresses)]
		req.Accept = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
		if len(reqs)%5 == 0 {
			req.Accept, req.Referer = "*/*", "https://mail.google.com/"
		}
		reqs = append(reqs, req)
	}
	readAgents(tb, "testdata/people.txt", func(line string) { add(strings.TrimPrefix(line, "open ")) })
	readAgents(tb, "testdata/machines.txt", func(line string) {
		_, rest, _ := strings.Cut(line, " ")
		_, agent, _ := strings.Cut(rest, " ")
		add(agent)
	})
	return reqs
}

// BenchmarkJudge judges the mix: as traffic comes, with agents that come again, and with none that ever does.
func BenchmarkJudge(b *testing.B) {
	reqs := traffic(b)
	size := 0
	for _, r := range reqs {
		size += len(r.UserAgent)
	}
	for _, kind := range []event.Kind{event.Open, event.Click} {
		b.Run(kind.String(), func(b *testing.B) {
			rules := Default()
			b.SetBytes(int64(size / len(reqs)))
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				room := make([]string, 0, MaxReasons)
				for i := 0; pb.Next(); i++ {
					rules.Judge(kind, &reqs[i%len(reqs)], room[:0])
				}
			})
		})
	}
	b.Run("alone", func(b *testing.B) {
		rules := Default()
		room := make([]string, 0, MaxReasons)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			rules.Judge(event.Click, &reqs[i%len(reqs)], room[:0])
		}
	})
}

// BenchmarkAgents compares the automaton with the cache before it.
func BenchmarkAgents(b *testing.B) {
	reqs := traffic(b)
	a := &Default().agents
	b.Run("automaton", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			agent := reqs[i%len(reqs)].UserAgent
			a.scan(agent, agent)
		}
	})
	b.Run("cache", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			a.findAgent(reqs[i%len(reqs)].UserAgent)
		}
	})
}

func BenchmarkNetworks(b *testing.B) {
	reqs := traffic(b)
	n := Default().networks
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		n.find(clicks, reqs[i%len(reqs)].IP)
	}
}

func BenchmarkDefault(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Default()
	}
}
