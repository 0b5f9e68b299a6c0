package bot

import (
	"net/netip"

	"github.com/gaissmai/bart"

	"carom/pipeline/event"
)

// networks is networks.tsv and asns.tsv, compiled: who an address belongs to.
//
//	address ─┬─▶ named   prefixes of networks.tsv   ─┐ of each table the most specific prefix; of the tables
//	         ├─▶ listed  prefixes of lists it names  ├ the first that says something about such hits
//	         └─▶ asns    prefixes of pfx2as         ─┘
type networks struct {
	rules []networkRule
	named bart.Table[uint16] // all by the index of their rule
	lists bart.Table[uint16]
	asns  bart.Table[uint16]

	used []*bart.Table[uint16] // those that are not empty, by precedence
}

func (n *networks) noteUsed() {
	for _, t := range []*bart.Table[uint16]{&n.named, &n.lists, &n.asns} {
		if t.Size() > 0 {
			n.used = append(n.used, t)
		}
	}
}

// networkRule is a line of networks.tsv or asns.tsv.
type networkRule struct {
	rule
	parts uint64 // of rules of agents.tsv that ask for it
}

// place is what the networks say of an address.
type place struct {
	rule  *rule // nil: nothing
	parts uint64
}

func (p *place) verdict(h hit) event.Verdict { return p.rule.verdict(h) }

func (p *place) weighs(h hit) bool { return p.rule != nil && p.rule.weighs[h] }

// find looks an address up.
func (n *networks) find(h hit, ip netip.Addr) (p place) {
	if !ip.IsValid() {
		return p
	}
	ip = ip.Unmap()
	for _, table := range n.used {
		i, ok := table.Lookup(ip)
		if !ok {
			continue
		}
		r := &n.rules[i]
		p.parts |= r.parts
		if p.rule == nil && r.says(h) {
			p.rule = &r.rule
		}
	}
	return p
}
