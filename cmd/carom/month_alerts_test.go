package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// edges are two senders that write to 97 and to 100 contacts, of whom three bounce; later the latter's are not answered.
func (p *month) edges(d int) (letters []*letter) {
	if d != 3 && d != edgeDrop {
		return nil
	}
	for _, n := range []int{97, 100} {
		if d == edgeDrop && n < 100 {
			continue
		}
		for i := range n {
			l := &letter{
				account: "account-4", sender: fmt.Sprintf("edge-%d", n), sequence: "once", recipient: fmt.Sprintf("edge%d-%d-%d@example.com", d, n, i),
				name: fmt.Sprintf("edge%d-%d-%d@example.org", d, n, i), sentAt: p.on(d, 9*time.Hour), links: []string{"https://example.com/"},
			}
			if letters = append(letters, l); i < 3 {
				p.plan(d, bounceOf(l, time.Hour, "invalid_recipient"))
			} else if i < 10 && d == 3 {
				p.plan(d+1, factOf(l, "reply", 20*time.Hour))
			}
		}
	}
	return letters
}

const edgeDrop = 14

// alarming writes on two days to people of whom a fifth bounces.
const alarming = "alarming"

var alarmDays = []int{5, 9}

func (p *month) alarm(d int) (letters []*letter) {
	if !slices.Contains(alarmDays, d) {
		return nil
	}
	return p.batch(alarming, "account-4", p.on(d, 9*time.Hour), 100, 20)
}

// batch writes n letters at a time, of which some bounce three hours later, because mailboxes are full.
func (p *month) batch(sender, account string, at time.Time, n, bounced int) (letters []*letter) {
	d := int(at.Sub(p.start) / day)
	for i := range n {
		l := &letter{
			account: account, sender: sender, recipient: fmt.Sprintf("%s-%d-%d@example.com", sender, at.Unix(), i), name: fmt.Sprintf("%s-%s-%d-%d@example.org", account, sender, at.Unix(), i),
			sentAt: at, links: []string{"https://example.com/"},
		}
		if letters = append(letters, l); i < bounced {
			p.plan(d, bounceOf(l, 3*time.Hour, "mailbox_full"))
		}
	}
	return letters
}

// alerting is an account whose senders pass some levels and not others.
const alerting = "alerts"

// levels are batches whose bounces lie right below and above a level: of 50, three leave the interval's low end below 3 %,
// four above, six above 5 %, eight above 8 %.
func (p *month) levels(d int) (letters []*letter) {
	add := func(sender string, after time.Duration, n, bounced int) []*letter {
		all := p.batch(sender, alerting, p.on(d, after), n, bounced)
		letters = append(letters, all...)
		return all
	}
	switch d {
	case 3:
		for _, l := range add("drops", 9*time.Hour, 100, 0)[:15] {
			p.plan(d+1, factOf(l, "reply", 20*time.Hour))
		}
	case 5:
		all := add("b3", 9*time.Hour, 50, 3)
		p.plan(d+1, factOf(all[49], "complaint", day)) // of 50, two in a hundred
		add("b4", 9*time.Hour, 50, 4)
		add("b6", 9*time.Hour, 50, 6)
		add("b8", 9*time.Hour, 50, 8)
		add("wavers", 9*time.Hour, 40, 4)
		add("returns", 9*time.Hour, 40, 4)
	case 6: // for less than an hour too few of a day bounce, for three
		add("wavers", 8*time.Hour, 25, 0)
		add("wavers", 8*time.Hour+40*time.Minute, 2, 2)
		add("returns", 2*time.Hour, 25, 0)
		add("returns", 5*time.Hour, 2, 2)
	case 14: // a score of 40, which is fair
		add("drops", 9*time.Hour, 100, 2)
	case 30: // a last fact, so that all hours before it are looked at
		for _, s := range p.allSenders() {
			if l := (&letter{account: s.account, sender: s.address}); p.watched(l) {
				letters = append(letters, p.batch(s.address, s.account, p.on(d, 9*time.Hour), 1, 0)...)
			}
		}
	}
	return letters
}

// watched reports whether all alerts of a letter's sender are known beforehand: what it does gives the same, however far
// apart the looks at its figures are. A fact of today would leave more than 31 days between two.
func (p *month) watched(l *letter) bool {
	return l.account == alerting || l.sender == alarming || strings.HasPrefix(l.sender, "edge-") || strings.HasPrefix(l.account, "wave-")
}

// expectedAlerts are all alerts of the watched senders.
func (p *month) expectedAlerts() map[string]int {
	want := make(map[string]int)
	rate := func(account, sender string, d int, levels ...float64) {
		for _, level := range levels {
			want[fmt.Sprintf("%s/%s bounce_rate %v on day %d", account, sender, level, d)]++
		}
	}
	for _, d := range alarmDays {
		rate("account-4", alarming, d, 0.03, 0.05, 0.08)
	}
	rate(alerting, "b4", 5, 0.03)
	rate(alerting, "b6", 5, 0.03, 0.05)
	rate(alerting, "b8", 5, 0.03, 0.05, 0.08)
	rate(alerting, "wavers", 5, 0.03)
	rate(alerting, "returns", 5, 0.03)
	rate(alerting, "returns", 6, 0.03)
	for _, sender := range []string{"wavers", "returns"} { // those sent last are a day of their own for an hour
		rate(alerting, sender, 7, 0.03, 0.05, 0.08)
	}
	for a := range waveAccounts {
		rate(waveAccount(a), waveSender, firstWave, 0.03, 0.05, 0.08)
		rate(waveAccount(a), waveSender, secondWave, 0.03, 0.05, 0.08)
	}
	for _, d := range []int{firstWave, secondWave} {
		rate(waveAccount(waveAccounts), "early", d, 0.03, 0.05, 0.08)
	}
	for _, one := range []string{
		// They complete 72 hours after the fifth day, at nine: that hour.
		alerting + "/b3 complaint_rate 0.001 on day 8", alerting + "/b3 complaint_rate 0.003 on day 8",
		// One of 336; a week after the first of them completed, one of 252, with which no band is better than poor.
		waveAccount(0) + "/" + waveSender + " complaint_rate 0.001 on day 8", waveAccount(0) + "/" + waveSender + " complaint_rate 0.003 on day 12",
		waveAccount(0) + "/" + waveSender + " score_band fair>poor on day 12",
		alerting + "/drops score_band excellent>fair on day 17", "account-4/edge-100 score_band good>poor on day 17",
	} {
		want[one]++
	}
	return want
}

// alert is an event that says that a sender crossed a threshold.
type alert struct {
	ID, Account, Sender string

	Time  time.Time
	Alert struct {
		Rule             string
		Level            float64
		From, To         string
		Value, Low, High float64
		Of, Count        int
		Profile          string
		AsOf             time.Time `json:"as_of"`

		Account, Provider string
		Since             time.Time
	}
}

// checkAlerts compares all alerts: those of the watched senders, and those of waves, are known; others must be true.
func (p *month) checkAlerts(t *testing.T) {
	t.Helper()
	want, waves := p.expectedAlerts(), p.waveAlerts()
	p.again(t, func() (wrong []string) {
		told, ofWaves, seen := make(map[string]int), make(map[string]int), make(map[string]bool)
		for _, line := range p.stream("/v1/events?kind=alert&limit=10000") {
			var a alert
			if err := json.Unmarshal(line, &a); err != nil {
				t.Fatal(err)
			}
			in := a.Alert
			if seen[a.ID] {
				wrong = append(wrong, fmt.Sprintf("told twice: %s", line))
			}
			seen[a.ID] = true
			if in.Rule == "bounce_wave" {
				ofWaves[strings.Join([]string{a.Account, in.Provider, in.Since.Format(time.DateOnly)}, " ")]++
				if in.Account != a.Account || p.fleet == nil && !slices.ContainsFunc(p.m.waves, func(w *wave) bool { return w.began.Equal(in.Since) }) {
					wrong = append(wrong, fmt.Sprintf("of no wave: %s", line))
				}
				continue
			}
			crossing := fmt.Sprint(a.Account, a.Sender, in.Rule, in.Level, in.From, in.To, in.AsOf.Add(-time.Millisecond).Truncate(time.Hour))
			if seen[crossing] || !a.Time.Equal(in.AsOf) || in.Profile != map[bool]string{false: "default", true: "broadcast"}[a.Account == broadcaster] {
				wrong = append(wrong, fmt.Sprintf("told twice, or at another time, or by another profile: %s", line))
			}
			seen[crossing] = true
			if flaw := p.flaw(&a); flaw != "" {
				wrong = append(wrong, fmt.Sprintf("%s: %s", flaw, line))
			}
			if p.watched(&letter{account: a.Account, sender: a.Sender}) {
				what := fmt.Sprint(in.Level)
				if in.Rule == "score_band" {
					what = in.From + ">" + in.To
				}
				told[fmt.Sprintf("%s/%s %s %s on day %d", a.Account, a.Sender, in.Rule, what, in.AsOf.Sub(p.start)/day)]++
			}
		}
		for _, both := range [][2]map[string]int{{told, want}, {ofWaves, waves}} {
			for name := range maps.Keys(both[0]) {
				both[1][name] += 0
			}
			for name, n := range both[1] {
				if both[0][name] != n {
					wrong = append(wrong, fmt.Sprintf("%d alerts of %s, want %d", both[0][name], name, n))
				}
			}
		}
		slices.Sort(wrong)
		return wrong
	})
}

// flaw says what an alert says that can't be true.
func (p *month) flaw(a *alert) string {
	in := a.Alert
	of := share(in.Count, in.Of)
	switch in.Rule {
	case "bounce_rate":
		sent, before, bounced := 0, 0, 0
		to := minuteUp(in.AsOf)
		for _, l := range p.m.letters {
			if l.account != a.Account || l.sender != a.Sender || p.m.notSent[l] || !l.sentAt.After(to.Add(-day)) || l.sentAt.After(to) {
				continue
			}
			if sent++; l.sentAt.Before(in.AsOf.Add(-day / 2)) {
				before++ // of the days before, all of which are known
			}
			if p.m.everBounced[l] {
				bounced++
			}
		}
		if in.Low <= in.Level || !near(in.Low, of.Low) || !near(in.High, of.High) || !near(in.Value, of.Value) || in.Of > sent || in.Of < before || in.Count > bounced {
			return fmt.Sprintf("not above its level, or of more than %d of %d", bounced, sent)
		}
	case "complaint_rate":
		if in.Value <= in.Level || !near(in.Value, of.Value) {
			return "not above its level"
		}
	case "score_band":
		if slices.Index(bandNames, in.To) >= slices.Index(bandNames, in.From) || in.Of < 100 {
			return "no drop, or of too few"
		}
		if a.Sender == "drops" && !near(in.Value, 40) {
			return "not the score of 40"
		}
	default:
		return "no rule"
	}
	return ""
}
