package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A month of fifty senders, played by event time: mail goes out day by day, comes back, is complained about, stops, and is
// taken up again. Every status, rate, suppression and quota must be that of the model.
func TestMonth(t *testing.T) {
	t.Parallel()
	testMonth(t, newWorld(t, monthSettings...))
}

func TestBrokerMonth(t *testing.T) { testMonth(t, newFleetWorld(t, monthSettings...)) }

// broadcaster is an account that expects no answer to its mail.
const broadcaster = "account-3"

var monthSettings = append(slices.Clone(allAlerts), "CAROM_SCORE_ACCOUNTS="+broadcaster+"=broadcast", fmt.Sprint("CAROM_SUPPRESS_BREAKER_PAST=", breakerPast))

const (
	monthDays     = 32
	monthBoundary = 20 // the day on which a calendar month begins
	day           = 24 * time.Hour
)

// month plays. All of its times are long past, so that none of them depends on what the clock does: only opens and clicks
// are heard when they are made, after all else.
type month struct {
	*world
	m     monthModel
	r     *rand.Rand
	start time.Time
	plans map[int][]told // facts by the day on which they are told
	pools []*pool
	bad   []*letter // that are to bounce before a wave
	bads  int       // that did
}

// pool is a sender and whom it writes to.
type pool struct {
	account, sender string
	contacts        []string // addresses
	next, daily     int
}

func testMonth(t *testing.T, w *world) {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%s=%d", seedVariable, seed)
	boundary := firstOfMonth(w.base)
	if w.base.Sub(boundary) < (monthDays-monthBoundary+1)*day {
		boundary = boundary.AddDate(0, -1, 0)
	}
	p := &month{world: w, r: rand.New(rand.NewPCG(seed, 2)), start: boundary.Add(-monthBoundary * day), plans: make(map[int][]told)}
	p.m = monthModel{model: &w.model, notSent: make(map[*letter]bool)}
	p.m.broadcast = []string{broadcaster}
	p.prepare()
	p.scenes()
	p.checkSuppressions(t, p.on(0, 0))
	for d := range monthDays {
		p.day(d)
		p.checkSuppressions(t, p.on(d, 23*time.Hour))
		p.reactivations(d)
		p.waveOrders(d)
		p.lifts(d)
		if t.Failed() {
			t.Fatalf("on day %d", d)
		}
	}
	p.visits()
	p.checkSuppressions(t, time.Now())
	p.checkStatuses(t)
	p.checkScores(t)
	p.checkEdges(t)
	p.checkViews(t)
	p.checkEnrollments(t)
	p.checkAlerts(t)
}

// on is a time of a day.
func (p *month) on(d int, after time.Duration) time.Time {
	return p.start.Add(time.Duration(d)*day + after)
}

// prepare makes fifty senders of five accounts. The first account has 400 contacts.
func (p *month) prepare() {
	domains := []string{"example.com", "gmail.com", "Yahoo.com", "example.org", "OUTLOOK.com"}
	for a, contacts := range []int{40, 60, 30, 30, 30} {
		for s := range 10 {
			one := &pool{account: fmt.Sprintf("account-%d", a), sender: fmt.Sprintf("sender-%d", s), daily: (contacts + 15) / 16}
			for c := range contacts {
				one.contacts = append(one.contacts, fmt.Sprintf("c%d-%d-%d@%s", a, s, c, domains[c%len(domains)]))
			}
			p.pools = append(p.pools, one)
		}
	}
}

// write registers letters, and compares what is said about whom not to write to.
func (p *month) write(letters ...*letter) {
	p.t.Helper()
	if len(letters) == 0 {
		return
	}
	p.m.read()
	lines := make([]string, len(letters))
	for i, l := range letters {
		if l.contact == "" {
			l.contact = "id-" + normal(l.recipient)
		}
		lines[i] = l.registration()
		p.m.notSent[l] = p.m.stopped(l.whom(), l.sentAt, l.has("transactional"))
	}
	for i, minted := range p.register(lines) {
		l := letters[i]
		if l.minted = minted; minted.Message != l.name || minted.Send == p.m.notSent[l] {
			p.t.Errorf("registered %s to %s: send is %v, want %v: %v", l, l.recipient, minted.Send, !p.m.notSent[l], p.m.causes(l.whom(), l.sentAt))
		}
	}
	p.letters = append(p.letters, letters...)
}

// day sends what is to be sent, and tells what comes back that day.
func (p *month) day(d int) {
	p.t.Helper()
	var letters []*letter
	for _, one := range p.pools {
		for range one.daily {
			c := one.next
			one.next++
			l := &letter{
				account: one.account, sender: one.sender, sequence: []string{"", "onboarding", "news"}[c%3],
				recipient: one.contacts[c%len(one.contacts)], links: []string{"https://example.com/"},
				sentAt: p.on(d, 8*time.Hour+time.Duration(p.r.IntN(4*60*60*1000))*time.Millisecond),
			}
			l.name = fmt.Sprintf("%s.%s.%d@example.org", one.account, one.sender, c)
			if p.r.IntN(12) == 0 {
				l.flags = []string{"transactional"}
			}
			letters = append(letters, l)
		}
	}
	write := slices.Concat(letters, p.edges(d), p.alarm(d), p.levels(d), p.wavesOf(d), p.afterwards(d))
	p.write(write...)
	for _, l := range letters {
		if !p.m.notSent[l] {
			p.happens(d, l)
		}
	}
	p.announce()
	p.tell(p.plans[d]...)
	delete(p.plans, d)
	p.adopt(d)
	p.m.read()
}

func (p *month) plan(d int, facts ...told) { p.plans[d] = append(p.plans[d], facts...) }

// factOf is what happens to a letter some time after it was sent.
func factOf(l *letter, kind string, after time.Duration) told {
	d := deedDone{kind: kind, letter: l, at: l.sentAt.Add(after)}
	d.mail = d.at.String()
	if kind == "reply" {
		d.verdict = "human"
	}
	return told{d, nil}
}

// bounceKinds are bounces by category.
var bounceKinds = map[string]struct {
	status string
	hard   bool
}{
	"invalid_recipient": {"5.1.1", true},
	"bad_domain":        {"5.1.2", true},
	"inactive":          {"5.2.1", true},
	"mailbox_full":      {"4.2.2", false},
	"blocked":           {"5.7.1", false},
	"reputation":        {"5.7.0", false},
	"timeout":           {"4.4.7", false},
}

func bounceOf(l *letter, after time.Duration, category string) told {
	b := factOf(l, "bounce", after)
	b.category, b.status, b.hard = category, bounceKinds[category].status, bounceKinds[category].hard
	b.more = map[string]any{"bounce": map[string]any{"hard": b.hard, "category": category, "status": b.status}}
	return b
}

func notSpam(l *letter, after time.Duration) told {
	c := factOf(l, "complaint", after)
	c.takesBack, c.more = true, map[string]any{"feedback_type": "not-spam"}
	return c
}

// happens plans what comes of a letter: most arrive, few answer, some bounce.
func (p *month) happens(d int, l *letter) {
	soon := time.Duration(1+p.r.IntN(8*60*60*1000)) * time.Millisecond // the same day
	plan := func(days int, f told) {
		f.at = f.at.Add(time.Duration(days) * day)
		if f.mail != "" {
			f.mail = f.at.String()
		}
		if d+days < monthDays {
			p.plan(d+days, f)
		}
	}
	hard := []string{"invalid_recipient", "invalid_recipient", "bad_domain", "inactive"}[p.r.IntN(4)]
	switch n := p.r.IntN(100); {
	case n < 4:
		plan(0, bounceOf(l, soon, hard))
	case n < 5: // and yet it arrives
		plan(0, bounceOf(l, soon, hard))
		plan(1+p.r.IntN(4), factOf(l, "delivered", soon))
	case n < 6: // once more it bounces
		plan(0, bounceOf(l, soon, hard))
		plan(1, factOf(l, "reply", soon))
		plan(2, bounceOf(l, soon, "mailbox_full"))
	case n < 9:
		plan(0, bounceOf(l, soon, []string{"mailbox_full", "blocked", "reputation", "timeout"}[p.r.IntN(4)]))
	case n < 10:
		plan(0, factOf(l, "dropped", soon))
	case n < 12:
		plan(0, factOf(l, "delay", soon))
	default:
		plan(0, factOf(l, "delivered", soon))
		p.answered(plan, l, soon)
	}
}

// answered plans what a person does who got a letter.
func (p *month) answered(plan func(int, told), l *letter, soon time.Duration) {
	days := p.r.IntN(4)
	switch n := p.r.IntN(100); {
	case n < 8:
		plan(days, factOf(l, "reply", soon+time.Second))
	case n < 10:
		plan(days, factOf(l, "auto_reply", soon+time.Second))
	case n < 12:
		plan(days, factOf(l, "unsubscribe", soon+time.Second))
	case n < 13:
		plan(days, factOf(l, "complaint", soon+time.Second))
	case n < 14:
		plan(days, factOf(l, "complaint", soon+time.Second))
		plan(days+2, notSpam(l, soon+2*time.Second))
	case n < 18:
		plan(days, factOf(l, "completed", soon+time.Second))
	}
}

// stage is an account of its own for scenes.
const stage = "stage-1"

// scenes are rules at their edges: each has an address of its own.
func (p *month) scenes() {
	n := 0
	mail := func(account, address string, at time.Time, flags ...string) *letter {
		n++
		return &letter{account: account, sender: "scene", name: fmt.Sprintf("scene-%d@example.org", n), recipient: address, sentAt: at, flags: flags, links: []string{"https://example.com/"}}
	}
	var letters []*letter
	var facts []told
	one := func(address string, flags ...string) *letter {
		l := mail(stage, address, p.on(-3, 0), flags...)
		letters = append(letters, l)
		return l
	}
	say := func(all ...told) { facts = append(facts, all...) }

	// A complaint and an unsubscribe spare transactional mail, a bounce doesn't.
	say(factOf(one("spared-1@example.com", "transactional"), "complaint", time.Hour))
	say(factOf(one("spared-2@example.com", "transactional"), "unsubscribe", time.Hour))
	say(bounceOf(one("unspared@example.com", "transactional"), time.Hour, "invalid_recipient"))
	say(factOf(one("complains@example.com"), "complaint", time.Hour))
	say(factOf(one("leaves@Example.COM"), "unsubscribe", time.Hour))
	// Taken back; taken back before.
	back := one("takes-back@example.com")
	say(factOf(back, "complaint", time.Hour), notSpam(back, 2*time.Hour))
	back = one("too-early@example.com")
	say(notSpam(back, time.Hour), factOf(back, "complaint", 2*time.Hour))
	// A notification that names a stranger.
	named := bounceOf(one("registered@example.com"), time.Hour, "invalid_recipient")
	named.recipient, named.more["recipient"] = "stranger@example.com", "stranger@example.com"
	say(named)
	// Lifted, lifted at the very same time, lifted and bounced again.
	lifted := one("lifted@example.com")
	say(bounceOf(lifted, time.Hour, "invalid_recipient"), factOf(lifted, "delivered", time.Hour+time.Millisecond))
	lifted = one("not-lifted@example.com")
	say(bounceOf(lifted, time.Hour, "invalid_recipient"), factOf(lifted, "delivered", time.Hour))
	lifted = one("again@example.com")
	say(bounceOf(lifted, time.Hour, "invalid_recipient"), factOf(lifted, "reply", 2*time.Hour), bounceOf(lifted, 3*time.Hour, "inactive"))
	say(bounceOf(one("blocked@example.com"), time.Hour, "blocked"))

	// Soft bounces: five over 14 days, fewer, sooner, and with life between.
	soft := func(address string, days ...float64) (first *letter) {
		for i, d := range days {
			l := mail(stage, address, p.on(-20, time.Duration(d*float64(day))))
			if letters = append(letters, l); i == 0 {
				first = l
			}
			say(bounceOf(l, time.Hour, "mailbox_full"))
		}
		return first
	}
	soft("full@example.com", 0, 3, 6, 9, 14)
	soft("four@example.com", 0, 3, 6, 14)
	soft("sooner@example.com", 0, 3, 6, 9, 13.99)
	soft("six@example.com", 0, 3, 6, 9, 12, 14)
	soft("lives@example.com", 0, 3, 6, 9, 14)
	alive := mail(stage, "lives@example.com", p.on(-20, 7*day))
	letters = append(letters, alive)
	say(factOf(alive, "delivered", time.Hour))
	soft("arrives@example.com", 0, 3, 6, 9, 14)
	arrived := mail(stage, "arrives@example.com", p.on(-20, 10*day))
	letters = append(letters, arrived)
	say(factOf(arrived, "reply", time.Hour))

	// Three accounts within 60 days, a millisecond more, and two.
	for address, apart := range map[string]time.Duration{"everywhere@example.com": globalWithin, "nearly@example.com": globalWithin + time.Millisecond} {
		for i, at := range []time.Duration{0, globalWithin / 2, apart} {
			l := mail(fmt.Sprintf("stage-%d", i+1), address, p.on(-61, 0).Add(at))
			letters = append(letters, l)
			say(bounceOf(l, time.Hour, "invalid_recipient"))
		}
	}
	for i := range 2 {
		l := mail(fmt.Sprintf("stage-%d", i+1), "twice@example.com", p.on(-3, 0))
		letters = append(letters, l)
		say(bounceOf(l, time.Hour, "invalid_recipient"))
	}
	// Nobody said that there is no such user; one of three did.
	for address, first := range map[string]string{liftable: "inactive", "unknown@example.com": "invalid_recipient"} {
		for i := range 3 {
			l := mail(fmt.Sprintf("stage-%d", i+1), address, p.on(-3, time.Duration(i)*time.Hour))
			letters = append(letters, l)
			say(bounceOf(l, time.Hour, first))
			first = "inactive"
		}
	}
	p.write(letters...)
	p.tell(facts...)
	p.m.read()
	p.checkSuppressions(p.t, p.on(0, 0))
	// Now that they are known.
	for _, address := range []string{"spared-1@example.com", "complains@example.com", "leaves@example.COM", "takes-back@example.com", "registered@example.com", "stranger@example.com", "lifted@example.com", "full@example.com", "everywhere@example.com", "nearly@example.com"} {
		for _, account := range []string{stage, "stage-3", "stage-9"} {
			p.write(mail(account, address, p.on(1, 0)), mail(account, address, p.on(1, 0), "transactional"))
		}
	}
}

const (
	liftable = "inactive@example.com"
	liftDay  = 25
)

// lifts ask for global suppressions to end.
func (p *month) lifts(d int) {
	p.t.Helper()
	if d != liftDay {
		return
	}
	at := p.on(d, 23*time.Hour)
	for _, c := range []struct{ address, rule string }{
		{"everywhere@example.com", "unknown_user"},
		{"unknown@example.com", "unknown_user"},
		{"twice@example.com", "not_suppressed"},
		{liftable, ""},
		{liftable, "not_suppressed"},
	} {
		status, answer := p.post("/v1/suppressions/"+url.PathEscape(c.address)+"/lift", "application/json", mustJSON(map[string]any{"time": at.Format(time.RFC3339Nano)}))
		if c.rule == "" && (status != http.StatusOK || answer["active"] != false) || c.rule != "" && (status != http.StatusConflict || answer["rule"] != c.rule || answer["possible_at"] != nil) {
			p.t.Errorf("lifted %s: %d %v, want the rule %q", c.address, status, answer, c.rule)
		}
		if c.rule == "" {
			p.m.orders = append(p.m.orders, order{whom{"", c.address}, "lift", at})
		}
	}
	p.checkSuppressions(p.t, at.Add(-time.Millisecond))
	p.checkSuppressions(p.t, at)
}

// afterwards writes to the people of the scenes when their time is over, or what stopped them was ended.
func (p *month) afterwards(d int) (letters []*letter) {
	write := func(account, address string) *letter {
		l := &letter{account: account, sender: "scene", name: fmt.Sprintf("%s-%s-%d@example.org", account, address, d), recipient: address, sentAt: p.on(d, 9*time.Hour), links: []string{"https://example.com/"}}
		letters = append(letters, l)
		return l
	}
	switch d {
	case 23, 25: // soft bounces suppress for 30 days, which end on the 24th
		write(stage, "full@example.com")
		write("stage-9", liftable)
	case liftDay + 1: // one more bounce is no third one
		for _, account := range []string{stage, "stage-8", "stage-9"} {
			write(account, liftable)
		}
		p.plan(d, bounceOf(letters[2], time.Hour, "inactive"))
	case liftDay + 2:
		write("stage-7", liftable)
	}
	return letters
}

// suppressionTold is a suppression as the API tells it.
type suppressionTold struct {
	Account, Address, Scope, Reason, Category string

	Since    time.Time
	Until    *time.Time
	Active   bool
	Evidence *struct{ Kind, Message string }
}

// checkSuppressions compares who is suppressed as of a time: in every account, and in all.
func (p *month) checkSuppressions(t *testing.T, at time.Time) {
	t.Helper()
	p.m.read()
	for _, account := range append(p.m.accounts(), "") {
		want := p.m.suppressed(account, at)
		values := url.Values{"active": {"true"}, "as_of": {at.UTC().Format(time.RFC3339Nano)}}
		if account == "" {
			values.Set("scope", "global")
		} else {
			values.Set("account", account)
		}
		path := "/v1/suppressions?" + values.Encode()
		p.again(t, func() (wrong []string) {
			got := make(map[string]bool)
			for _, line := range p.stream(path) {
				var s suppressionTold
				if err := json.Unmarshal(line, &s); err != nil {
					t.Fatal(err)
				}
				got[s.Address] = true
				c := cause{reason: s.Reason, category: s.Category, since: s.Since}
				if s.Until != nil {
					c.until = *s.Until
				}
				if s.Evidence != nil {
					c.message = s.Evidence.Message
				}
				if w := want[s.Address]; w == nil {
					wrong = append(wrong, fmt.Sprintf("%s: %s is suppressed: %s", path, s.Address, &c))
				} else if w.String() != c.String() {
					wrong = append(wrong, fmt.Sprintf("%s: %s: %s, want %s", path, s.Address, &c, w))
				}
			}
			for address, w := range want {
				if !got[address] {
					wrong = append(wrong, fmt.Sprintf("%s: %s is not suppressed, want %s", path, address, w))
				}
			}
			slices.Sort(wrong)
			return wrong
		})
	}
}

// stream reads JSON lines.
func (p *month) stream(path string) (lines [][]byte) {
	p.t.Helper()
	answer, body, err := call(http.MethodGet, "http://"+p.api+path, http.Header{"Accept": {linesOfJSON}}, "", nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		p.t.Fatalf("%s: %v, %v, %.300s", path, answer, err, body)
	}
	for line := range bytes.Lines(body) {
		lines = append(lines, line)
	}
	return lines
}

// reactivations ask for contacts back, up to the quota and beyond it.
func (p *month) reactivations(d int) {
	p.t.Helper()
	switch d {
	case 10:
		for _, one := range p.bounced("account-2")[:2] {
			p.reactivate(one, p.on(d, 23*time.Hour), true)
			p.reactivate(one, p.on(d, 23*time.Hour+time.Minute), true) // not suppressed any more
		}
		p.reactivate(whom{"stage-1", "everywhere@example.com"}, p.on(d, 23*time.Hour), true)
		p.reactivate(whom{"stage-1", "leaves@example.com"}, p.on(d, 23*time.Hour), true)
		p.remove(whom{"stage-1", "leaves@example.com"}, p.on(d, 23*time.Hour))
		p.reactivate(whom{"stage-1", "unspared@example.com"}, p.on(d, 23*time.Hour), false)
	case monthBoundary - 1:
		last := p.on(monthBoundary, 0)
		for _, account := range []string{"account-0", "account-1"} {
			all := p.bounced(account)
			quota := p.m.quota(account)
			if len(all) <= quota {
				p.t.Fatalf("only %d of %s have bounced", len(all), account)
			}
			for _, one := range all[:quota] {
				p.reactivate(one, last.Add(-time.Hour), true)
			}
			p.reactivate(all[quota], last.Add(-time.Millisecond), true) // refused
			p.reactivate(all[quota], last, true)
		}
		p.m.read()
	case monthBoundary + 1:
		// Who was taken back bounces once more.
		var letters []*letter
		for i, o := range p.m.orders[:min(8, len(p.m.orders))] {
			if o.op == "reactivate" {
				letters = append(letters, &letter{account: o.account, sender: "sender-0", name: fmt.Sprintf("again-%d@example.org", i), recipient: o.address, sentAt: p.on(d+1, 0), links: []string{"https://example.com/"}})
			}
		}
		p.write(letters...)
		for _, l := range letters {
			if !p.m.notSent[l] {
				p.plan(d+1, bounceOf(l, time.Hour, "inactive"))
			}
		}
	case monthBoundary + 2:
		for _, o := range slices.Clone(p.m.orders[:min(8, len(p.m.orders))]) {
			p.reactivate(o.whom, p.on(d, 23*time.Hour), true)
		}
	}
}

// bounced lists who is suppressed in an account for bounces alone, and was never taken back.
func (p *month) bounced(account string) (all []whom) {
	at := p.on(monthDays, 0)
	for address := range p.m.suppressed(account, at) {
		to := whom{account, address}
		if rule, _ := p.m.refusal(to, at); rule == "" || rule == "quota" {
			all = append(all, to)
		}
	}
	slices.SortFunc(all, func(a, b whom) int { return strings.Compare(a.address, b.address) })
	return all
}

// reactivate orders it, and compares the answer.
func (p *month) reactivate(to whom, at time.Time, confirmed bool) {
	p.t.Helper()
	p.m.read()
	rule, possible := p.m.refusal(to, at)
	if !confirmed {
		rule, possible = "not_confirmed", time.Time{}
	}
	status, answer := p.post("/v1/suppressions/"+url.PathEscape(to.address)+"/reactivate", "application/json",
		mustJSON(map[string]any{"account": to.account, "confirmed": confirmed, "time": at.Format(time.RFC3339Nano)}))
	if rule == "" {
		if p.m.orders = append(p.m.orders, order{to, "reactivate", at}); status != http.StatusOK || answer["active"] != false {
			p.t.Errorf("reactivated %v at %v: %d %v", to, at, status, answer)
		}
		return
	}
	var want any
	if !possible.IsZero() {
		want = possible.Format("2006-01-02T15:04:05.000Z")
	}
	if status != http.StatusConflict || answer["rule"] != rule || confirmed && answer["possible_at"] != want {
		p.t.Errorf("reactivated %v at %v: %d %v, want the rule %s, possible at %v", to, at, status, answer, rule, want)
	}
}

// remove ends all reasons of a suppression.
func (p *month) remove(to whom, at time.Time) {
	p.t.Helper()
	values := url.Values{"account": {to.account}, "time": {at.Format(time.RFC3339Nano)}}
	answer, body, err := call(http.MethodDelete, "http://"+p.api+"/v1/suppressions/"+url.PathEscape(to.address)+"?"+values.Encode(), nil, "", nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		p.t.Errorf("removed %v: %v, %v, %s", to, answer, err, body)
	}
	p.m.orders = append(p.m.orders, order{to, "remove", at})
}

// visits are opens and clicks, which are heard when they are made.
func (p *month) visits() {
	p.t.Helper()
	for i, l := range p.letters {
		if p.m.notSent[l] || i%9 != 0 || p.watched(l) {
			continue
		}
		switch p.r.IntN(4) {
		case 0:
			p.open(l, curl)
		case 1:
			p.open(l, person)
			p.click(l, 0, person)
		case 2:
			p.open(l, person)
		case 3:
			p.click(l, 0, gateway)
		}
	}
	p.m.read()
}

// checkStatuses compares the status of every message and contact, in lists and one by one.
func (p *month) checkStatuses(t *testing.T) {
	t.Helper()
	deeds := p.m.byLetter()
	statuses := make(map[*letter]string)
	for _, l := range p.letters {
		statuses[l] = p.m.status(deeds[l], l)
	}
	all := slices.Compact(slices.Sorted(maps.Values(statuses)))
	if len(all) != 11 { // all but sending
		t.Errorf("the month came to the statuses %q only", all)
	}
	for _, account := range p.m.accounts() {
		p.checkList(t, account, "", statuses)
		for _, status := range all {
			p.checkList(t, account, status, statuses)
		}
	}
	contacts := make(map[whom][]*letter)
	for _, l := range p.letters {
		to := whom{l.account, l.contact}
		contacts[to] = append(contacts[to], l)
	}
	people := slices.SortedFunc(maps.Keys(contacts), func(a, b whom) int {
		return cmp.Or(strings.Compare(a.account, b.account), strings.Compare(a.address, b.address))
	})
	p.parallel(len(people), func(i int) {
		to := people[i]
		var happened []*deedDone
		for _, l := range contacts[to] {
			happened = append(happened, deeds[l]...)
		}
		want := p.m.status(happened, contacts[to]...)
		path := "/v1/contacts/" + url.PathEscape(to.address) + "?account=" + to.account
		var got struct {
			Status   string
			Messages []struct{ Message, Status string }
		}
		p.get(path, &got)
		if got.Status != want || len(got.Messages) != len(contacts[to]) {
			t.Errorf("%s is %s, want %s: %+v", path, got.Status, want, got.Messages)
		}
	})
}

// parallel does n things, four at a time.
func (p *month) parallel(n int, do func(i int)) {
	const workers = 4
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			for i := worker; i < n; i += workers {
				do(i)
			}
		})
	}
	all.Wait()
}

// checkList compares an account's list of messages, and that of its contacts.
func (p *month) checkList(t *testing.T, account, status string, statuses map[*letter]string) {
	t.Helper()
	want := make(map[string]string)
	contacts := make(map[string]map[string]int)
	for _, l := range p.letters {
		if l.account == account && (status == "" || statuses[l] == status) {
			want[l.name] = strings.Join([]string{l.name, l.sender, l.sequence, l.contact, l.recipient, statuses[l], l.sentAt.UTC().Format(time.RFC3339Nano)}, " ")
			if contacts[l.contact] == nil {
				contacts[l.contact] = make(map[string]int)
			}
			contacts[l.contact][statuses[l]]++
		}
	}
	path := "/v1/messages?account=" + account + "&status=" + status
	p.again(t, func() (wrong []string) {
		got := p.stream(path)
		for _, line := range got {
			var one struct {
				Message, Sender, Sequence, Contact, Recipient, Status string

				SentAt time.Time `json:"sent_at"`
			}
			if err := json.Unmarshal(line, &one); err != nil {
				t.Fatal(err)
			}
			if is := strings.Join([]string{one.Message, one.Sender, one.Sequence, one.Contact, one.Recipient, one.Status, one.SentAt.Format(time.RFC3339Nano)}, " "); is != want[one.Message] {
				wrong = append(wrong, fmt.Sprintf("%s: %s, want %s", path, is, want[one.Message]))
			}
		}
		if len(got) != len(want) {
			wrong = append(wrong, fmt.Sprintf("%s: %d messages, want %d", path, len(got), len(want)))
		}
		return wrong
	})
	path = "/v1/contacts?account=" + account + "&status=" + status
	got := p.stream(path)
	for _, line := range got {
		var one struct {
			Contact  string
			Statuses map[string]int
		}
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(one.Statuses) != fmt.Sprint(contacts[one.Contact]) {
			t.Errorf("%s: %s: %v, want %v", path, one.Contact, one.Statuses, contacts[one.Contact])
		}
	}
	if len(got) != len(contacts) {
		t.Errorf("%s: %d contacts, want %d", path, len(got), len(contacts))
	}
}

// senders are all who wrote.
func (p *month) allSenders() (all []whom) {
	for _, account := range p.m.accounts() {
		for _, sender := range p.m.senders(account) {
			all = append(all, whom{account, sender})
		}
	}
	return all
}

// checkScores compares every number of every sender, in all windows at several times, and by sequence and provider.
func (p *month) checkScores(t *testing.T) {
	t.Helper()
	at := []time.Time{
		p.on(5, 9*time.Hour), p.on(6, 9*time.Hour), p.on(6, 9*time.Hour+time.Millisecond), p.on(12, 13*time.Hour+37*time.Minute+30*time.Second), p.on(monthBoundary, 0),
		p.on(monthDays-1, 23*time.Hour+59*time.Minute), p.on(monthDays+3, 12*time.Hour), time.Now(),
	}
	parts := make(map[whom]*model)
	for _, s := range p.allSenders() {
		parts[s] = p.m.part(func(l *letter) bool { return l.account == s.account && l.sender == s.address })
	}
	for _, account := range p.m.accounts() {
		for window := range windowHours {
			for _, asOf := range at {
				path := "/v1/senders?" + url.Values{"account": {account}, "window": {window}, "as_of": {asOf.UTC().Format(time.RFC3339Nano)}, "limit": {"100"}}.Encode()
				p.again(t, func() (wrong []string) {
					var answer struct{ Senders []json.RawMessage }
					p.get(path, &answer)
					if n := len(p.m.senders(account)); len(answer.Senders) != n {
						wrong = append(wrong, fmt.Sprintf("%s: %d senders, want %d", path, len(answer.Senders), n))
					}
					for _, body := range answer.Senders {
						var one scoreObject
						if err := json.Unmarshal(body, &one); err != nil {
							t.Fatal(err)
						}
						want := parts[whom{account, one.Sender}].expected(question{account, one.Sender, nil, window, asOf})
						for _, difference := range want.differencesIn(body) {
							wrong = append(wrong, path+": "+one.Sender+": "+difference)
						}
					}
					return wrong
				})
			}
		}
	}
	for s, part := range parts {
		w := &world{server: p.server, model: *part}
		w.checkSequences(t, s.account, s.address, at[5])
		p.checkProviders(t, s, at[5])
	}
}

// checkProviders compares the score objects of a sender by mailbox provider.
func (p *month) checkProviders(t *testing.T, s whom, at time.Time) {
	t.Helper()
	path := "/v1/senders/" + url.PathEscape(s.address) + "/providers?" + url.Values{"account": {s.account}, "window": {"30d"}, "as_of": {at.Format(time.RFC3339Nano)}}.Encode()
	var answer struct{ Providers []json.RawMessage }
	p.get(path, &answer)
	seen := make(map[string]bool)
	for _, body := range answer.Providers {
		var got struct {
			scoreObject
			Provider      string
			Feedback      bool
			ComplaintRate *rate `json:"complaint_rate"`
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		seen[got.Provider] = true
		part := p.m.part(func(l *letter) bool {
			return l.account == s.account && l.sender == s.address && l.provider() == got.Provider
		})
		want := part.expected(question{s.account, s.address, nil, "30d", at})
		reports := slices.Contains(reporting, got.Provider)
		if got.Feedback != reports || (got.ComplaintRate != nil) != reports {
			t.Errorf("%s: %s: feedback %v, complaint rate %v", path, got.Provider, got.Feedback, got.ComplaintRate)
		}
		if got.ComplaintRate != nil {
			got.scoreObject.ComplaintRate = *got.ComplaintRate
		} else { // complaints say nothing there
			want.ComplaintRate = rate{}
			want.Score = want.points()
		}
		for _, difference := range want.differences(&got.scoreObject) {
			t.Errorf("%s: %s: %s", path, got.Provider, difference)
		}
	}
	for _, l := range p.m.part(func(l *letter) bool { return l.account == s.account && l.sender == s.address }).letters {
		if !seen[l.provider()] {
			t.Errorf("%s: %s is missing", path, l.provider())
			return
		}
	}
}
