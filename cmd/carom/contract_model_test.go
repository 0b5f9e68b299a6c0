package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The contract tests know Carom from outside only: what its commands, API and ports promise. What they expect is
// computed here, from nothing but the list of what was done.

// letter is a message as it was registered first under its account and name.
type letter struct {
	account, sender, sequence, contact, name, recipient string

	sentAt time.Time
	flags  []string // transactional anonymous shared untracked
	links  []string
	minted minted
}

func (l *letter) has(flag string) bool { return slices.Contains(l.flags, flag) }

// nameless reports whether opens and clicks are those of someone.
func (l *letter) nameless() bool { return l.has("anonymous") || l.has("shared") }

// deedDone is one thing that happened to a letter or to an enrollment, and was acknowledged.
type deedDone struct {
	kind   string
	letter *letter    // nil: about the enrollment
	about  enrollment // set if letter is nil
	at     time.Time

	verdict   string // of opens, clicks and replies
	agent     string // of opens and clicks: who is the same client
	link      int    // of clicks
	url       string // of clicks
	recipient string // of bounces, delays and deliveries
	status    string // of bounces
	hard      bool   // of bounces
	category  string // of bounces, where a test looks at it
	mail      string // identity of replies, auto-replies, complaints and delays
	takesBack bool   // a complaint of the type not-spam
	honeypot  bool   // a click on the link that nobody sees
	id        string // that the API answered, if it did
	heard     bool   // by a mail first, so that at is about right only
}

func (d *deedDone) human() bool { return d.verdict == "human" }

// machine reports whether software acted on its own account.
func (d *deedDone) machine() bool { return d.verdict == "proxy" || d.verdict == "scanner" }

func (d *deedDone) hit() bool { return d.kind == "open" || d.kind == "click" }

// enrollment names one contact's passage through one sequence; without a sequence it is a message's own.
type enrollment struct{ account, sender, sequence, contact, message string }

func (d *deedDone) enrollment() enrollment {
	if d.letter == nil {
		return d.about
	}
	return d.letter.enrollment()
}

func (l *letter) enrollment() enrollment {
	e := enrollment{l.account, l.sender, l.sequence, l.contact, ""}
	if l.sequence == "" {
		e.message = l.name
	}
	return e
}

// model is all that was done.
type model struct {
	letters   []*letter
	deeds     []*deedDone
	seen      map[string]*deedDone
	broadcast []string // accounts of the profile broadcast; all others are of default
}

// repeatWithin is how long an open or click hides its like.
const repeatWithin = 10 * time.Second

// add records a deed unless it is a repeat of a recorded one. It returns the recorded one.
func (m *model) add(d deedDone) *deedDone {
	if m.seen == nil {
		m.seen = make(map[string]*deedDone)
	}
	identity := d.identity()
	if was := m.seen[identity]; was != nil && (!d.hit() || d.at.Sub(was.at) < repeatWithin) {
		return was
	}
	d.at = d.at.Truncate(time.Millisecond)
	m.seen[identity] = &d
	m.deeds = append(m.deeds, &d)
	return &d
}

// identity says what makes two tellings the same fact (DESIGN §9).
func (d *deedDone) identity() string {
	var parts []any
	switch d.kind {
	case "open", "click":
		parts = []any{d.link, d.machine(), d.human(), d.agent}
	case "delivered":
		parts = []any{d.recipient}
	case "bounce":
		parts = []any{d.recipient, d.status}
	case "delay":
		parts = []any{d.recipient, d.mail}
	case "reply", "auto_reply", "complaint":
		parts = []any{d.mail}
	}
	whose := d.about
	if d.letter != nil {
		whose = enrollment{account: d.letter.account, message: "letter " + d.letter.name}
	}
	return fmt.Sprint(d.kind, whose, parts)
}

// The windows in which clicks of one letter tell on each other. The tests click from one address.
const (
	addressWindow  = 2 * time.Second
	linksWindow    = 10 * time.Second
	honeypotWindow = 10 * time.Second
	tooManyLinks   = 3
)

// judged are the deeds with the verdicts that follow from all of them: whoever follows too many links at once, or one
// that nobody sees, is no human.
func (m *model) judged() (all []*deedDone) {
	clicks := make(map[*letter][]*deedDone)
	for _, d := range m.deeds {
		if d.kind == "click" {
			clicks[d.letter] = append(clicks[d.letter], d)
		}
	}
	for _, d := range m.deeds {
		if d.kind == "click" && !d.machine() && d.inBurst(clicks[d.letter]) {
			burst := *d
			burst.verdict = "scanner"
			d = &burst
		}
		all = append(all, d)
	}
	return all
}

// inBurst reports whether a click lies among others of its letter as no human's does.
func (d *deedDone) inBurst(clicks []*deedDone) bool {
	near := func(a, b *deedDone, window time.Duration) bool { return a.at.Sub(b.at).Abs() <= window }
	for _, o := range clicks {
		if o.link != d.link && near(o, d, addressWindow) || o.honeypot && near(o, d, honeypotWindow) {
			return true
		}
		links := make(map[int]bool)
		for _, other := range clicks {
			if !other.at.Before(o.at) && near(other, o, linksWindow) {
				links[other.link] = true
			}
		}
		if len(links) >= tooManyLinks && !d.at.Before(o.at) && near(d, o, linksWindow) && !d.letter.has("shared") {
			return true
		}
	}
	return false
}

// counts are the numbers of a score object.
type counts struct {
	Completed        int `json:"completed"`
	Replied          int `json:"replied"`
	Bounced          int `json:"bounced"`
	BouncedHard      int `json:"bounced_hard"`
	Complained       int `json:"complained"`
	Unsubscribed     int `json:"unsubscribed"`
	Opened           int `json:"opened"`
	Clicked          int `json:"clicked"`
	ClickedDelivered int `json:"clicked_delivered"`
	MachineOpened    int `json:"machine_opened"`
	MachineClicked   int `json:"machine_clicked"`
	Opens            int `json:"opens"`
	Clicks           int `json:"clicks"`
	MachineOpens     int `json:"machine_opens"`
	MachineClicks    int `json:"machine_clicks"`
	AnonymousOpened  int `json:"anonymous_opened"`
}

type sentAndBounced struct {
	Sent    int `json:"sent"`
	Bounced int `json:"bounced"`
}

type recent struct {
	Hour sentAndBounced `json:"hour"`
	Day  sentAndBounced `json:"day"`
}

// question is what a score is asked for.
type question struct {
	account, sender string
	sequence        *string // nil: all of the sender
	window          string
	asOf            time.Time
}

var windowHours = map[string]int{"24h": 24, "7d": 7 * 24, "30d": 30 * 24}

// bounds are the window's whole UTC hours, of which the last is the one of as_of, up to the minute that as_of is in. An
// instant at a border belongs to what ends there: from is out, to is in.
func (q question) bounds() (from, to time.Time) {
	hour := q.asOf.UTC().Truncate(time.Hour)
	if hour.Before(q.asOf) {
		hour = hour.Add(time.Hour)
	}
	return hour.Add(-time.Duration(windowHours[q.window]) * time.Hour), minuteUp(q.asOf)
}

func minuteUp(t time.Time) time.Time {
	if up := t.UTC().Truncate(time.Minute); up.Equal(t) {
		return up
	}
	return t.UTC().Truncate(time.Minute).Add(time.Minute)
}

func (q question) asks(e enrollment) bool {
	return e.account == q.account && e.sender == q.sender && (q.sequence == nil || *q.sequence == e.sequence)
}

// passage is all of an enrollment.
type passage struct {
	letters []*letter
	deeds   []*deedDone
}

func (m *model) passages(q question) map[enrollment]*passage {
	all := make(map[enrollment]*passage)
	of := func(e enrollment) *passage {
		if all[e] == nil {
			all[e] = &passage{}
		}
		return all[e]
	}
	for _, l := range m.letters {
		if e := l.enrollment(); q.asks(e) {
			of(e).letters = append(of(e).letters, l)
		}
	}
	for _, d := range m.judged() {
		if e := d.enrollment(); q.asks(e) {
			of(e).deeds = append(of(e).deeds, d)
		}
	}
	return all
}

const completeAfter = 72 * time.Hour

// completedAt is 72 hours after the first send, or the time of the completed fact if that is earlier. An enrollment in
// which nothing was sent never completes.
func (p *passage) completedAt() (at time.Time, ok bool) {
	for i, l := range p.letters {
		if done := l.sentAt.Add(completeAfter); i == 0 || done.Before(at) {
			at = done
		}
	}
	for _, d := range p.deeds {
		if d.kind == "completed" && d.at.Before(at) {
			at = d.at
		}
	}
	return at, len(p.letters) > 0
}

// score counts what a score object must show.
func (m *model) score(q question) (c counts, r recent) {
	from, to := q.bounds()
	for _, p := range m.passages(q) {
		for _, l := range p.letters {
			r.count(l, p.deeds, to)
		}
	}
	return m.within(q, from, to), r
}

// within counts the enrollments that completed after from and up to to.
func (m *model) within(q question, from, to time.Time) (c counts) {
	inferred := m.inferred()
	for _, p := range m.passages(q) {
		if at, ok := p.completedAt(); ok && at.After(from) && !at.After(to) {
			c.count(p.deeds)
			for _, l := range p.letters {
				if slices.Contains(inferred, l) {
					c.Opens++
				}
			}
		}
		for _, d := range p.deeds {
			if d.kind == "open" && d.human() && d.letter.nameless() && d.at.After(from) && !d.at.After(to) {
				c.AnonymousOpened++
			}
		}
	}
	return c
}

// count adds one completed enrollment. Of its opens, those that were seen: the inferred ones are a matter of letters.
func (c *counts) count(deeds []*deedDone) {
	c.Completed++
	for _, d := range deeds {
		switch {
		case d.named("open") && d.human():
			c.Opens++
		case d.named("open") && d.machine():
			c.MachineOpens++
		case d.named("click") && d.human():
			c.Clicks++
		case d.named("click") && d.machine():
			c.MachineClicks++
		}
	}
	replied := has(deeds, func(d *deedDone) bool { return d.kind == "reply" && d.human() })
	clicked := has(deeds, func(d *deedDone) bool { return d.named("click") && d.human() })
	bounced, hard := bouncedFor(deeds)
	for _, one := range []struct {
		number *int
		is     bool
	}{
		{&c.Replied, replied},
		{&c.Bounced, bounced},
		{&c.BouncedHard, hard},
		{&c.Complained, has(deeds, func(d *deedDone) bool { return d.kind == "complaint" && !d.takesBack && !takenBack(d, deeds) })},
		{&c.Unsubscribed, has(deeds, func(d *deedDone) bool { return d.kind == "unsubscribe" })},
		{&c.Opened, has(deeds, func(d *deedDone) bool { return d.human() && (d.named("open") || d.impliesOpen()) })},
		{&c.Clicked, clicked},
		{&c.ClickedDelivered, clicked && !bounced},
		{&c.MachineOpened, has(deeds, func(d *deedDone) bool { return d.named("open") && d.machine() })},
		{&c.MachineClicked, has(deeds, func(d *deedDone) bool { return d.named("click") && d.machine() })},
	} {
		if one.is {
			*one.number++
		}
	}
}

// impliesOpen reports whether a human who did d must have opened the letter: who follows a link, or answers. A reply that
// names no message implies nothing about any.
func (d *deedDone) impliesOpen() bool {
	return d.named("click") || d.kind == "reply" && d.letter != nil
}

// named reports whether d is a hit of the kind that names a contact.
func (d *deedDone) named(kind string) bool { return d.kind == kind && !d.letter.nameless() }

func has(deeds []*deedDone, is func(*deedDone) bool) bool { return slices.ContainsFunc(deeds, is) }

func takenBack(complaint *deedDone, deeds []*deedDone) bool {
	return has(deeds, func(d *deedDone) bool {
		return d.kind == "complaint" && d.takesBack && d.letter == complaint.letter && d.at.After(complaint.at)
	})
}

// bouncedFor reports whether a bounce stands: nobody replied, and nothing later shows that mail arrives.
func bouncedFor(deeds []*deedDone) (bounced, hard bool) {
	if has(deeds, func(d *deedDone) bool { return d.kind == "reply" && d.human() }) {
		return false, false
	}
	for _, b := range deeds {
		if b.kind != "bounce" || has(deeds, func(d *deedDone) bool { return d.lifts() && d.at.After(b.at) }) {
			continue
		}
		bounced, hard = true, hard || b.hard
	}
	return bounced, hard
}

// lifts reports whether d shows that mail arrives.
func (d *deedDone) lifts() bool {
	return d.kind == "delivered" || d.human() && (d.kind == "reply" || d.named("open") || d.named("click"))
}

// count adds a letter to the hour and the day before to if it was sent in them.
func (r *recent) count(l *letter, deeds []*deedDone, to time.Time) {
	own := slices.DeleteFunc(slices.Clone(deeds), func(d *deedDone) bool { return d.letter != l })
	bounced, _ := bouncedFor(own)
	for _, span := range []struct {
		into *sentAndBounced
		long time.Duration
	}{{&r.Hour, time.Hour}, {&r.Day, 24 * time.Hour}} {
		if !l.sentAt.After(to.Add(-span.long)) || l.sentAt.After(to) {
			continue
		}
		span.into.Sent++
		if bounced {
			span.into.Bounced++
		}
	}
}

// senders lists an account's senders in order.
func (m *model) senders(account string) []string {
	return m.distinct(func(l *letter) (string, bool) { return l.sender, l.account == account })
}

// sequences lists a sender's sequences in order.
func (m *model) sequences(account, sender string) []string {
	return m.distinct(func(l *letter) (string, bool) { return l.sequence, l.account == account && l.sender == sender })
}

func (m *model) accounts() []string {
	return m.distinct(func(l *letter) (string, bool) { return l.account, true })
}

func (m *model) distinct(of func(*letter) (string, bool)) (all []string) {
	for _, l := range m.letters {
		if s, ok := of(l); ok {
			all = append(all, s)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// inferred lists the letters of which an open must be concluded: a human clicked or replied, and no human had opened by
// then.
func (m *model) inferred() (all []*letter) {
	deeds := m.judged()
	for _, d := range deeds {
		if !d.human() || !d.impliesOpen() || slices.Contains(all, d.letter) {
			continue
		}
		if !has(deeds, func(o *deedDone) bool {
			return o.kind == "open" && o.human() && o.letter == d.letter && !o.at.After(d.at)
		}) {
			all = append(all, d.letter)
		}
	}
	return all
}

func (l *letter) String() string {
	if l == nil {
		return "an enrollment"
	}
	return strings.Join([]string{l.account, l.sender, l.sequence, l.name}, "/")
}
