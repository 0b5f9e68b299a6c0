package main

import "testing"

func TestOrder(t *testing.T) {
	peers := everyPeer()[:6]
	const rounds = 6
	first, after := map[string]bool{}, map[string]map[string]bool{}
	for round := range rounds {
		got := order(peers, round)
		seen := map[string]bool{}
		for i, p := range got {
			seen[p.name] = true
			if i == 0 {
				first[p.name] = true
				continue
			}
			if after[p.name] == nil {
				after[p.name] = map[string]bool{}
			}
			after[p.name][got[i-1].name] = true
		}
		if len(seen) != len(peers) || len(got) != len(peers) {
			t.Errorf("round %d: %s", round, names(got))
		}
	}
	if len(first) < 3 {
		t.Errorf("only %d peers come first in %d rounds", len(first), rounds)
	}
	for _, p := range peers {
		if len(after[p.name]) < 2 {
			t.Errorf("%s comes after %v only", p.name, after[p.name])
		}
	}
	if order(nil, 3) != nil {
		t.Error("no peers have an order")
	}
}

func TestPlan(t *testing.T) {
	o := options{Connections: counts{64, 256}, Sessions: counts{50}}
	steps := map[string][]int{}
	for _, s := range plan(everyPeer(), &o, 1) {
		steps[s.peer.name] = append(steps[s.peer.name], s.connections)
	}
	for _, p := range everyPeer() {
		want := len(o.Connections)
		if p.protocol == overSMTP {
			want = len(o.Sessions)
		}
		if len(steps[p.name]) != want {
			t.Errorf("%s is measured at %v", p.name, steps[p.name])
		}
	}
}

func TestChoose(t *testing.T) {
	got, unknown := choose(everyPeer(), []string{"haraka", "apache", "carom"})
	if names(got) != "carom, haraka" || len(unknown) != 1 || unknown[0] != "apache" {
		t.Errorf("chosen %s, unknown %v", names(got), unknown)
	}
	if all, _ := choose(everyPeer(), nil); len(all) != len(everyPeer()) {
		t.Errorf("without names: %s", names(all))
	}
}
