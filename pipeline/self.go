package pipeline

import (
	"fmt"
	"net/netip"

	"github.com/gaissmai/bart"

	"carom/pipeline/event"
)

// OwnAddresses knows the addresses that senders told while the process runs; package control keeps them.
type OwnAddresses interface {
	// SelfAddresses returns the addresses that are the sender's own, nil if none are. It must be quick, must not allocate,
	// and may be called by many goroutines at once.
	SelfAddresses(account, sender string) []netip.Prefix
}

// Recognise has o asked from now on. Call it before the first Hit.
func (a *Acceptor) Recognise(o OwnAddresses) { a.own = o }

// The reasons of the verdict self.
const (
	selfCookie  = "self_cookie"
	selfAddress = "self_address"
)

// selfReasons appends why a hit is the sender's own; nothing if it isn't.
func (a *Acceptor) selfReasons(dst []string, ev *event.Event, req *event.Request) []string {
	if req.Self {
		dst = append(dst, selfCookie)
	}
	if a.isSelfAddress(ev, req.IP) {
		dst = append(dst, selfAddress)
	}
	return dst
}

func (a *Acceptor) isSelfAddress(ev *event.Event, ip netip.Addr) bool {
	if !ip.IsValid() {
		return false
	}
	if len(a.selfAddresses) > 0 {
		if table := a.selfAddresses[senderName{ev.Account, ev.Sender}]; table != nil && table.Contains(ip) {
			return true
		}
	}
	if a.own != nil {
		for _, p := range a.own.SelfAddresses(ev.Account, ev.Sender) {
			if p.Contains(ip) {
				return true
			}
		}
	}
	return false
}

// selfAddresses are those of the configuration.
type selfAddresses map[senderName]*bart.Lite

type senderName struct{ account, sender string }

const maxSelfAddresses = 10_000

func newSelfAddresses(list []string) (selfAddresses, error) {
	if len(list) > maxSelfAddresses {
		return nil, fmt.Errorf("self_addresses: %d entries: want at most %d", len(list), maxSelfAddresses)
	}
	all := selfAddresses{}
	for _, text := range list {
		e, err := parseEntry(text)
		if err != nil {
			return nil, fmt.Errorf("self_addresses: %q: %w: want ACCOUNT/SENDER=203.0.113.0/24 or the like", text, err)
		}
		p, err := event.ParseSelfAddress(e.value)
		if err != nil {
			return nil, fmt.Errorf("self_addresses: %q: %w", text, err)
		}
		name := senderName{e.first, e.second}
		if all[name] == nil {
			all[name] = new(bart.Lite)
		}
		all[name].Insert(p)
	}
	return all, nil
}
