package pipeline

import (
	"fmt"
	"time"
)

// Options are the settings of Accept: the section `accept` of the configuration.
type Options struct {
	KeepAddress   string        `yaml:"keep_address" doc:"How the client's address is kept with opens and clicks: whole, truncated (IPv4 to /24, IPv6 to /48) or none."`
	KeepAgent     string        `yaml:"keep_agent" doc:"How the client's user agent is kept with opens and clicks: whole (its first 512 bytes), truncated (versions to their first number, 128 bytes) or none."`
	Accounts      []string      `yaml:"accounts" form:"tree" doc:"What is kept in accounts that differ from the rest: ACCOUNT/keep_address=VALUE and ACCOUNT/keep_agent=VALUE, of at most 10000 accounts; in the file also as a mapping, accounts: {ACCOUNT: {keep_address: VALUE}}. What an account doesn't say holds as above."`
	SelfAddresses []string      `yaml:"self_addresses" form:"tree" doc:"Addresses, or ranges of them, from which senders open their own mail: ACCOUNT/SENDER=203.0.113.0/24, at most 10000; in the file also as a mapping, self_addresses: {ACCOUNT: {SENDER: [203.0.113.0/24]}}. What comes from there has the verdict self. Senders may also have some by PUT /v1/senders/{sender}/addresses."`
	Repeat        time.Duration `yaml:"repeat" doc:"Within which distance an open or click like a recorded one is dropped before it is recorded, in whole milliseconds from 1ms to 1h. Should not be longer than refine's repeat, or hits are dropped that would count."`
	RulesDir      string        `yaml:"rules_dir" doc:"Folder whose files take the place of the built-in rules of their names: agents.tsv, headers.tsv, networks.tsv, asns.tsv, pfx2as, and lists such as apple-egress.csv. It is read at the start, on SIGHUP and on POST /v1/rules/reload. 'carom rules export DIR' writes the built-in files. Default: none."`
	SharedAddress int           `yaml:"shared_address" doc:"How many messages opened or clicked from one address within a minute add the reason shared_address, a weight, to those that follow: 2 to 8; 0 looks for none. Of 8192 addresses, the latest, in 1.2 MB."`
	RepeatEntries int           `yaml:"repeat_entries" doc:"How many recorded opens and clicks are remembered to drop their repeats, 16 bytes each, 0 to 16777216; 0 drops none."`
}

// How much of a client is kept.
const (
	KeepWhole     = "whole"
	KeepTruncated = "truncated"
	KeepNone      = "none"
)

const (
	// maxRepeatEntries bounds the memory of the repeats to 256 MiB.
	maxRepeatEntries = 1 << 24
	maxRepeat        = time.Hour
)

// Default returns the settings that hold where nothing else is said.
func Default() Options {
	return Options{
		KeepAddress: KeepTruncated,
		KeepAgent:   KeepWhole,
		Repeat:      10 * time.Second,
		// A node at 13,000 hits a second remembers all of its last 10 s.
		RepeatEntries: 1 << 17,
		SharedAddress: 5,
	}
}

// Validate names the first setting that is not allowed.
func (o Options) Validate() error {
	for _, s := range []struct{ key, value string }{{"keep_address", o.KeepAddress}, {"keep_agent", o.KeepAgent}} {
		if !isKeep(s.value) {
			return fmt.Errorf("%s: %q: want whole, truncated or none", s.key, s.value)
		}
	}
	if _, err := newKeeps(&o); err != nil {
		return err
	}
	if _, err := newSelfAddresses(o.SelfAddresses); err != nil {
		return err
	}
	if o.Repeat < time.Millisecond || o.Repeat > maxRepeat || o.Repeat%time.Millisecond != 0 {
		return fmt.Errorf("repeat: %s: want whole milliseconds from 1ms to %s", o.Repeat, maxRepeat)
	}
	if o.SharedAddress != 0 && (o.SharedAddress < 2 || o.SharedAddress > maxShared) {
		return fmt.Errorf("shared_address: %d: want 2 to %d, or 0", o.SharedAddress, maxShared)
	}
	if o.RepeatEntries < 0 || o.RepeatEntries > maxRepeatEntries {
		return fmt.Errorf("repeat_entries: %d: want 0 to %d", o.RepeatEntries, maxRepeatEntries)
	}
	return nil
}
