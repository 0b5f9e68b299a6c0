package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// What a month must come to, computed from what was registered, told and ordered by the words of STATUSES.md, RATES.md and
// SUPPRESSIONS.md alone. Each answer is found anew from the whole list: slow, and easy to compare with those pages.

const (
	softBounces  = 5
	softDays     = 14 * 24 * time.Hour
	softFor      = 30 * 24 * time.Hour
	globalWithin = 60 * 24 * time.Hour
	quotaShare   = 50 // one in
	quotaLeast   = 10
	quotaMost    = 1000
)

// whom is an address in an account.
type whom struct{ account, address string }

// normal is the form in which addresses are compared.
func normal(address string) string {
	local, domain, _ := strings.Cut(address, "@")
	return local + "@" + strings.ToLower(domain)
}

func (l *letter) whom() whom { return whom{l.account, normal(l.recipient)} }

// order is what somebody ordered about an address, and got.
type order struct {
	whom
	op string // add, remove, reactivate
	at time.Time
}

// monthModel is the model of a month.
type monthModel struct {
	*model
	notSent map[*letter]bool // registered so
	orders  []order          // that were carried out

	deedsOf map[whom][]*deedDone // oldest first
	all     []string             // accounts

	everBounced map[*letter]bool
	readAt      [2]int // how many letters and deeds there were when all this was found

	wavesOrdered []waveOrder
	waves        []*wave
	held         map[*deedDone]bool // hard bounces that came in a wave
	adopted      map[*deedDone]bool // those of them where the order of what was told is not that in which it is decided
}

// cause is why no mail goes to an address.
type cause struct {
	reason, category string
	since, until     time.Time // until is zero of one without end
	message          string    // evidence
}

func (c *cause) sparesTransactional() bool {
	return c.reason == "complaint" || c.reason == "unsubscribe"
}

func (c *cause) String() string {
	return fmt.Sprintf("%s %s %s since %s until %s", c.reason, c.category, c.message, c.since.UTC().Format(time.RFC3339Nano), c.until.UTC().Format(time.RFC3339Nano))
}

// read makes ready for questions, after something was told.
func (m *monthModel) read() {
	now := [2]int{len(m.letters), len(m.deeds)}
	if now == m.readAt {
		return
	}
	m.readAt = now
	m.deedsOf, m.everBounced = make(map[whom][]*deedDone), make(map[*letter]bool)
	for _, d := range m.judged() {
		if d.letter != nil {
			to := d.letter.whom()
			m.deedsOf[to] = append(m.deedsOf[to], d)
			m.everBounced[d.letter] = m.everBounced[d.letter] || d.kind == "bounce"
		}
	}
	for _, deeds := range m.deedsOf {
		slices.SortStableFunc(deeds, func(a, b *deedDone) int { return a.at.Compare(b.at) })
	}
	m.all = m.accounts()
	m.breaker()
}

// stands reports whether nothing later shows that the bounce's message arrived.
func (d *deedDone) stands(deeds []*deedDone) bool {
	return d.kind == "bounce" && !has(deeds, func(o *deedDone) bool { return o.letter == d.letter && o.lifts() && o.at.After(d.at) })
}

// settled is until when orders of these kinds have settled what came before.
func (m *monthModel) settled(to whom, at time.Time, ops ...string) (until time.Time) {
	for _, o := range m.orders {
		if o.whom == to && slices.Contains(ops, o.op) && !o.at.After(at) && o.at.After(until) {
			until = o.at
		}
	}
	return until
}

// causes are those that hold in the account, the one that leads first.
func (m *monthModel) causes(to whom, at time.Time) (all []cause) {
	deeds := m.deedsOf[to]
	removed := m.settled(to, at, "remove")
	reactivated := m.settled(to, at, "remove", "reactivate")
	for _, o := range m.orders {
		if o.whom == to && o.op == "add" && o.at.After(removed) && !o.at.After(at) {
			all = append(all, cause{reason: "manual", since: o.at})
			break
		}
	}
	first := func(reason string, after time.Time, is func(d *deedDone) bool) bool {
		for _, d := range deeds {
			if d.at.After(after) && !d.at.After(at) && is(d) {
				all = append(all, cause{reason: reason, category: d.category, since: d.at, message: d.letter.name})
				return true
			}
		}
		return false
	}
	if !first("bounce", reactivated, func(d *deedDone) bool { return d.hard && d.stands(deeds) && m.believed(d, at) }) {
		if c := m.soft(to, deeds, at); c != nil && c.since.After(reactivated) {
			all = append(all, *c)
		}
	}
	complaints := len(all)
	if first("complaint", removed, func(d *deedDone) bool {
		return d.kind == "complaint" && !d.takesBack && !takenBack(d, deeds) && !d.letter.has("transactional")
	}) {
		all[complaints].category = "abuse" // the feedback type
	}
	first("unsubscribe", removed, func(d *deedDone) bool { return d.kind == "unsubscribe" && !d.letter.has("transactional") })
	return all
}

// soft is what soft bounces cause: so many of them, so far apart, and no sign of life of the contact after the first.
func (m *monthModel) soft(to whom, deeds []*deedDone, at time.Time) *cause {
	var row []*deedDone
	var c *cause
	for _, d := range deeds {
		switch {
		case d.at.After(at):
		case d.lifts():
			row = nil
		case d.kind == "bounce" && !d.hard && d.stands(deeds):
			row = append(row, d)
			if len(row) >= softBounces && d.at.Sub(row[0].at) >= softDays {
				c = &cause{reason: "bounce", category: d.category, since: d.at, until: d.at.Add(softFor), message: d.letter.name}
				row = nil
			}
		}
	}
	if c == nil || !at.Before(c.until) {
		return nil
	}
	return c
}

// global is why no account mails an address: hard bounces in three accounts, near each other.
func (m *monthModel) global(address string, at time.Time) *cause {
	var hard []*deedDone
	lifted := m.settled(whom{"", address}, at, "lift")
	for _, account := range m.all {
		deeds := m.deedsOf[whom{account, address}]
		for _, d := range deeds {
			if d.hard && d.stands(deeds) && m.believed(d, at) && d.at.After(lifted) && !d.at.After(at) {
				hard = append(hard, d)
			}
		}
	}
	slices.SortFunc(hard, func(a, b *deedDone) int { return a.at.Compare(b.at) })
	for i, last := range hard {
		accounts, category := make(map[string]bool), last.category
		for _, d := range hard[:i+1] {
			if last.at.Sub(d.at) > globalWithin {
				continue
			}
			if accounts[d.letter.account] = true; d.category == "invalid_recipient" {
				category = d.category
			}
		}
		if len(accounts) >= 3 {
			return &cause{reason: "bounce", category: category, since: last.at}
		}
	}
	return nil
}

// stopped reports whether a message to an address must not be sent.
func (m *monthModel) stopped(to whom, at time.Time, transactional bool) bool {
	if m.global(to.address, at) != nil {
		return true
	}
	return slices.ContainsFunc(m.causes(to, at), func(c cause) bool { return !transactional || !c.sparesTransactional() })
}

// quota is how many of an account's contacts may be reactivated in a month.
func (m *monthModel) quota(account string) int {
	contacts := make(map[string]bool)
	for _, l := range m.letters {
		if l.account == account {
			contacts[l.contact] = true
		}
	}
	return min(max(len(contacts)/quotaShare, quotaLeast), quotaMost)
}

// refusal is why a confirmed reactivation must be refused, "" if it must not, and when it will be possible.
func (m *monthModel) refusal(to whom, at time.Time) (rule string, possible time.Time) {
	causes := m.causes(to, at)
	used, before := 0, false
	for _, o := range m.orders {
		if o.op == "reactivate" && o.account == to.account {
			before = before || o.whom == to
			if o.at.UTC().Format("2006-01") == at.UTC().Format("2006-01") {
				used++
			}
		}
	}
	switch {
	case m.global(to.address, at) != nil:
		return "global", time.Time{}
	case len(causes) == 0:
		return "not_suppressed", time.Time{}
	case slices.ContainsFunc(causes, func(c cause) bool { return c.reason != "bounce" }):
		return "reason_not_bounce", time.Time{}
	case before:
		return "already_reactivated", time.Time{}
	case used >= m.quota(to.account):
		return "quota", firstOfMonth(at).AddDate(0, 1, 0)
	}
	return "", time.Time{}
}

func firstOfMonth(t time.Time) time.Time {
	return time.Date(t.UTC().Year(), t.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
}

// status is that of letters as if they were one: a message's, or a contact's.
func (m *monthModel) status(deeds []*deedDone, letters ...*letter) string {
	stands := func(is func(d *deedDone) bool) bool {
		return has(deeds, func(b *deedDone) bool {
			return b.kind == "bounce" && is(b) && !has(deeds, func(o *deedDone) bool { return o.lifts() && o.at.After(b.at) })
		})
	}
	kind := func(kind string) bool { return has(deeds, func(d *deedDone) bool { return d.kind == kind }) }
	human := func(kind string) bool {
		return has(deeds, func(d *deedDone) bool { return d.kind == kind && d.human() })
	}
	switch {
	case !slices.ContainsFunc(letters, func(l *letter) bool { return !m.notSent[l] }) && !slices.ContainsFunc(deeds, showsSent):
		return "not_sent"
	case kind("unsubscribe"):
		return "unsubscribed"
	case has(deeds, func(c *deedDone) bool {
		return c.kind == "complaint" && !c.takesBack && !has(deeds, func(o *deedDone) bool { return o.takesBack && o.at.After(c.at) })
	}):
		return "complained"
	case kind("dropped"), stands(func(b *deedDone) bool { return b.category == "timeout" || b.status == "4.4.7" || b.status == "5.4.7" }):
		return "dropped"
	case stands(func(b *deedDone) bool {
		return slices.Contains([]string{"blocked", "reputation", "policy"}, b.category)
	}):
		return "blocked"
	case stands(func(b *deedDone) bool { return b.hard }):
		return "bounced_permanent"
	case stands(func(b *deedDone) bool { return !b.hard }):
		return "bounced_temporary"
	case human("reply"):
		return "replied"
	case human("click"):
		return "clicked"
	case human("open"):
		return "opened"
	}
	return "sent"
}

// showsSent reports whether what was registered as not sent was sent after all.
func showsSent(d *deedDone) bool { return d.kind != "dropped" && d.kind != "completed" }

// byLetter sorts what happened by whom it happened to.
func (m *monthModel) byLetter() map[*letter][]*deedDone {
	all := make(map[*letter][]*deedDone)
	for _, d := range m.judged() {
		all[d.letter] = append(all[d.letter], d)
	}
	return all
}

// part is the model of some letters alone, of those that were sent.
func (m *monthModel) part(is func(l *letter) bool) *model {
	p := &model{broadcast: m.broadcast}
	for _, l := range m.letters {
		if !m.notSent[l] && is(l) {
			p.letters = append(p.letters, l)
		}
	}
	for _, d := range m.deeds {
		if d.letter != nil && !m.notSent[d.letter] && is(d.letter) {
			p.deeds = append(p.deeds, d)
		}
	}
	return p
}

// providers are the mailbox providers of the domains that the month mails to, and which of them send feedback reports.
var providers = map[string]string{"gmail.com": "google", "yahoo.com": "yahoo", "outlook.com": "microsoft"}

var reporting = []string{"yahoo", "microsoft"}

func (l *letter) provider() string {
	_, domain, _ := strings.Cut(normal(l.recipient), "@")
	return cmp.Or(providers[domain], domain)
}

// done is an enrollment that completed.
type done struct {
	enrollment
	counts
	provider, category string // the latter of its last bounce, if it is counted as bounced
}

// done lists what completed after from and up to to.
func (m *model) done(q question, from, to time.Time) (all []done) {
	for e, p := range m.passages(q) {
		at, ok := p.completedAt()
		if !ok || !at.After(from) || at.After(to) {
			continue
		}
		one := done{enrollment: e, provider: p.letters[0].provider()}
		if one.count(p.deeds); one.Bounced > 0 {
			one.category = lastBounce(p.deeds).category
		}
		all = append(all, one)
	}
	return all
}

// lastBounce is the latest; of two at the same time the hard one.
func lastBounce(deeds []*deedDone) (last *deedDone) {
	for _, d := range deeds {
		if d.kind == "bounce" && (last == nil || d.at.After(last.at) || d.at.Equal(last.at) && d.hard) {
			last = d
		}
	}
	return last
}

// countedBy names the enrollments that a count counts, as contact and, of mail without a sequence, message.
func countedBy(all []done, count string) (names []string) {
	for _, one := range all {
		if one.of(count) > 0 {
			names = append(names, one.sequence+"/"+one.contact+"/"+one.message)
		}
	}
	slices.Sort(names)
	return names
}

var countNames = []string{"completed", "replied", "bounced", "bounced_hard", "complained", "unsubscribed", "opened", "clicked", "clicked_delivered", "machine_opened", "machine_clicked"}

func (c *counts) of(name string) int {
	return []int{
		c.Completed, c.Replied, c.Bounced, c.BouncedHard, c.Complained, c.Unsubscribed, c.Opened, c.Clicked, c.ClickedDelivered, c.MachineOpened, c.MachineClicked,
	}[slices.Index(countNames, name)]
}

// suppressed lists whom an account, or with an empty account everybody, must not mail.
func (m *monthModel) suppressed(account string, at time.Time) map[string]*cause {
	addresses := make(map[string]bool)
	for _, l := range m.letters {
		if account == "" || l.account == account {
			addresses[normal(l.recipient)] = true
		}
	}
	all := make(map[string]*cause)
	for _, address := range slices.Sorted(maps.Keys(addresses)) {
		if account == "" {
			if c := m.global(address, at); c != nil {
				all[address] = c
			}
		} else if causes := m.causes(whom{account, address}, at); len(causes) > 0 {
			all[address] = &causes[0]
		}
	}
	return all
}
