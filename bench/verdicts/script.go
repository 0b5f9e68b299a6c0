package verdicts

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

//go:embed scripts/*.yaml
var builtin embed.FS

// Builtin returns the scripts that come with Carom, by name.
func Builtin() ([]Script, error) {
	files, err := fs.Sub(builtin, "scripts")
	if err != nil {
		return nil, err
	}
	return load(files)
}

// Load reads the scripts of a folder, by name.
func Load(dir string) ([]Script, error) { return load(os.DirFS(dir)) }

// Script is one kind of traffic. SCRIPTS.md has its form.
type Script struct {
	Name     string  `yaml:"name"`
	About    string  `yaml:"about"`
	Source   string  `yaml:"source"`
	Messages int     `yaml:"messages"`
	Links    int     `yaml:"links"`
	Sent     span    `yaml:"sent"`
	Start    span    `yaml:"start"`
	Actors   []actor `yaml:"actors"`
}

// actor is one visitor of the script's messages.
type actor struct {
	Name        string            `yaml:"name"`
	Truth       Truth             `yaml:"truth"`
	Share       *float64          `yaml:"share"`
	Address     []netip.Prefix    `yaml:"address"`
	AddressEach each              `yaml:"address_each"`
	Agent       []string          `yaml:"agent"`
	AgentEach   each              `yaml:"agent_each"`
	Headers     map[string]string `yaml:"headers"`
	Steps       []step            `yaml:"steps"`
}

// step is what an actor does once, or several times in a row.
type step struct {
	Do     action   `yaml:"do"`
	After  span     `yaml:"after"`
	Link   string   `yaml:"link"`
	Each   span     `yaml:"each"`
	Times  int      `yaml:"times"`
	Share  *float64 `yaml:"share"`
	Method string   `yaml:"method"`
	Truth  Truth    `yaml:"truth"`
}

// Truth is who really acted.
type Truth string

// The truths.
const (
	Human   Truth = "human"
	Machine Truth = "machine"
	Unsure  Truth = "unsure" // nobody could tell from what the server sees
)

// each says how often something is drawn anew.
type each string

const (
	eachMessage each = "message"
	eachHit     each = "hit"
	eachScript  each = "script"
)

// action is what a step does.
type action string

const (
	doOpen             action = "open"
	doClick            action = "click"
	doHoneypot         action = "honeypot"
	doUnsubscribe      action = "unsubscribe"
	doVisitUnsubscribe action = "visit_unsubscribe"
)

// The links that a click may name beside a number.
const (
	linkAll     = "all"
	linkRandom  = "random"
	linkAnother = "another"
)

// Bounds of a script, so that a slip of the pen does not become a flood.
const (
	maxMessages = 100_000
	maxLinks    = 50
	maxActors   = 32
	maxSteps    = 64
	maxTimes    = 100
	maxWait     = time.Hour
	maxScript   = 1 << 20
)

// span is a duration drawn between two.
type span struct{ from, to time.Duration }

func (s *span) UnmarshalYAML(n *yaml.Node) error {
	from, to, ranged := strings.Cut(n.Value, "..")
	var err error
	if s.from, err = time.ParseDuration(strings.TrimSpace(from)); err != nil {
		return fmt.Errorf("line %d: %q: want a duration such as 5s, or a range such as 5s..2h", n.Line, n.Value)
	}
	s.to = s.from
	if ranged {
		if s.to, err = time.ParseDuration(strings.TrimSpace(to)); err != nil {
			return fmt.Errorf("line %d: %q: want a duration such as 5s, or a range such as 5s..2h", n.Line, n.Value)
		}
	}
	if s.from < 0 || s.to < s.from {
		return fmt.Errorf("line %d: %q: want a range that does not run back", n.Line, n.Value)
	}
	return nil
}

func load(files fs.FS) ([]Script, error) {
	names, err := fs.Glob(files, "*.yaml")
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errors.New("no scripts: the folder holds no *.yaml")
	}
	var all []Script
	for _, name := range names {
		s, err := read(files, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if slices.ContainsFunc(all, func(other Script) bool { return other.Name == s.Name }) {
			return nil, fmt.Errorf("%s: name: %q is another script's already", name, s.Name)
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Script) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

func read(files fs.FS, name string) (s Script, err error) {
	f, err := files.Open(name)
	if err != nil {
		return s, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() > maxScript {
		return s, errors.Join(err, fmt.Errorf("want a file of at most %d bytes", maxScript))
	}
	d := yaml.NewDecoder(f)
	d.KnownFields(true)
	if err := d.Decode(&s); err != nil {
		return s, err
	}
	return s, s.validate()
}

var scriptName = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)

// validate fills in what may be left out, and names the first member that is wrong.
func (s *Script) validate() error {
	switch {
	case !scriptName.MatchString(s.Name):
		return fmt.Errorf("name: %q: want 1 to 40 of a-z, 0-9 and hyphens", s.Name)
	case s.Messages < 1 || s.Messages > maxMessages:
		return fmt.Errorf("messages: %d: want 1 to %d", s.Messages, maxMessages)
	case s.Links < 1 || s.Links > maxLinks:
		return fmt.Errorf("links: %d: want 1 to %d", s.Links, maxLinks)
	case s.Start.to > maxWait:
		return fmt.Errorf("start: %v: want at most %v", s.Start.to, maxWait)
	case len(s.Actors) == 0 || len(s.Actors) > maxActors:
		return fmt.Errorf("actors: want 1 to %d", maxActors)
	}
	for i := range s.Actors {
		if err := s.Actors[i].validate(s.Links); err != nil {
			return fmt.Errorf("actors: %d %s: %w", i+1, s.Actors[i].Name, err)
		}
	}
	return nil
}

func (a *actor) validate(links int) error {
	a.AddressEach, a.AgentEach = orMessage(a.AddressEach), orMessage(a.AgentEach)
	switch {
	case !a.Truth.valid():
		return fmt.Errorf("truth: %q: want human, machine or unsure", a.Truth)
	case !isShare(a.Share):
		return fmt.Errorf("share: %v: want 0 to 1", *a.Share)
	case len(a.Address) == 0:
		return errors.New("address: want a list of prefixes such as 192.0.2.0/24")
	case len(a.Agent) == 0:
		return errors.New(`agent: want a list; "" for none`)
	case !a.AddressEach.valid() || !a.AgentEach.valid():
		return errors.New("address_each, agent_each: want hit, message or script")
	case len(a.Steps) == 0 || len(a.Steps) > maxSteps:
		return fmt.Errorf("steps: want 1 to %d", maxSteps)
	}
	for i := range a.Steps {
		if err := a.Steps[i].validate(links); err != nil {
			return fmt.Errorf("steps: %d: %w", i+1, err)
		}
		if a.Steps[i].Truth == "" {
			a.Steps[i].Truth = a.Truth
		}
	}
	return nil
}

func (st *step) validate(links int) error {
	if st.Times == 0 {
		st.Times = 1
	}
	if st.Link == "" {
		st.Link = linkRandom
	}
	switch st.Do {
	case doOpen, doClick, doHoneypot, doUnsubscribe, doVisitUnsubscribe:
	default:
		return fmt.Errorf("do: %q: want open, click, honeypot, unsubscribe or visit_unsubscribe", st.Do)
	}
	n, err := strconv.Atoi(st.Link)
	switch {
	case st.Link != linkAll && st.Link != linkRandom && st.Link != linkAnother && (err != nil || n < 0 || n >= links):
		return fmt.Errorf("link: %q: want a number from 0 to %d, random, another or all", st.Link, links-1)
	case st.Times < 1 || st.Times > maxTimes:
		return fmt.Errorf("times: %d: want 1 to %d", st.Times, maxTimes)
	case st.After.to > maxWait || st.Each.to > maxWait:
		return fmt.Errorf("after, each: want at most %v", maxWait)
	case !isShare(st.Share):
		return fmt.Errorf("share: %v: want 0 to 1", *st.Share)
	case st.Truth != "" && !st.Truth.valid():
		return fmt.Errorf("truth: %q: want human, machine or unsure", st.Truth)
	}
	return nil
}

func (t Truth) valid() bool { return t == Human || t == Machine || t == Unsure }

func (e each) valid() bool { return e == eachMessage || e == eachHit || e == eachScript }

func orMessage(e each) each {
	if e == "" {
		return eachMessage
	}
	return e
}

func isShare(s *float64) bool { return s == nil || *s >= 0 && *s <= 1 }
