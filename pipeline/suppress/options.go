package suppress

import (
	"fmt"
	"time"
)

const day = 24 * time.Hour

// Options are the settings of suppression: the section `suppress` of the configuration.
type Options struct {
	SoftBounces int           `yaml:"soft_bounces" doc:"How many soft bounces suppress an address, over at least soft_days with no delivery, open, click or reply between; 2 to 16, or 0: soft bounces never suppress."`
	SoftDays    int           `yaml:"soft_days" doc:"How many days the first and the last of those soft bounces must lie apart at least, 0 to 365."`
	SoftFor     time.Duration `yaml:"soft_for" doc:"How long soft bounces suppress, 1h to 87600h."`

	GlobalAccounts int           `yaml:"global_accounts" doc:"In how many accounts an address must bounce hard to be suppressed in all, 2 to 16; 0: never."`
	GlobalWithin   time.Duration `yaml:"global_within" doc:"Within how long those bounces must come, 1h to 8760h."`

	QuotaShare float64 `yaml:"quota_share" doc:"How many of an account's contacts may be reactivated in a calendar month, of all that it has ever mailed, 0 to 1; rounded down."`
	QuotaLeast int     `yaml:"quota_least" doc:"How many may be reactivated in any case, 0 to 1000000."`
	QuotaMost  int     `yaml:"quota_most" doc:"How many may be reactivated at most, quota_least to 1000000."`

	BreakerShare  float64       `yaml:"breaker_share" doc:"Share of hard bounces, of what was sent to a mailbox provider, from which its bounces wait in quarantine, if the share also leaps beyond its own past; above 0 to 1. The lower end of its 95 % interval counts."`
	BreakerLeap   float64       `yaml:"breaker_leap" doc:"How many times the upper end of the past share's interval that is at least, 1 to 1000."`
	BreakerWindow time.Duration `yaml:"breaker_window" doc:"Over how many whole hours, this one included, the share is taken, 1h to 24h; the breaker closes when it was below for as long."`
	BreakerSent   int           `yaml:"breaker_sent" doc:"How many must have been sent within the window, 1 to 1000000000."`
	BreakerHard   int           `yaml:"breaker_hard" doc:"How many must have bounced hard within the window, 1 to 1000000000; 0: there is no breaker."`
	BreakerPast   int           `yaml:"breaker_past" doc:"How many must have been sent before, on breaker_days different days of the last 30, 1 to 1000000000: no provider is judged without a past."`
	BreakerDays   int           `yaml:"breaker_days" doc:"On how many different UTC days those must have been sent, 1 to 30."`

	HashOnly      bool          `yaml:"hash_only" doc:"Whether addresses are kept as keyed hashes alone, in the state, in the log of suppressions and in answers. The key comes from the first key of keys.file, which must stay in it, retired or not."`
	Keep          time.Duration `yaml:"keep" doc:"How long a suppression that ended stays known, and bounces that have not suppressed, 24h to 87600h, at least global_within and soft_days; 0s: for ever. One that was reactivated stays for ever, because that is allowed once."`
	KeepDecisions time.Duration `yaml:"keep_decisions" doc:"How long the decisions on orders are kept, which are the audit log, 24h to 87600h; 0s: for ever."`
	WaitFor       time.Duration `yaml:"wait_for" doc:"How long a fact about a message that nobody registered waits for its recipient, 1m to 8760h."`
	MaxWaiting    int           `yaml:"max_waiting" doc:"How many such facts may wait, 0 to 100000000; more are dropped and counted."`

	StepRecords int `yaml:"step_records" doc:"How many input records one commit covers at most, 1 to 65536."`
}

// Default returns the settings of a server that is told nothing.
func Default() Options {
	return Options{
		SoftBounces: 5, SoftDays: 14, SoftFor: 30 * day,
		GlobalAccounts: 3, GlobalWithin: 60 * day,
		QuotaShare: 0.02, QuotaLeast: 10, QuotaMost: 1000,
		BreakerShare: 0.1, BreakerLeap: 5, BreakerWindow: 2 * time.Hour, BreakerSent: 50, BreakerHard: 20, BreakerPast: 1000, BreakerDays: 3,
		Keep: 400 * day, KeepDecisions: 400 * day,
		WaitFor: 7 * day, MaxWaiting: 1_000_000,
		StepRecords: 1024,
	}
}

// Validate names the first setting that is not allowed.
func (o Options) Validate() error {
	for _, n := range []struct {
		key              string
		value, low, high int
		off              bool // 0 switches off
	}{
		{"soft_bounces", o.SoftBounces, 2, maxSoft, true},
		{"soft_days", o.SoftDays, 0, 365, false},
		{"global_accounts", o.GlobalAccounts, 2, maxGlobalAccounts, true},
		{"quota_least", o.QuotaLeast, 0, 1_000_000, false},
		{"quota_most", o.QuotaMost, o.QuotaLeast, 1_000_000, false},
		{"breaker_sent", o.BreakerSent, 1, 1_000_000_000, false},
		{"breaker_hard", o.BreakerHard, 1, 1_000_000_000, true},
		{"breaker_past", o.BreakerPast, 1, 1_000_000_000, false},
		{"breaker_days", o.BreakerDays, 1, breakerPastDays, false},
		{"max_waiting", o.MaxWaiting, 0, 100_000_000, false},
		{"step_records", o.StepRecords, 1, 1 << 16, false},
	} {
		if n.off && n.value == 0 {
			continue
		}
		if n.value < n.low || n.value > n.high {
			return fmt.Errorf("%s: %d: want %d to %d%s", n.key, n.value, n.low, n.high, orOff(n.off))
		}
	}
	for _, d := range []struct {
		key              string
		value, low, high time.Duration
		off              bool
	}{
		{"soft_for", o.SoftFor, time.Hour, 3650 * day, false},
		{"global_within", o.GlobalWithin, time.Hour, 365 * day, false},
		{"breaker_window", o.BreakerWindow, time.Hour, day, false},
		{"keep", o.Keep, day, 3650 * day, true},
		{"keep_decisions", o.KeepDecisions, day, 3650 * day, true},
		{"wait_for", o.WaitFor, time.Minute, 365 * day, false},
	} {
		if d.off && d.value == 0 {
			continue
		}
		if d.value < d.low || d.value > d.high || d.value%time.Millisecond != 0 {
			return fmt.Errorf("%s: %v: want whole milliseconds from %v to %v%s", d.key, d.value, d.low, d.high, orOff(d.off))
		}
	}
	switch {
	case o.Keep != 0 && o.GlobalAccounts != 0 && o.Keep < o.GlobalWithin:
		return fmt.Errorf("keep: %v: want global_within (%v) at least: bounces that are forgotten are not counted", o.Keep, o.GlobalWithin)
	case o.Keep != 0 && o.SoftBounces != 0 && o.Keep < time.Duration(o.SoftDays)*day:
		return fmt.Errorf("keep: %v: want soft_days (%d days) at least: bounces that are forgotten are not counted", o.Keep, o.SoftDays)
	case o.BreakerWindow%time.Hour != 0:
		return fmt.Errorf("breaker_window: %v: want whole hours", o.BreakerWindow)
	case !(o.QuotaShare >= 0 && o.QuotaShare <= 1):
		return fmt.Errorf("quota_share: %v: want 0 to 1", o.QuotaShare)
	case !(o.BreakerShare > 0 && o.BreakerShare <= 1):
		return fmt.Errorf("breaker_share: %v: want above 0 to 1", o.BreakerShare)
	case !(o.BreakerLeap >= 1 && o.BreakerLeap <= 1000):
		return fmt.Errorf("breaker_leap: %v: want 1 to 1000", o.BreakerLeap)
	}
	return nil
}

func orOff(off bool) string {
	if off {
		return ", or 0"
	}
	return ""
}

// Bounds of what is kept of one address or provider.
const (
	maxSoft           = 16
	maxGlobalAccounts = 16
	breakerPastDays   = 30
)
