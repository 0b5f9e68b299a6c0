package demo

import (
	"fmt"
	"math/rand/v2"
	"time"

	"carom/bench/node"
)

// sender is one of the day's senders, and how its list behaves: shares of its delivered messages.
type sender struct {
	name     string
	sequence string
	contacts int
	about    string

	hardBounce, softBounce, delay       float64
	open, proxyOpen, scan, click, reply float64
	vacation, complaint, unsubscribe    float64
}

// The three senders of the day.
var cast = []sender{
	{
		name: "harbour", sequence: "spring", contacts: 1800, about: "a healthy list",
		hardBounce: 0.006, softBounce: 0.008, delay: 0.02, open: 0.42, proxyOpen: 0.2, scan: 0.08, click: 0.12,
		reply: 0.14, vacation: 0.03, complaint: 0.0005, unsubscribe: 0.004,
	},
	{
		name: "bargain", sequence: "blast", contacts: 1200, about: "a rotten list",
		hardBounce: 0.13, softBounce: 0.05, delay: 0.05, open: 0.11, proxyOpen: 0.15, scan: 0.12, click: 0.01,
		reply: 0.004, vacation: 0.02, complaint: 0.006, unsubscribe: 0.02,
	},
	{
		name: "atelier", sequence: "first", contacts: 60, about: "too small to judge",
		hardBounce: 0.02, softBounce: 0.02, delay: 0, open: 0.5, proxyOpen: 0.2, scan: 0.05, click: 0.2,
		reply: 0.2, vacation: 0.05, complaint: 0, unsubscribe: 0,
	},
}

// fate is what becomes of one message.
type fate uint

const (
	bouncesHard fate = 1 << iota
	bouncesSoft
	isDelayed
	isOpened
	isPrefetched
	isScanned
	isClicked
	isReplied
	isAway
	isComplained
	isUnsubscribed
	isOpenedTwice // if it is opened at all
)

func (f fate) has(want fate) bool { return f&want != 0 }

// message is one mail of the day. A contact who gets two of them makes one enrollment.
type message struct {
	sender    *sender
	contact   string
	id        string
	recipient string
	sentAt    time.Time
	fate      fate

	links node.Links // as registered
}

const (
	// followUp is the share of contacts who get a second mail of the sequence.
	followUp = 0.25
	// reload is the share of opened messages whose pixel is loaded twice.
	reload = 0.25
)

// makePlan draws the day's messages.
func makePlan(seed uint64, day time.Time) []*message {
	random := rand.New(rand.NewPCG(seed, 0))
	var plan []*message
	for i := range cast {
		s := &cast[i]
		for n := range s.contacts {
			contact := fmt.Sprintf("%s-%04d", s.name, n)
			mails := 1
			if random.Float64() < followUp {
				mails = 2
			}
			for step := range mails {
				plan = append(plan, &message{
					sender: s, contact: contact,
					id:        fmt.Sprintf("%s.%d@mail.example.com", contact, step),
					recipient: contact + "@example.net",
					sentAt:    day.Add(time.Duration(random.Int64N(int64(24 * time.Hour)))).Truncate(time.Millisecond),
					fate:      drawFate(random, s),
				})
			}
		}
	}
	return plan
}

// drawFate decides what becomes of one message. A bounced one meets nobody.
func drawFate(random *rand.Rand, s *sender) fate {
	happens := func(share float64) bool { return random.Float64() < share }
	if happens(s.hardBounce) {
		return bouncesHard
	}
	if happens(s.softBounce) {
		return bouncesSoft
	}
	var f fate
	for _, chance := range []struct {
		share float64
		fate  fate
	}{
		{s.delay, isDelayed},
		{s.open, isOpened},
		{s.proxyOpen, isPrefetched},
		{s.scan, isScanned},
		{s.click, isClicked},
		{s.reply, isReplied},
		{s.vacation, isAway},
		{s.complaint, isComplained},
		{s.unsubscribe, isUnsubscribed},
		{reload, isOpenedTwice},
	} {
		if happens(chance.share) {
			f |= chance.fate
		}
	}
	return f
}

// expectCounts foretells each sender's counts, by enrollment.
//
// A bounce stands unless something later says that the contact can be reached. All hits and mails of the day arrive
// now, in this order: bounces first, then everything else (see play), so what a contact's other mail met lifts it.
func expectCounts(plan []*message) map[string]node.Counts {
	fates := make(map[*sender]map[string][]fate)
	for _, m := range plan {
		if fates[m.sender] == nil {
			fates[m.sender] = make(map[string][]fate)
		}
		fates[m.sender][m.contact] = append(fates[m.sender][m.contact], m.fate)
	}
	result := make(map[string]node.Counts)
	for s, contacts := range fates {
		var c node.Counts
		for _, all := range contacts {
			var f fate
			for _, one := range all {
				f |= one
				addHits(&c, one)
			}
			add(&c, f)
		}
		result[s.name] = c
	}
	return result
}

// add counts one enrollment of which all of f happened.
func add(c *node.Counts, f fate) {
	reached := f.has(isOpened | isClicked | isReplied)
	count := func(n *int, when bool) {
		if when {
			*n++
		}
	}
	count(&c.Completed, true)
	count(&c.Replied, f.has(isReplied))
	count(&c.Bounced, f.has(bouncesHard|bouncesSoft) && !reached)
	count(&c.BouncedHard, f.has(bouncesHard) && !reached)
	count(&c.Complained, f.has(isComplained))
	count(&c.Unsubscribed, f.has(isUnsubscribed))
	count(&c.Opened, reached) // a click or a reply implies an open
	count(&c.Clicked, f.has(isClicked))
	count(&c.MachineOpened, f.has(isPrefetched))
	count(&c.MachineClicked, f.has(isScanned))
}

// addHits counts the opens and clicks of one message of which all of f happened.
func addHits(c *node.Counts, f fate) {
	for _, one := range []struct {
		n    *int
		when fate
	}{
		{&c.Opens, isOpened | isClicked | isReplied},
		{&c.Clicks, isClicked},
		{&c.MachineOpens, isPrefetched},
		{&c.MachineClicks, isScanned},
	} {
		if f&one.when != 0 {
			*one.n++
		}
	}
}

// expectEvents foretells how many refined events of each kind there will be.
func expectEvents(plan []*message) map[string]int {
	n := make(map[string]int)
	for _, m := range plan {
		f := m.fate
		n["sent"]++
		for kind, when := range map[string]fate{
			"bounce": bouncesHard | bouncesSoft, "delay": isDelayed, "reply": isReplied, "auto_reply": isAway,
			"complaint": isComplained, "unsubscribe": isUnsubscribed,
		} {
			if f.has(when) {
				n[kind]++
			}
		}
		for _, hit := range []struct {
			kind string
			when bool
		}{
			{"open", f.has(isOpened)},
			{"open", f.has(isPrefetched)},
			{"open", !f.has(isOpened) && f.has(isClicked|isReplied)}, // inferred
			{"click", f.has(isClicked)},
			{"click", f.has(isScanned)},
		} {
			if hit.when {
				n[hit.kind]++
			}
		}
	}
	return n
}
