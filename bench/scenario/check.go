package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"carom/bench/node"
	"carom/bench/result"
)

// maxShown is how many differences of a stream are listed by name. All are counted.
const maxShown = 20

// Check is what the comparison of one stream with the account came to.
type Check struct {
	What    string `json:"what"`   // events of the API, scores, carom.events, carom.raw
	Events  int64  `json:"events"` // read
	Facts   int64  `json:"facts"`  // acknowledged, so that they must be there
	Arrived int64  `json:"arrived"`
	// Unanswered facts had no answer: they may be there or not, and this is how many are.
	Unanswered int64 `json:"unanswered_arrived"`
	// Again counts what came once more and was dropped by its origin, as a consumer does.
	Again int64 `json:"again,omitempty"`
	// Foreign counts events of other plays.
	Foreign     int64            `json:"foreign,omitempty"`
	Differences map[string]int64 `json:"differences"` // by sort
	Named       []string         `json:"named,omitempty"`
}

// Right reports whether nothing differs.
func (c *Check) Right() bool { return len(c.Differences) == 0 }

func newCheck(what string) *Check { return &Check{What: what, Differences: make(map[string]int64)} }

// The sorts of differences.
const (
	missing  = "acknowledged and not there"
	invented = "there and never sent"
	double   = "there twice"
	retold   = "told twice in one stream"
	sender   = "of another sender"
	actor    = "with another verdict"
	reason   = "with another reason of the bounce"
	inferred = "an inferred open too many"
	deduced  = "no open was inferred"
	counted  = "counted otherwise"
)

func (c *Check) differ(sort, name string) {
	if c.Differences[sort]++; len(c.Named) < maxShown {
		c.Named = append(c.Named, name+": "+sort)
	}
}

// checker compares a stream of events with the account.
type checker struct {
	plan   *plan
	ledger *ledger
	alone  bool // nobody else uses the account, so every event is of this play

	mu      sync.Mutex // guards what follows
	check   *Check
	visible [kinds]*result.Histogram // from the acknowledgement
	last    time.Time                // when an event came
}

func newChecker(p *plan, l *ledger, what string, alone bool) *checker {
	c := &checker{plan: p, ledger: l, alone: alone, check: newCheck(what), last: time.Now()}
	for k := range c.visible {
		c.visible[k] = result.NewHistogram()
	}
	return c
}

// bounces are what a right node makes of the reports, by status.
var bounces = map[string]struct {
	hard     bool
	category string
}{
	hardStatus.Code: {true, "invalid_recipient"},
	softStatus.Code: {false, "mailbox_full"},
}

// event takes in one event.
func (c *checker) event(e *node.Event) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Kind == "alert" { // nobody sent those
		return
	}
	i, ok := c.plan.index(e.Message)
	k, known := kindNamed(e.Kind)
	if !ok || !known {
		if c.alone || ok {
			c.check.differ(invented, fmt.Sprintf("%s of %s, sender %s", e.Kind, e.Message, e.Sender))
		} else {
			c.check.Foreign++
		}
		return
	}
	c.check.Events++
	c.last = now
	f, g := c.fact(i, k, e)
	waited, fresh, wrong := c.ledger.see(f, g, now)
	if wrong {
		c.check.differ(invented, f.name(c.plan))
	}
	if fresh {
		c.visible[f.kind()].Record(waited)
	}
}

// fact says of which fact an event of message i tells, and what it says of it.
func (c *checker) fact(i int, k kind, e *node.Event) (fact, *sighting) {
	g := &sighting{id: e.ID, revision: e.Revision, takenBack: e.TakenBack()}
	w, link := nobody, 0
	switch {
	case k == open && e.Inferred:
		k = inferredOpen
	case k == open || k == click:
		w = actorOf(e.Client.UserAgent, e.Actor.Verdict)
		if e.Actor.Verdict != w.verdict() {
			g.wrong |= wrongActor
		}
		if k == click {
			link = e.Link.Index
		}
	case k == bounce:
		want, ok := bounces[e.Bounce.Status]
		if !ok || want.hard != e.Bounce.Hard || want.category != e.Bounce.Category || c.plan.recipient(i) != e.Bounce.Recipient {
			g.wrong |= wrongBounce
		}
		link = bounceLink(e.Bounce.Status)
	}
	if e.Sender != c.plan.senderOf(i) {
		g.wrong |= wrongSender
	}
	return newFact(i, k, w, link), g
}

// bounceLink tells a hard bounce from a soft one within the fact.
func bounceLink(status string) int {
	if status == hardStatus.Code {
		return 1
	}
	return 0
}

// quiet is how long no event has come.
func (c *checker) quiet() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.last)
}

// met is what of a message counts for others: bits of all its facts together.
type met uint16

const (
	metSent met = 1 << iota
	metOpen
	metOpenMaybe // tried and not answered: whether it came first nobody knows
	metClick
	metReply
	metInferred
	metProxyOpen
	metScan
	metHard
	metSoft
	metComplaint
	metUnsubscribe
)

// finish compares the whole stream, once it is read. It returns what each message met, and its clicks by scanners.
func (c *checker) finish() (*Check, []met) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]met, c.plan.scenario.Messages)
	list := faultList{}
	c.ledger.each(func(e *entry) {
		c.finishEntry(e, &list)
		all[e.fact.message()] |= e.met()
	})
	for i, m := range all {
		told := m&(metClick|metReply) != 0
		switch {
		case m&metInferred != 0 && (!told || m&metOpen != 0 && m&metOpenMaybe == 0):
			list.add(inferred, newFact(i, inferredOpen, nobody, 0))
		case m&metInferred == 0 && told && m&metOpen == 0:
			list.add(deduced, newFact(i, inferredOpen, nobody, 0))
		}
	}
	list.into(c.check, c.plan)
	return c.check, all
}

func (c *checker) finishEntry(e *entry, list *faultList) {
	if e.fact.kind() == inferredOpen {
		if e.state&twice != 0 {
			list.add(double, e.fact)
		}
		if e.state&wrongSender != 0 {
			list.add(sender, e.fact)
		}
		return
	}
	there := e.state&seen != 0
	switch {
	case e.acked != 0:
		c.check.Facts++
		if there {
			c.check.Arrived++
		} else {
			list.add(missing, e.fact)
		}
	case there:
		c.check.Unanswered++
	}
	for _, one := range []struct {
		bit  state
		sort string
	}{{twice, double}, {told, retold}, {wrongSender, sender}, {wrongActor, actor}, {wrongBounce, reason}} {
		if e.state&one.bit != 0 {
			list.add(one.sort, e.fact)
		}
	}
}

// met is what an entry tells of its message.
func (e *entry) met() (m met) {
	if e.fact.kind() == open && e.fact.who() == person && e.acked == 0 {
		m = metOpenMaybe
	}
	if e.state&seen == 0 {
		return m
	}
	switch e.fact.kind() {
	case sent:
		m |= metSent
	case open:
		m |= map[who]met{person: metOpen, proxy: metProxyOpen}[e.fact.who()]
	case click:
		m |= map[who]met{person: metClick, scanner: metScan}[e.fact.who()]
	case inferredOpen:
		m |= metInferred
	case bounce:
		m |= []met{metSoft, metHard}[e.fact.link()]
	case complaint:
		m |= metComplaint
	case unsubscribe:
		m |= metUnsubscribe
	case reply:
		m |= metReply
	}
	return m
}

// faultList counts what is wrong with facts, and keeps the first of them.
type faultList struct {
	counts map[string]int64
	first  []faultOf
}

type faultOf struct {
	sort string
	fact fact
}

func (l *faultList) add(sort string, f fact) {
	if l.counts == nil {
		l.counts = make(map[string]int64)
	}
	l.counts[sort]++
	if len(l.first) == maxShown && l.first[maxShown-1].fact <= f {
		return
	}
	at, _ := slices.BinarySearchFunc(l.first, f, func(one faultOf, f fact) int { return cmp.Compare(one.fact, f) })
	l.first = slices.Insert(l.first, at, faultOf{sort, f})
	l.first = l.first[:min(len(l.first), maxShown)]
}

// into names the first ones in the check.
func (l *faultList) into(c *Check, p *plan) {
	for sort, n := range l.counts {
		c.Differences[sort] += n
	}
	for _, one := range l.first {
		if len(c.Named) < maxShown {
			c.Named = append(c.Named, one.fact.name(p)+": "+one.sort)
		}
	}
}
