package suppress

import (
	"cmp"
	"slices"
	"time"

	"carom/pipeline/event"
)

// What ended a cause.
const (
	endedAlive   = "alive"
	endedNotSpam = "not_spam"
)

// The rules that decide where no classification of a bounce does.
const (
	ruleSoft        = "soft_bounces"
	ruleGlobal      = "global_accounts"
	ruleComplaint   = "complaint"
	ruleUnsubscribe = "unsubscribe"
	ruleOrder       = "order"
)

// causes returns all reasons for which e is or was suppressed. Active says that the cause has not ended; whether its time is
// over follows from Until.
func (e *entry) causes(o *Options) (list []Cause) {
	for i := range e.Added {
		list = append(list, e.Added[i].cause())
	}
	if e.account == "" {
		list = append(list, e.global(o)...)
	} else {
		list = append(list, e.hard()...)
		list = append(list, e.soft()...)
		list = append(list, e.complaint()...)
		list = append(list, e.unsubscribe()...)
	}
	list = append(list, causesOf(e.Past)...)
	for i := range list {
		c := &list[i]
		c.Active = c.Ended == 0 && !c.Quarantined
		c.Reactivated = e.Reactivated
	}
	return list
}

// settled reports whether b counts no longer, whatever is told of it.
func (e *entry) settled(b *bounce) bool { return b.Time <= e.Ends.Bounce || b.Reverted != 0 }

// hard is the cause by hard bounces: the first that stands; else the first that waits in quarantine; else, ended, the last
// that did not stand.
func (e *entry) hard() []Cause {
	var live, held, dead *bounce
	var of map[*bounce]*message
	for i := range e.Messages {
		m := &e.Messages[i]
		for j := range m.Bounces {
			b := &m.Bounces[j]
			if !b.Hard || e.settled(b) {
				continue
			}
			if of == nil {
				of = make(map[*bounce]*message)
			}
			of[b] = m
			switch {
			case m.lifted(b):
				if dead == nil || earlier(dead, b) {
					dead = b
				}
			case b.Wave:
				if held == nil || earlier(b, held) {
					held = b
				}
			default:
				if live == nil || earlier(b, live) {
					live = b
				}
			}
		}
	}
	switch {
	case live != nil:
		return []Cause{live.cause(of[live])}
	case held != nil:
		c := held.cause(of[held])
		c.Quarantined = true
		return []Cause{c}
	case dead != nil:
		c := dead.cause(of[dead])
		c.Ended, c.EndedBy = of[dead].AliveAt, endedAlive
		return []Cause{c}
	}
	return nil
}

func (b *bounce) cause(m *message) Cause {
	return Cause{
		Reason: Bounce, Category: b.Category, Rule: b.Rule, MailboxProvider: b.Provider, Since: b.Time,
		Evidence: &Evidence{b.ID, event.Bounce.String(), b.Time, m.ID, b.Status, b.Diagnostic},
	}
}

func (e *entry) soft() []Cause {
	s := e.Soft
	if s == nil {
		return nil
	}
	w := wireCause{
		Reason: Bounce, Category: s.Category, Rule: ruleSoft, MailboxProvider: s.Provider, Since: stamp(s.Since), Until: stamp(s.Until), Evidence: &s.Evidence,
	}
	return []Cause{w.cause()}
}

// complaint is the first that stands; else, ended, the last that was taken back.
func (e *entry) complaint() []Cause {
	var first, taken *mark
	var of, back *message
	for i := range e.Messages {
		m := &e.Messages[i]
		for j := range m.Complaints {
			k := &m.Complaints[j]
			switch {
			case m.Spares || k.Time <= e.Ends.Complaint:
			case m.NotSpam > k.Time:
				if taken == nil || taken.before(k) {
					taken, back = k, m
				}
			case first == nil || k.before(first):
				first, of = k, m
			}
		}
	}
	if first != nil {
		return []Cause{first.cause(of, Complaint, event.Complaint, ruleComplaint)}
	}
	if taken != nil {
		c := taken.cause(back, Complaint, event.Complaint, ruleComplaint)
		c.Ended, c.EndedBy = back.NotSpam, endedNotSpam
		return []Cause{c}
	}
	return nil
}

func (e *entry) unsubscribe() []Cause {
	var first *mark
	var of *message
	for i := range e.Messages {
		m := &e.Messages[i]
		if k := m.Unsubscribe; k != nil && !m.Spares && k.Time > e.Ends.Unsubscribe && (first == nil || k.before(first)) {
			first, of = k, m
		}
	}
	if first == nil {
		return nil
	}
	return []Cause{first.cause(of, Unsubscribe, event.Unsubscribe, ruleUnsubscribe)}
}

func (k *mark) before(o *mark) bool {
	return k.Time < o.Time || k.Time == o.Time && compareIDs(k.ID, o.ID) < 0
}

func (k *mark) cause(m *message, r Reason, kind event.Kind, rule string) Cause {
	return Cause{
		Reason: r, Category: k.Type, Rule: rule, Since: k.Time,
		Evidence: &Evidence{Event: k.ID, Kind: kind.String(), Time: k.Time, Message: m.ID},
	}
}

// accountHits are hard bounces of one account, by time.
type accountHits struct {
	Account string `json:"account"`
	Hits    []hit  `json:"hits"`
}

type hit struct {
	ID       event.ID     `json:"event"`
	Time     event.Millis `json:"time"`
	Category string       `json:"category,omitempty"`
	Status   string       `json:"status,omitempty"`
	Provider string       `json:"provider,omitempty"`
}

// hits returns the latest hard bounces of e that stand. That its account was given the address back does not void them.
func (e *entry) hits() (list []hit) {
	for i := range e.Messages {
		m := &e.Messages[i]
		for j := range m.Bounces {
			if b := &m.Bounces[j]; b.Hard && !m.lifted(b) && !b.Wave && b.Reverted == 0 {
				list = append(list, hit{b.ID, b.Time, b.Category, b.Status, b.Provider})
			}
		}
	}
	slices.SortFunc(list, compareHits)
	return list[max(0, len(list)-maxHits):]
}

func compareHits(x, y hit) int {
	return cmp.Or(cmp.Compare(x.Time, y.Time), compareIDs(x.ID, y.ID))
}

// takeHits puts an account's hits in the place of those that were known, and reports whether they differ.
func (e *entry) takeHits(account string, hits []hit) bool {
	i, known := slices.BinarySearchFunc(e.Hits, account, func(h accountHits, account string) int { return cmp.Compare(h.Account, account) })
	switch {
	case known && slices.Equal(e.Hits[i].Hits, hits), !known && len(hits) == 0:
		return false
	case len(hits) == 0:
		e.Hits = slices.Delete(e.Hits, i, i+1)
	case known:
		e.Hits[i].Hits = hits
	default:
		e.Hits = slices.Insert(e.Hits, i, accountHits{account, hits})
	}
	if len(e.Hits) > maxAccounts { // the one that has been silent longest goes
		oldest := 0
		for i := range e.Hits {
			if compareHits(e.Hits[i].Hits[len(e.Hits[i].Hits)-1], e.Hits[oldest].Hits[len(e.Hits[oldest].Hits)-1]) < 0 {
				oldest = i
			}
		}
		e.Hits = slices.Delete(e.Hits, oldest, oldest+1)
	}
	return true
}

// global is the cause by hard bounces in several accounts: the first moment at which enough lie close enough. It shows
// neither whose mail bounced nor what it said.
func (e *entry) global(o *Options) []Cause {
	if o.GlobalAccounts == 0 {
		return nil
	}
	type one struct {
		hit
		account string
	}
	var all []one
	for i := range e.Hits {
		for _, h := range e.Hits[i].Hits {
			if h.Time > e.Ends.Bounce {
				all = append(all, one{h, e.Hits[i].Account})
			}
		}
	}
	slices.SortFunc(all, func(x, y one) int {
		return cmp.Or(compareHits(x.hit, y.hit), cmp.Compare(x.account, y.account))
	})
	within := event.Millis(o.GlobalWithin / time.Millisecond)
	for i := range all {
		accounts, unknown := make(map[string]bool), false
		for j := i; j >= 0 && all[i].Time-all[j].Time <= within; j-- {
			accounts[all[j].account] = true
			unknown = unknown || all[j].Category == categoryUnknown
		}
		if len(accounts) < o.GlobalAccounts {
			continue
		}
		h := &all[i]
		c := Cause{
			Reason: Bounce, Category: h.Category, Rule: ruleGlobal, MailboxProvider: h.Provider, Since: h.Time,
			Evidence: &Evidence{Event: h.ID, Kind: event.Bounce.String(), Time: h.Time, Status: h.Status},
		}
		if unknown { // one account's report that there is no such user weighs more than what the others got to hear
			c.Category = categoryUnknown
		}
		return []Cause{c}
	}
	return nil
}

const categoryUnknown = "invalid_recipient"

// end moves the causes that hold at a time, and that want says yes to, to the past.
func (e *entry) end(o *Options, at event.Millis, by string, want func(*Cause) bool) (ended bool) {
	list := e.causes(o)
	for i := range list {
		c := &list[i]
		if c.Ended != 0 || c.Since > at || !want(c) {
			continue
		}
		ended = ended || c.Quarantined || c.holds(at) // else its time was over
		e.remember(*c, at, by)
		e.Added = slices.DeleteFunc(e.Added, func(w wireCause) bool { return w.Reason == c.Reason && event.Millis(w.Since) == c.Since })
		switch c.Reason {
		case Bounce:
			e.Ends.Bounce = max(e.Ends.Bounce, at)
			e.Soft = nil
		case Complaint:
			e.Ends.Complaint = max(e.Ends.Complaint, at)
		case Unsubscribe:
			e.Ends.Unsubscribe = max(e.Ends.Unsubscribe, at)
		}
	}
	return ended
}

// remember keeps a cause that ended.
func (e *entry) remember(c Cause, at event.Millis, by string) {
	if c.Until != 0 && c.Until <= at {
		at, by = c.Until, "" // its time was over
	}
	c.Active, c.Ended, c.EndedBy = false, at, by
	if len(e.Past) == maxPast {
		e.Past = slices.Delete(e.Past, 0, 1)
	}
	e.Past = append(e.Past, c.wire())
}

// suppression returns how e stands at a time; 0: as far as is decided, whatever Until says.
func (e *entry) suppression(o *Options, at event.Millis) (Suppression, bool) {
	s := Suppression{Account: e.account, Address: e.name, Original: e.Original, Scope: scopeOf(e.account)}
	return s, s.lead(e.causes(o), at)
}

// lead puts the cause first that leads at a time, and leaves out those that began later. It reports whether there is one.
func (s *Suppression) lead(list []Cause, at event.Millis) bool {
	if at != 0 {
		list = slices.DeleteFunc(list, func(c Cause) bool { return c.Since > at })
		for i := range list {
			list[i].Active = list[i].holds(at)
		}
	}
	if len(list) == 0 {
		return false
	}
	slices.SortStableFunc(list, func(x, y Cause) int {
		return cmp.Or(cmp.Compare(x.rank(), y.rank()), cmp.Compare(y.Since*y.newest(), x.Since*x.newest()), cmp.Compare(x.Since, y.Since))
	})
	s.Cause, s.Others = list[0], list[1:]
	return true
}

// holds reports whether c stops mail at a time.
func (c *Cause) holds(at event.Millis) bool {
	return !c.Quarantined && c.Since <= at && (c.Until == 0 || at < c.Until) && (c.Ended == 0 || at < c.Ended)
}

// rank orders causes: those that hold, by reason, then those that wait, then the others.
func (c *Cause) rank() int {
	switch {
	case c.Active:
		return c.Reason.rank()
	case c.Quarantined && c.Ended == 0:
		return len(reasons)
	}
	return len(reasons) + 1
}

// newest is 1 where the latest comes first: among causes that are over.
func (c *Cause) newest() event.Millis {
	if c.rank() > len(reasons) {
		return 1
	}
	return 0
}
