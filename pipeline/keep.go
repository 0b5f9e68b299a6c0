package pipeline

import (
	"fmt"
	"unsafe"

	"carom/pipeline/event"
)

// keep is how much of a client is kept.
type keep struct{ address, agent string }

// keeps are what is kept in each account that has settings of its own, and in all others.
type keeps struct {
	others   keep
	accounts map[string]keep
}

// The settings that an account may have of its own.
const (
	keyKeepAddress = "keep_address"
	keyKeepAgent   = "keep_agent"
)

// maxAccounts bounds the accounts with settings of their own.
const maxAccounts = 10_000

// newKeeps reads the settings of accounts.
func newKeeps(o *Options) (keeps, error) {
	k := keeps{others: keep{o.KeepAddress, o.KeepAgent}, accounts: map[string]keep{}}
	given := map[entry]bool{}
	for _, text := range o.Accounts {
		e, err := parseEntry(text)
		if err != nil {
			return k, fmt.Errorf("accounts: %q: %w: want ACCOUNT/keep_address=truncated or the like", text, err)
		}
		setting := entry{first: e.first, second: e.second}
		if given[setting] {
			return k, fmt.Errorf("accounts: %q: %s of that account is given twice", text, e.second)
		}
		given[setting] = true
		if !isKeep(e.value) {
			return k, fmt.Errorf("accounts: %q: want whole, truncated or none", text)
		}
		own, ok := k.accounts[e.first]
		if !ok {
			own = k.others
		}
		switch e.second {
		case keyKeepAddress:
			own.address = e.value
		case keyKeepAgent:
			own.agent = e.value
		default:
			return k, fmt.Errorf("accounts: %q: an account may have keep_address and keep_agent of its own, not %s", text, e.second)
		}
		k.accounts[e.first] = own
	}
	if len(k.accounts) > maxAccounts {
		return k, fmt.Errorf("accounts: %d accounts: want at most %d", len(k.accounts), maxAccounts)
	}
	return k, nil
}

func isKeep(s string) bool { return s == KeepWhole || s == KeepTruncated || s == KeepNone }

// client returns as much of the client as may be kept. A truncated agent lives in s. Nothing is kept with hits that name
// no contact: an address would name one.
func (k *keeps) client(s *clientScratch, ev *event.Event, req *event.Request) event.Client {
	var c event.Client
	if ev.Flags.Nameless() {
		return c
	}
	own := k.others
	if len(k.accounts) > 0 {
		if a, ok := k.accounts[ev.Account]; ok {
			own = a
		}
	}
	switch own.address {
	case KeepWhole:
		c.IP = req.IP
	case KeepTruncated:
		c.IP = truncateAddress(req.IP)
	}
	switch own.agent {
	case KeepWhole:
		c.UserAgent = req.UserAgent[:min(len(req.UserAgent), maxWholeAgent)]
	case KeepTruncated:
		b := truncateAgent(s.agent[:0], req.UserAgent)
		c.UserAgent = unsafe.String(unsafe.SliceData(b), len(b))
	}
	return c
}
