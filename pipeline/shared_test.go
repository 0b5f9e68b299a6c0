package pipeline

import (
	"fmt"
	"slices"
	"testing"

	"carom/pipeline/event"
)

// of is an open of the n-th message.
func of(n int, at event.Millis) event.Event {
	ev := open(at)
	ev.Message = fmt.Sprintf("m-%d", n)
	ev.Key = event.KeyOf(ev.Account, ev.Message)
	return ev
}

func TestSharedAddress(t *testing.T) {
	const least = 5
	type hit struct {
		message int
		at      event.Millis
		ip      string
		agent   string
		shared  bool
	}
	office := "203.0.113.77"
	tests := []struct {
		name string
		hits []hit
	}{
		{"five messages within a minute", []hit{
			{1, 0, office, browser, false},
			{2, 10_000, office, browser, false},
			{3, 20_000, office, library, false},
			{4, 30_000, office, browser, false},
			{5, 59_999, office, browser, true},
			{6, 59_999, office, library, true},
		}},
		{"one message, again and again", []hit{
			{1, 0, office, browser, false},
			{1, 11_000, office, browser, false},
			{1, 22_000, office, browser, false},
			{1, 33_000, office, browser, false},
			{1, 44_000, office, browser, false},
		}},
		{"spread over more than a minute", []hit{
			{1, 0, office, browser, false},
			{2, 15_000, office, browser, false},
			{3, 30_000, office, browser, false},
			{4, 45_000, office, browser, false},
			{5, 60_000, office, browser, false},
			{6, 61_000, office, browser, true},
		}},
		{"several addresses", []hit{
			{1, 0, "203.0.113.1", browser, false},
			{2, 1, "203.0.113.2", browser, false},
			{3, 2, "203.0.113.3", browser, false},
			{4, 3, "203.0.113.4", browser, false},
			{5, 4, "203.0.113.5", browser, false},
		}},
		{"a mail provider's proxy", []hit{
			{1, 0, office, "GoogleImageProxy", false},
			{2, 0, office, "GoogleImageProxy", false},
			{3, 0, office, "GoogleImageProxy", false},
			{4, 0, office, "GoogleImageProxy", false},
			{5, 0, office, "GoogleImageProxy", false},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := Default()
			o.SharedAddress = least
			j := &memoryJournal{}
			a, _ := newAcceptor(t, o, j)
			for i, h := range tt.hits {
				ev, req := of(h.message, start+h.at), from(h.ip, h.agent)
				if err := a.Hit(&ev, &req); err != nil {
					t.Fatal(err)
				}
				if got := slices.Contains(j.records[i].ev.Actor.Reasons, sharedAddress); got != h.shared {
					t.Errorf("hit %d has the reason: %v, want %v", i, got, h.shared)
				}
			}
		})
	}
}

func TestSharedAddressOff(t *testing.T) {
	o := Default()
	o.SharedAddress = 0
	j := &memoryJournal{}
	a, _ := newAcceptor(t, o, j)
	for i := range 20 {
		ev, req := of(i, start), from("203.0.113.77", browser)
		if err := a.Hit(&ev, &req); err != nil {
			t.Fatal(err)
		}
		if r := j.records[i].ev.Actor.Reasons; len(r) > 0 {
			t.Fatalf("hit %d has the reasons %v", i, r)
		}
	}
}

// TestSharedAddressesForget fills the table beyond its size: an address seen just now is known whatever came before.
func TestSharedAddressesForget(t *testing.T) {
	s := newSharedAddresses(2)
	hit := func(address uint64, message int, at event.Millis) bool {
		ev := of(message, at)
		ev.Client.AddressHash = address
		return s.add(&ev)
	}
	const n = 10 * sharedWays * sharedSets * sharedShards
	for i := range n {
		address := uint64(i)*0x9E3779B97F4A7C15 | 1
		at := start + event.Millis(i)
		if hit(address, 1, at) || !hit(address, 2, at) {
			t.Fatalf("address %d is not new and then shared", i)
		}
	}
}
