package scenario

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Scenario is what is played. SCENARIOS.md, which is made from the tags, has its form.
type Scenario struct {
	Name            string        `yaml:"name" want:"a-z, 0-9 and hyphens" doc:"What results call it."`
	About           string        `yaml:"about" want:"text" doc:"One line for people."`
	Seed            uint64        `yaml:"seed" want:"a whole number" doc:"What is drawn: the same seed plays the same facts."`
	Messages        int           `yaml:"messages" want:"1 to 100000000, messages" doc:"How many messages are sent. With a rate, a duration may stand in its place."`
	Rate            float64       `yaml:"rate" want:"0 to 1000000, messages a second" doc:"How many messages begin a second; 0: as many as the node takes."`
	Duration        time.Duration `yaml:"duration" want:"0s to 240h" doc:"With a rate and without messages: for how long messages begin."`
	Connections     int           `yaml:"connections" want:"1 to 1000, connections" doc:"How many messages live at once, each with a connection to the tracking listener."`
	MailConnections int           `yaml:"mail_connections" want:"1 to 1000, connections" doc:"Most connections to the mail listener at once. A node takes 128 from one address, unless its settings say otherwise."`
	Batch           int           `yaml:"batch" want:"1 to 1000, messages" doc:"Most registrations in one request."`
	Senders         []Sender      `yaml:"senders" want:"a list of groups, below" doc:"Who sends, and what becomes of it."`
}

// Sender is a group of senders whose messages meet the same.
type Sender struct {
	Name      string  `yaml:"name" want:"a-z, 0-9 and hyphens" doc:"What the senders are called; of several, a number follows."`
	Count     int     `yaml:"count" want:"1 to 100000, senders" doc:"How many senders the group has, all of the same size."`
	Weight    float64 `yaml:"weight" want:"above 0" doc:"The group's part of the messages, against the other groups' weights."`
	Sequences int     `yaml:"sequences" want:"1 to 1000, sequences" doc:"Over how many sequences each sender's messages are spread."`
	Links     int     `yaml:"links" want:"1 to 50, links" doc:"Links in a message."`

	BouncesHard  float64 `yaml:"bounces_hard" want:"0 to 1" doc:"Share of the messages of which a status report says that there is no such user (5.1.1). Nothing else becomes of them."`
	BouncesSoft  float64 `yaml:"bounces_soft" want:"0 to 1" doc:"The same, with a full mailbox (5.2.2)."`
	Delays       float64 `yaml:"delays" want:"0 to 1" doc:"Share of the others of which a report tells a delay."`
	Prefetches   float64 `yaml:"prefetches" want:"0 to 1" doc:"Share whose pixel a privacy proxy loads."`
	Scans        float64 `yaml:"scans" want:"0 to 1" doc:"Share of which a scanner follows all links."`
	Opens        float64 `yaml:"opens" want:"0 to 1" doc:"Share that a person opens."`
	Clicks       float64 `yaml:"clicks" want:"0 to 1" doc:"Share, of those that no scanner visits, of which a person follows one link."`
	Replies      float64 `yaml:"replies" want:"0 to 1" doc:"Share that is answered."`
	AutoReplies  float64 `yaml:"auto_replies" want:"0 to 1" doc:"Share that an absent person's mailbox answers."`
	Complaints   float64 `yaml:"complaints" want:"0 to 1" doc:"Share of which a feedback report complains."`
	Unsubscribes float64 `yaml:"unsubscribes" want:"0 to 1" doc:"Share unsubscribed by one click."`
	Repeats      float64 `yaml:"repeats" want:"0 to 1" doc:"Share of all hits and mails that come twice, at once. They tell one fact."`
	Late         float64 `yaml:"late" want:"0 to 1" doc:"Share of the messages that are registered only after all that becomes of them has come."`

	Readers  []string `yaml:"readers" want:"names of people, below" doc:"Who opens and clicks."`
	Proxies  []string `yaml:"proxies" want:"names of proxies, below" doc:"Who loads pixels beforehand."`
	Scanners []string `yaml:"scanners" want:"names of scanners, below" doc:"Who follows all links."`
}

// Bounds of a scenario.
const (
	maxMessages    = 100_000_000
	maxRate        = 1_000_000
	maxDuration    = 240 * time.Hour
	maxConnections = 1000
	maxBatch       = 1000
	maxGroups      = 1000
	maxSenders     = 100_000
	maxSequences   = 1000
	maxLinks       = 50
	maxName        = 40
	maxWeight      = 1e9
)

// Default returns what holds where a file says nothing.
func Default() Scenario {
	return Scenario{Seed: 1, Connections: 32, MailConnections: 8, Batch: 200}
}

func defaultSender() Sender {
	return Sender{
		Count: 1, Weight: 1, Sequences: 1, Links: 2,
		Readers: namesOf(person), Proxies: namesOf(proxy), Scanners: namesOf(scanner),
	}
}

// fault is what is wrong with a field; path leads to it.
type fault struct {
	path string
	err  error
}

func (f *fault) Error() string { return f.path + ": " + f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

func wrong(path, format string, args ...any) error { return &fault{path, fmt.Errorf(format, args...)} }

// Validate checks that the scenario can be played, and works out how many messages a rate and a duration make.
func (s *Scenario) Validate() error {
	switch {
	case !isName(s.Name):
		return wrong("name", "%q: want 1 to %d of a-z, 0-9 and hyphens", s.Name, maxName)
	case !(s.Rate >= 0 && s.Rate <= maxRate):
		return wrong("rate", "%v: want 0 to %d messages a second", s.Rate, maxRate)
	case s.Duration < 0 || s.Duration > maxDuration:
		return wrong("duration", "%v: want 0s to %v", s.Duration, maxDuration)
	case s.Duration > 0 && s.Rate == 0:
		return wrong("duration", "%v: wants a rate", s.Duration)
	case s.Duration > 0 && s.Messages > 0:
		return wrong("duration", "%v: stands in place of messages: leave one of them out", s.Duration)
	}
	if s.Duration > 0 {
		s.Messages = int(math.Ceil(s.Rate * s.Duration.Seconds()))
		s.Duration = 0
	}
	for _, bound := range []struct {
		path   string
		n, max int
	}{
		{"messages", s.Messages, maxMessages},
		{"connections", s.Connections, maxConnections},
		{"mail_connections", s.MailConnections, maxConnections},
		{"batch", s.Batch, maxBatch},
		{"senders", len(s.Senders), maxGroups},
	} {
		if bound.n < 1 || bound.n > bound.max {
			return wrong(bound.path, "%d: want 1 to %d", bound.n, bound.max)
		}
	}
	return s.validateSenders()
}

func (s *Scenario) validateSenders() error {
	names, all := make(map[string]bool), 0
	for i := range s.Senders {
		g := &s.Senders[i]
		path := fmt.Sprintf("senders[%d]", i)
		if err := g.validate(); err != nil {
			var f *fault
			if errors.As(err, &f) {
				return &fault{path + "." + f.path, f.err}
			}
			return err
		}
		if names[g.Name] {
			return wrong(path+".name", "%q: another group has it", g.Name)
		}
		names[g.Name] = true
		if all += g.Count; all > maxSenders {
			return wrong(path+".count", "%d: want at most %d senders in all", g.Count, maxSenders)
		}
	}
	return nil
}

func (g *Sender) validate() error {
	switch {
	case !isName(g.Name):
		return wrong("name", "%q: want 1 to %d of a-z, 0-9 and hyphens", g.Name, maxName)
	case g.Count < 1 || g.Count > maxSenders:
		return wrong("count", "%d: want 1 to %d", g.Count, maxSenders)
	case !(g.Weight > 0 && g.Weight <= maxWeight):
		return wrong("weight", "%v: want more than 0, at most %g", g.Weight, float64(maxWeight))
	case g.Sequences < 1 || g.Sequences > maxSequences:
		return wrong("sequences", "%d: want 1 to %d", g.Sequences, maxSequences)
	case g.Links < 1 || g.Links > maxLinks:
		return wrong("links", "%d: want 1 to %d", g.Links, maxLinks)
	case g.BouncesHard+g.BouncesSoft > 1:
		return wrong("bounces_soft", "%v: more than all messages bounce, with bounces_hard", g.BouncesSoft)
	}
	for _, share := range g.shares() {
		if !(share.of >= 0 && share.of <= 1) {
			return wrong(share.path, "%v: want 0 to 1", share.of)
		}
	}
	for _, list := range []struct {
		path  string
		names []string
		who   who
	}{{"readers", g.Readers, person}, {"proxies", g.Proxies, proxy}, {"scanners", g.Scanners, scanner}} {
		if len(list.names) == 0 {
			return wrong(list.path, "want at least one of %v", namesOf(list.who))
		}
		for _, name := range list.names {
			if !slices.Contains(namesOf(list.who), name) {
				return wrong(list.path, "%q: want some of %v", name, namesOf(list.who))
			}
		}
	}
	return nil
}

// share is one share of a group, with its field.
type share struct {
	path string
	of   float64
}

func (g *Sender) shares() []share {
	return []share{
		{"bounces_hard", g.BouncesHard},
		{"bounces_soft", g.BouncesSoft},
		{"delays", g.Delays},
		{"prefetches", g.Prefetches},
		{"scans", g.Scans},
		{"opens", g.Opens},
		{"clicks", g.Clicks},
		{"replies", g.Replies},
		{"auto_replies", g.AutoReplies},
		{"complaints", g.Complaints},
		{"unsubscribes", g.Unsubscribes},
		{"repeats", g.Repeats},
		{"late", g.Late},
	}
}

func isName(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= maxName
}

// Complains reports whether feedback reports belong to the scenario.
func (s *Scenario) Complains() bool {
	return slices.ContainsFunc(s.Senders, func(g Sender) bool { return g.Complaints > 0 })
}

// IsLate reports whether some messages are registered after what becomes of them.
func (s *Scenario) IsLate() bool {
	return slices.ContainsFunc(s.Senders, func(g Sender) bool { return g.Late > 0 })
}
