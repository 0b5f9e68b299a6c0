package scenario

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"carom/bench/mails"
	"carom/bench/node"
)

// sentBefore is how long before the play its messages were sent: so long ago that their enrollments have completed, and
// so short that they still count in the last seven days.
const sentBefore = 5 * 24 * time.Hour

// plan tells of every message what becomes of it, by its number alone: nothing is kept.
type plan struct {
	scenario *Scenario
	account  string
	run      string // tells this play's messages from those of others
	sentAt   time.Time
	weights  []float64 // up to and with each group
}

func newPlan(s *Scenario, account, run string, begin time.Time) *plan {
	p := &plan{scenario: s, account: account, run: run, sentAt: begin.Add(-sentBefore).UTC().Truncate(time.Millisecond)}
	sum := 0.0
	for i := range s.Senders {
		sum += s.Senders[i].Weight
		p.weights = append(p.weights, sum)
	}
	return p
}

// fate is what becomes of a message.
type fate uint16

const (
	bouncesHard fate = 1 << iota
	bouncesSoft
	isDelayed
	isPrefetched
	isScanned
	isOpened
	isClicked
	isReplied
	isAway
	isComplained
	isUnsubscribed
	isLate
)

func (f fate) has(want fate) bool { return f&want != 0 }

// message is one mail of the play.
type message struct {
	index  int
	group  *Sender
	sender int // of the group
	fate   fate
	random *rand.Rand // draws what is left open, always in the same order

	reader, proxy, scanner *visitor
	readerAt               netip.Addr

	links node.Links // as registered
}

// place draws whose message it is.
func (p *plan) place(i int) (m message, random *rand.Rand) {
	random = rand.New(rand.NewPCG(p.scenario.Seed, uint64(i)))
	at := random.Float64() * p.weights[len(p.weights)-1]
	group := 0
	for group < len(p.weights)-1 && at >= p.weights[group] {
		group++
	}
	g := &p.scenario.Senders[group]
	return message{index: i, group: g, sender: random.IntN(g.Count)}, random
}

// message draws what becomes of message i.
func (p *plan) message(i int) *message {
	m, random := p.place(i)
	m.random = random
	g := m.group
	at := random.Float64()
	switch {
	case at < g.BouncesHard:
		m.fate = bouncesHard
	case at < g.BouncesHard+g.BouncesSoft:
		m.fate = bouncesSoft
	default:
		m.fate = drawFate(random, g)
	}
	if random.Float64() < g.Late {
		m.fate |= isLate
	}
	m.reader, m.proxy, m.scanner = pick(random, g.Readers), pick(random, g.Proxies), pick(random, g.Scanners)
	m.readerAt = m.reader.address(random)
	return &m
}

// drawFate draws the fate of a message that arrives.
func drawFate(random *rand.Rand, g *Sender) (f fate) {
	for _, chance := range []struct {
		share float64
		fate  fate
	}{
		{g.Delays, isDelayed},
		{g.Prefetches, isPrefetched},
		{g.Scans, isScanned},
		{g.Opens, isOpened},
		{g.Clicks, isClicked},
		{g.Replies, isReplied},
		{g.AutoReplies, isAway},
		{g.Complaints, isComplained},
		{g.Unsubscribes, isUnsubscribed},
	} {
		if random.Float64() < chance.share {
			f |= chance.fate
		}
	}
	// A person's click amid a scanner's is a burst, whoever made it: its verdict is not sure.
	if f.has(isScanned) {
		f &^= isClicked
	}
	return f
}

func pick(random *rand.Rand, names []string) *visitor {
	return visitorNamed(names[random.IntN(len(names))])
}

const messageDomain = "@scenario.example.com"

func (p *plan) messageID(i int) string { return p.run + "." + strconv.Itoa(i) + messageDomain }

// index is the number of the message with an id. ok is false of other plays' messages, invented ones included.
func (p *plan) index(id string) (i int, ok bool) {
	rest, ok := strings.CutPrefix(id, p.run+".")
	if !ok {
		return 0, false
	}
	digits, ok := strings.CutSuffix(rest, messageDomain)
	if !ok {
		return 0, false
	}
	i, err := strconv.Atoi(digits)
	return i, err == nil && i >= 0 && i < p.scenario.Messages && p.messageID(i) == id
}

func (p *plan) senderName(g *Sender, n int) string {
	if g.Count == 1 {
		return g.Name + "-" + p.run
	}
	return g.Name + "-" + strconv.Itoa(n+1) + "-" + p.run
}

// senderOf is the name of a message's sender.
func (p *plan) senderOf(i int) string {
	m, _ := p.place(i)
	return p.senderName(m.group, m.sender)
}

// senders counts them all, and their names come by number.
func (p *plan) senders() (n int) {
	for i := range p.scenario.Senders {
		n += p.scenario.Senders[i].Count
	}
	return n
}

// senderNumber is the number of a message's sender among all.
func (p *plan) senderNumber(i int) (n int) {
	m, _ := p.place(i)
	for g := range p.scenario.Senders {
		if &p.scenario.Senders[g] == m.group {
			return n + m.sender
		}
		n += p.scenario.Senders[g].Count
	}
	panic("BUG: scenario: a message of no group")
}

// senderNumbered is the name of sender n among all.
func (p *plan) senderNumbered(n int) string {
	for i := range p.scenario.Senders {
		g := &p.scenario.Senders[i]
		if n < g.Count {
			return p.senderName(g, n)
		}
		n -= g.Count
	}
	panic("BUG: scenario: no such sender")
}

func (p *plan) recipient(i int) string { return fmt.Sprintf("c%d.%s@example.net", i, p.run) }

func (p *plan) registration(m *message) node.Registration {
	r := node.Registration{
		Account: p.account, Sender: p.senderName(m.group, m.sender), Sequence: fmt.Sprintf("s%d", m.index%m.group.Sequences),
		Contact: "c" + strconv.Itoa(m.index), Message: p.messageID(m.index), Recipient: p.recipient(m.index), SentAt: p.sentAt,
		Links: make([]string, m.group.Links),
	}
	for i := range r.Links {
		r.Links[i] = fmt.Sprintf("https://example.com/%s/%d?m=%d", m.group.Name, i, m.index)
	}
	return r
}

// about is what mails about a message need.
func (p *plan) about(m *message) *mails.About {
	return &mails.About{
		Message: p.messageID(m.index), Sender: m.group.Name, Recipient: p.recipient(m.index),
		ReturnPath: m.links.ReturnPath, ReplyTo: m.links.ReplyTo, Ref: m.links.Headers["X-Carom-Ref"],
	}
}
