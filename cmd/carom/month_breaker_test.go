package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"carom/pipeline/event"
)

// The breaker by the words of SUPPRESSIONS.md.
const (
	breakerHours    = 2
	breakerSent     = 50
	breakerHard     = 20
	breakerPast     = 340 // by the month's settings; 1,000 is the default
	breakerDays     = 3
	breakerPastDays = 30
	breakerShare    = 0.1
	breakerLeap     = 5
)

// wave is a time in which nobody believes a provider's hard bounces.
type wave struct {
	provider string
	began    time.Time // the hour in which the breaker opened
	accounts []string  // that are told of it
}

// waveOrder is what somebody ordered about a wave.
type waveOrder struct {
	Provider string    `json:"provider"`
	Account  string    `json:"account,omitempty"`
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Time     time.Time `json:"time"`
	DryRun   bool      `json:"dry_run"`
	confirm  bool
}

func (o *waveOrder) matches(d *deedDone) bool {
	return d.hard && d.letter.provider() == o.Provider && (o.Account == "" || o.Account == d.letter.account) && !d.at.Before(o.From) && d.at.Before(o.To)
}

// believed reports whether a hard bounce was not, or not yet, declared void, and does not wait in quarantine.
func (m *monthModel) believed(d *deedDone, at time.Time) bool {
	held := m.held[d]
	for _, o := range m.wavesOrdered {
		switch {
		case !o.matches(d):
		case o.confirm:
			held = false
		case !o.Time.After(at):
			return false
		}
	}
	return !held
}

// outcome is what an order about a wave must say that it did.
func (m *monthModel) outcome(o waveOrder) map[string]float64 {
	const end = 100 * 365 * day
	counts := map[string]float64{"matched": 0, "changed": 0}
	with := *m
	with.wavesOrdered = append(slices.Clone(m.wavesOrdered), o)
	for to, deeds := range m.deedsOf {
		stands := func(m *monthModel) bool {
			return has(deeds, func(d *deedDone) bool { return d.hard && d.stands(deeds) && m.believed(d, o.Time.Add(end)) })
		}
		matched := false
		for _, d := range deeds {
			waits := m.held[d] && !m.believed(d, d.at)
			if !o.matches(d) || !d.stands(deeds) || !waits && (o.confirm || !m.believed(d, o.Time.Add(end))) || m.void(d) || !d.at.After(m.settled(to, o.Time, "remove", "reactivate")) {
				continue
			}
			if matched = true; waits {
				counts["quarantined"]++
			}
			counts["matched"]++
		}
		if matched && stands(m) != stands(&with) {
			counts["changed"]++
		}
	}
	return counts
}

// void reports whether a bounce was reverted.
func (m *monthModel) void(d *deedDone) bool {
	return slices.ContainsFunc(m.wavesOrdered, func(o waveOrder) bool { return !o.confirm && o.matches(d) })
}

// breaker finds the waves, and whom they hold back, by the hard bounces in the order in which they were told.
func (m *monthModel) breaker() {
	type past struct {
		sent, hard map[int]int
		wave       map[int]bool
		hot        int // the last hour in which it was so
		now        *wave
	}
	all := make(map[string]*past)
	of := func(l *letter) *past {
		if all[l.provider()] == nil {
			all[l.provider()] = &past{sent: make(map[int]int), hard: make(map[int]int), wave: make(map[int]bool)}
		}
		return all[l.provider()]
	}
	hourOf := func(t time.Time) int { return int(t.Unix() / 3600) }
	for _, l := range m.letters {
		if !m.notSent[l] {
			of(l).sent[hourOf(l.sentAt)]++
		}
	}
	m.waves, m.held = nil, make(map[*deedDone]bool)
	for _, d := range m.deeds {
		if !d.hard || d.letter == nil {
			continue
		}
		p, n := of(d.letter), hourOf(d.at)
		p.hard[n]++
		sent, hard, pastSent, pastHard, days := 0, 0, 0, 0, make(map[int]bool)
		for h := n; h > n-breakerHours; h-- {
			sent += p.sent[h]
			hard += p.hard[h]
		}
		for h, before := range p.sent {
			if before > 0 && h <= n-breakerHours && h > n-breakerHours-breakerPastDays*24 && !p.wave[h] {
				pastSent += before
				days[h/24] = true
			}
		}
		for h, before := range p.hard {
			if h <= n-breakerHours && h > n-breakerHours-breakerPastDays*24 && !p.wave[h] {
				pastHard += before
			}
		}
		now, was := share(hard, max(sent, hard)), share(pastHard, max(pastSent, pastHard))
		leaps := pastSent >= breakerPast && len(days) >= breakerDays && now.Low >= breakerShare && now.Low >= breakerLeap*was.High
		open := p.now != nil && n <= p.hot+breakerHours
		switch {
		case open && leaps:
			p.hot = max(p.hot, n)
		case !open && leaps && sent >= breakerSent && hard >= breakerHard:
			p.now, p.hot, open = &wave{provider: d.letter.provider(), began: d.at.UTC().Truncate(time.Hour)}, n, true
			m.waves = append(m.waves, p.now)
		}
		if !open {
			continue
		}
		for h := n; h > n-breakerHours; h-- {
			p.wave[h] = true
		}
		m.held[d] = true
		if !slices.Contains(p.now.accounts, d.letter.account) {
			p.now.accounts = append(p.now.accounts, d.letter.account)
		}
	}
	if m.adopted != nil {
		m.held = m.adopted
	}
}

// The month's waves: a provider to which three accounts write answers 550 5.1.1 for valid addresses, twice.
const (
	waveProvider = "example.net"
	waveSender   = "waving"
	waveAccounts = 3
	firstWave    = 12
	secondWave   = 22
)

func waveAccount(n int) string { return fmt.Sprint("wave-", n) }

// wavesOf is the mail of the waves' accounts. Each wave begins at nine; most of the others come before its past.
func (p *month) wavesOf(d int) (letters []*letter) {
	write := func(account, sender, name string, at time.Duration) *letter {
		l := &letter{account: account, sender: sender, recipient: name + "@" + waveProvider, name: fmt.Sprintf("%s.%s.%d@example.org", account, name, d), sentAt: p.on(d, at), links: []string{"https://example.com/"}}
		letters = append(letters, l)
		return l
	}
	// so many of n bounce, a minute after they were sent.
	mails := func(hour, n, bounced int) {
		for i := range n {
			for a := range waveAccounts {
				l := write(waveAccount(a), waveSender, fmt.Sprintf("d%d-%d-%d", d, hour, i), time.Duration(hour)*time.Hour+time.Duration(i)*time.Second)
				if i < bounced {
					p.plan(d, bounceOf(l, time.Minute, "invalid_recipient"))
				}
			}
		}
	}
	if d == firstWave || d == secondWave {
		for i := 0; len(p.bad) < fleetPartitions; i++ {
			name := fmt.Sprintf("bad-%d-%d", d, i)
			if key := event.KeyOf("", fmt.Sprintf("%s.%s.%d@example.org", name, waveProvider, d)); int(binary.BigEndian.Uint32(key[:])%fleetPartitions) == len(p.bad) {
				l := write(waveAccount(waveAccounts), "early", name, 7*time.Hour)
				l.name = fmt.Sprintf("%s.%s.%d@example.org", name, waveProvider, d)
				p.bad = append(p.bad, l)
			}
		}
	}
	switch d {
	case 2, 3, 4, 5:
		for i := range 84 {
			l := write(waveAccount(0), waveSender, fmt.Sprintf("d%d-%d", d, i), 9*time.Hour)
			if d == 5 && i == 0 { // one of 336
				p.plan(d+1, factOf(l, "complaint", day))
			}
		}
	case firstWave:
		mails(9, 20, 14)
		mails(10, 10, 8)
		mails(11, 7, 1) // of two hours together too many still
		mails(12, 7, 1) // no more, but for the second hour only
		mails(13, 7, 1)
		mails(14, 7, 1) // the third
	case firstWave + 3: // whom a wave stopped is mailed again, whom a bounce after it did is not
		for _, hour := range []int{9, 12, 14} {
			for a := range waveAccounts {
				write(waveAccount(a), waveSender, fmt.Sprintf("d%d-%d-0", firstWave, hour), 9*time.Hour).name += ".again"
			}
		}
	case secondWave:
		mails(9, 20, 14)
	case secondWave + 3: // who waits is mailed, who was confirmed is not
		for _, i := range []int{0, 13} {
			for a := range waveAccounts {
				write(waveAccount(a), waveSender, fmt.Sprintf("d%d-9-%d", secondWave, i), 9*time.Hour).name += ".again"
			}
		}
	}
	return letters
}

// announce lets one letter of each partition bounce before a wave: then all is known that was sent, however far apart the
// partitions are.
func (p *month) announce() {
	p.t.Helper()
	var facts []told
	for _, l := range p.bad {
		facts = append(facts, bounceOf(l, time.Minute, "invalid_recipient"))
	}
	if p.tell(facts...); len(facts) > 0 {
		p.bads += len(facts)
		p.until("bad addresses are suppressed", func() bool {
			_, active := p.waiting(waveAccount(waveAccounts))
			return len(active) == p.bads
		})
	}
	p.bad = nil
}

// waveOrders look at who waits, and undo the first wave and apply the second.
func (p *month) waveOrders(d int) {
	p.t.Helper()
	first := waveOrder{Provider: waveProvider, From: p.on(firstWave, 9*time.Hour), To: p.on(firstWave, 14*time.Hour), Time: p.on(d, 23*time.Hour)}
	second := waveOrder{Provider: waveProvider, From: p.on(secondWave, 0), To: p.on(secondWave+1, 0), Time: p.on(d, 23*time.Hour), confirm: true}
	switch d {
	case firstWave, secondWave:
		p.checkQuarantine()
	case firstWave + 2:
		one := first
		one.Account = waveAccount(0)
		p.orderWave(one, true)
		p.orderWave(one, true)
		p.checkQuarantine()
		p.orderWave(one, false)
		p.orderWave(one, false) // there is nothing left
		p.orderWave(first, true)
		p.orderWave(first, false)
		p.checkQuarantine()
	case secondWave + 2:
		second.Account = waveAccount(1)
		p.orderWave(second, true)
		p.orderWave(second, false)
		p.orderWave(second, false)
		p.checkQuarantine()
	}
}

// orderWave reverts or confirms, and compares what is said to have been done.
func (p *month) orderWave(o waveOrder, dryRun bool) {
	p.t.Helper()
	p.m.read()
	o.DryRun = dryRun
	want := p.m.outcome(o)
	path := "/v1/suppressions/revert"
	if o.confirm {
		path = "/v1/suppressions/confirm"
	}
	status, answer := p.post(path, "application/json", mustJSON(o))
	counts, _ := answer["counts"].(map[string]any)
	got := make(map[string]float64)
	for name, n := range counts {
		got[name], _ = n.(float64)
	}
	if status != http.StatusOK || answer["dry_run"] != dryRun || !maps.Equal(got, want) {
		p.t.Errorf("%s %s: %d %v, want %v", path, mustJSON(o), status, answer, want)
	}
	if !dryRun {
		p.m.wavesOrdered = append(p.m.wavesOrdered, o)
	}
	p.m.read()
}

// waiting lists who is said to wait in quarantine, and who is suppressed by a hard bounce.
func (p *month) waiting(account string) (held, active []string) {
	for _, line := range p.stream("/v1/suppressions?account=" + url.QueryEscape(account)) {
		var s struct {
			Address             string
			Active, Quarantined bool
		}
		if err := json.Unmarshal(line, &s); err != nil {
			p.t.Fatal(err)
		}
		switch {
		case s.Quarantined && s.Active:
			p.t.Errorf("waits, and is suppressed: %s", line)
		case s.Quarantined:
			held = append(held, s.Address)
		case s.Active:
			active = append(active, s.Address)
		}
	}
	slices.Sort(held)
	return held, active
}

// checkQuarantine compares who waits.
func (p *month) checkQuarantine() {
	p.t.Helper()
	p.m.read()
	for a := range waveAccounts {
		account := waveAccount(a)
		want := make(map[string]bool)
		for d := range p.m.held {
			if d.letter.account == account && !p.m.void(d) && !p.m.believed(d, d.at) {
				want[normal(d.letter.recipient)] = true
			}
		}
		p.again(p.t, func() []string {
			if got, _ := p.waiting(account); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
				return []string{fmt.Sprintf("in quarantine in %s are %q, want %q", account, got, slices.Sorted(maps.Keys(want)))}
			}
			return nil
		})
	}
}

// adopt takes over whom a wave held back, of those that bounced in it, where several partitions tell of them and nobody
// knows whose bounces come first.
func (p *month) adopt(d int) {
	p.t.Helper()
	if p.fleet == nil || d != firstWave && d != secondWave {
		return
	}
	begun := p.on(d, 9*time.Hour)
	if p.m.adopted == nil {
		p.m.adopted = make(map[*deedDone]bool)
	}
	for a := range waveAccounts {
		account := waveAccount(a)
		bounces := make(map[string]*deedDone)
		for _, b := range p.m.deeds {
			if b.hard && b.letter.account == account && !b.at.Before(begun) {
				bounces[normal(b.letter.recipient)] = b
			}
		}
		var held []string
		p.until("the wave was decided about in "+account, func() bool {
			var active []string
			held, active = p.waiting(account)
			known := 0
			for _, address := range slices.Concat(held, active) {
				if bounces[address] != nil {
					known++
				}
			}
			return known == len(bounces)
		})
		for _, address := range held {
			if b := bounces[address]; b != nil {
				p.m.adopted[b] = true
			}
		}
		if n := len(bounces) - len(held); n >= len(bounces)-2 {
			p.t.Errorf("of %d who bounced in %s %d were believed: no wave was seen", len(bounces), account, n)
		}
	}
	p.m.breaker()
}

// waveAlerts are the alerts about waves that must be told, by account and day.
func (p *month) waveAlerts() map[string]int {
	want := make(map[string]int)
	for _, w := range p.m.waves {
		for _, account := range w.accounts {
			want[strings.Join([]string{account, w.provider, w.began.Format(time.DateOnly)}, " ")]++
		}
	}
	return want
}
