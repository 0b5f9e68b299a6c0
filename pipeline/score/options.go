package score

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// What a profile takes for the good that mail does: the other half of a score than bounces.
const (
	Replies = "replies" // of what did not bounce, how much was replied to
	Clicks  = "clicks"  // of what did not bounce, how much was clicked by humans
)

// The profiles that there always are.
const (
	DefaultProfile = "default"   // what the keys of the section say
	Broadcast      = "broadcast" // the same with clicks for the goal, for mail that expects no answer
)

// Bounds of the settings.
const (
	maxProfiles = 1000
	maxLevels   = 10
)

// Options are the score's settings. All but Profiles and Accounts are those of the profile default, and what other
// profiles say nothing about.
type Options struct {
	Goal         string   `yaml:"goal" doc:"What counts for the better half of the score: replies, or clicks for mail that expects no answer; both of humans, of what did not bounce."`
	ReplyPoints  []string `yaml:"reply_points" doc:"Corners rate:points of the curve from reply rate (0 to 1) to the reply part where the goal is replies, rates rising, points not falling."`
	ClickPoints  []string `yaml:"click_points" doc:"Corners rate:points of the curve from the rate of human clicks of what did not bounce to the reply part where the goal is clicks, rates rising, points not falling."`
	BouncePoints []string `yaml:"bounce_points" doc:"Corners rate:points of the curve from bounce rate (0 to 1) to the bounce part, rates rising, points not rising. The most that this curve and that of the goal give must not pass 100 together."`

	FairFrom      float64 `yaml:"fair_from" doc:"Lowest score of the band fair, 0 to 100; below it is poor."`
	GoodFrom      float64 `yaml:"good_from" doc:"Lowest score of the band good, fair_from to 100."`
	ExcellentFrom float64 `yaml:"excellent_from" doc:"Lowest score of the band excellent, good_from to 100."`

	PoorBounceRate    float64 `yaml:"poor_bounce_rate" doc:"Bounce rate (above 0, at most 1) from which the band is poor, whatever the score."`
	PoorComplaintRate float64 `yaml:"poor_complaint_rate" doc:"Complaint rate (above 0, at most 1) from which the band is poor, whatever the score."`

	Minimum int64 `yaml:"minimum" doc:"Completed enrollments, 1 or more, under which a score is marked as not sufficient."`

	AlertBounceRates    []string `yaml:"alert_bounce_rates" doc:"Shares (above 0, below 1, at most 10) of what a sender sent in the last day: when the low end of the bounced share's interval passes one, an alert is told. None: no such alerts."`
	AlertComplaintRates []string `yaml:"alert_complaint_rates" doc:"Complaint rates over 7 days (above 0, below 1, at most 10), each of which is told in an alert when it is passed. None: no such alerts."`
	AlertBands          bool     `yaml:"alert_bands" doc:"Whether an alert is told when a sufficient score over 7 days drops by a band."`

	Profiles []string `yaml:"profiles" form:"tree" doc:"Profiles by name, with those of the keys above that differ from the section's own: {newsletter: {goal: clicks, minimum: 500}}, or NAME/KEY=VALUE. There always are default, which is the section's keys, and broadcast, which has goal clicks. At most 1000."`
	Accounts []string `yaml:"accounts" form:"tree" doc:"Which profile an account's senders are scored by: {acme: broadcast}, or ACCOUNT=PROFILE; all others by default."`
}

// Default returns the settings of DESIGN §10.
func Default() Options {
	return Options{
		Goal:                Replies,
		ReplyPoints:         []string{"0:0", "0.03:20", "0.07:35", "0.13:50"},
		ClickPoints:         []string{"0:0", "0.01:20", "0.025:35", "0.05:50"},
		BouncePoints:        []string{"0:50", "0.03:35", "0.05:15", "0.08:0"},
		FairFrom:            40,
		GoodFrom:            60,
		ExcellentFrom:       80,
		PoorBounceRate:      0.08,
		PoorComplaintRate:   0.003,
		Minimum:             100,
		AlertBounceRates:    []string{"0.03", "0.05", "0.08"},
		AlertComplaintRates: []string{"0.001", "0.003"},
		AlertBands:          true,
	}
}

// Validate reports the first setting that can't be used.
func (o Options) Validate() error {
	_, err := New(o)
	return err
}

func (o Options) validateNumbers() error {
	for _, f := range []struct {
		key              string
		value, low, high float64
	}{
		{"fair_from", o.FairFrom, 0, 100},
		{"good_from", o.GoodFrom, o.FairFrom, 100},
		{"excellent_from", o.ExcellentFrom, o.GoodFrom, 100},
	} {
		if !(f.value >= f.low && f.value <= f.high) {
			return fmt.Errorf("%s: %v: want %v to %v", f.key, f.value, f.low, f.high)
		}
	}
	if !(o.PoorBounceRate > 0 && o.PoorBounceRate <= 1) {
		return fmt.Errorf("poor_bounce_rate: %v: want above 0, at most 1", o.PoorBounceRate)
	}
	if !(o.PoorComplaintRate > 0 && o.PoorComplaintRate <= 1) {
		return fmt.Errorf("poor_complaint_rate: %v: want above 0, at most 1", o.PoorComplaintRate)
	}
	if o.Minimum < 1 {
		return fmt.Errorf("minimum: %d: want 1 or more", o.Minimum)
	}
	return nil
}

// parseLevels reads shares.
func parseLevels(texts []string) (levels []float64, err error) {
	if len(texts) > maxLevels {
		return nil, fmt.Errorf("%d shares: want %d at most", len(texts), maxLevels)
	}
	for _, text := range texts {
		level, err := strconv.ParseFloat(text, 64)
		if err != nil || !(level > 0 && level < 1) { // which NaN fails
			return nil, fmt.Errorf("%q: want a share above 0 and below 1, such as 0.03", text)
		}
		levels = append(levels, level)
	}
	return levels, nil
}

// profiles returns the settings of every profile by name. Those of none have profiles or accounts.
func (o Options) profiles() (map[string]Options, error) {
	own := o
	own.Profiles, own.Accounts = nil, nil
	clicks := own
	clicks.Goal = Clicks
	all := map[string]Options{DefaultProfile: own, Broadcast: clicks}
	begun := make(map[string]bool) // lists of which the profile has said the first point
	for _, item := range o.Profiles {
		path, value, ok := strings.Cut(item, "=")
		name, key, inner := strings.Cut(path, "/")
		name, err := url.PathUnescape(name)
		if !ok || !inner || err != nil || name == "" || name == DefaultProfile {
			return nil, fmt.Errorf("profiles: %q: want NAME/KEY=VALUE; the profile default is what the section itself says", item)
		}
		p, known := all[name]
		if !known {
			p = own
		}
		if err := p.set(key, value, !begun[name+"/"+key]); err != nil {
			return nil, fmt.Errorf("profiles: %s: %w", name, err)
		}
		begun[name+"/"+key] = true
		if all[name] = p; len(all) > maxProfiles {
			return nil, fmt.Errorf("profiles: more than %d: want fewer", maxProfiles)
		}
	}
	return all, nil
}

// set sets one key; of a list it adds an item, to nothing if that is the first.
func (o *Options) set(key, value string, first bool) error {
	lists := map[string]*[]string{
		"reply_points": &o.ReplyPoints, "click_points": &o.ClickPoints, "bounce_points": &o.BouncePoints,
		"alert_bounce_rates": &o.AlertBounceRates, "alert_complaint_rates": &o.AlertComplaintRates,
	}
	if list := lists[key]; list != nil {
		if first {
			*list = nil
		}
		if value != "none" {
			*list = append(*list, value)
		}
		return nil
	}
	if !first {
		return fmt.Errorf("%s: is given twice", key)
	}
	numbers := map[string]*float64{
		"fair_from": &o.FairFrom, "good_from": &o.GoodFrom, "excellent_from": &o.ExcellentFrom,
		"poor_bounce_rate": &o.PoorBounceRate, "poor_complaint_rate": &o.PoorComplaintRate,
	}
	var err error
	switch number := numbers[key]; {
	case number != nil:
		*number, err = strconv.ParseFloat(value, 64)
	case key == "goal":
		o.Goal = value
	case key == "minimum":
		o.Minimum, err = strconv.ParseInt(value, 10, 64)
	case key == "alert_bands":
		o.AlertBands, err = strconv.ParseBool(value)
	default:
		return fmt.Errorf("%q: is no key of a profile: want goal, reply_points, click_points, bounce_points, fair_from, good_from, excellent_from, poor_bounce_rate, poor_complaint_rate, minimum, alert_bounce_rates, alert_complaint_rates or alert_bands", key)
	}
	if err != nil {
		return fmt.Errorf("%s: %q: want a number, or true or false for alert_bands", key, value)
	}
	return nil
}

// accounts returns the profile of each account that has one.
func (o Options) accounts(profiles map[string]*Profile) (map[string]*Profile, error) {
	all := make(map[string]*Profile)
	for _, item := range o.Accounts {
		path, name, ok := strings.Cut(item, "=")
		account, err := url.PathUnescape(path)
		if !ok || err != nil || account == "" {
			return nil, fmt.Errorf("accounts: %q: want ACCOUNT=PROFILE", item)
		}
		if all[account] != nil {
			return nil, fmt.Errorf("accounts: %s: is given twice", account)
		}
		if all[account] = profiles[name]; all[account] == nil {
			return nil, fmt.Errorf("accounts: %s: %q: want the name of a profile", account, name)
		}
	}
	return all, nil
}

// names reports whether the settings speak of a profile.
func (o Options) names(profile string) bool {
	return slices.ContainsFunc(o.Profiles, func(item string) bool { return strings.HasPrefix(item, profile+"/") }) ||
		slices.ContainsFunc(o.Accounts, func(item string) bool { return strings.HasSuffix(item, "="+profile) })
}
