package report

import (
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"sync"
)

// The rules are data: every row names its source. See tables/README.md for the columns.
//
//go:embed tables/*.tsv
var tableFiles embed.FS

// tables are the compiled rule files. They never change once made.
type tables struct {
	rules     []rule // provider rules first, then rules for any provider: the first that fits decides
	commands  []smtpCommand
	markers   []string // provider names, by pattern
	match     *matcher
	statuses  map[uint32]verdict
	codes     map[[3]byte][]codeRule
	providers map[string]providerNames // by domain suffix
	// callers finds the patterns of commands alone, in words that are not the refusing side's.
	callers *matcher
	// notices finds what notices say of themselves, by kind.
	notices   [numNoticeKinds]*matcher
	subjects  []string        // how subjects of auto-replies begin, in lower case
	sentences *matcher        // what their texts say
	senders   map[string]bool // local parts that no human writes from
	phrases   *matcher        // finds what notices are known by
}

// providerRules is the table of rules that hold for one provider.
const providerRules = "provider-rules.tsv"

// verdict is a category and the rule that gave it.
type verdict struct {
	category string
	rule     string
	row      *Row
	weakened bool // a vague rule gave it, and nothing else says so too
}

// rule is one row of the text rules.
type rule struct {
	verdict
	provider string
	class    byte // '4', '5' or 0 for any
	status   uint32
	code     string
	command  smtpCommand
	// weak: neither a status 5.1.x nor the refusal of RCPT says that the recipient is unknown.
	weak bool
	// of: right before the words stands the domain of this party.
	of party
	// vague: where neither says so, these words alone do not make an address bad: the category is filtered.
	vague bool
}

type codeRule struct {
	verdict
	command smtpCommand
}

// providerNames are the providers that a domain belongs to: as the suffix of a mail host, as that of an address.
type providerNames struct{ host, address string }

// smtpCommand is the step of the dialogue that was refused.
type smtpCommand uint8

const (
	commandUnknown smtpCommand = iota
	commandConnect
	commandHello
	commandTLS
	commandAuth
	commandMail
	commandRcpt
	commandData // DATA itself or the end of the data
)

var commandNames = map[string]smtpCommand{
	"connect": commandConnect, "hello": commandHello, "tls": commandTLS, "auth": commandAuth,
	"mail": commandMail, "rcpt": commandRcpt, "data": commandData,
}

// party is who the domain belongs to that a refusal names.
type party uint8

const (
	nobody party = iota
	theRecipient
	theSender // whom the bounce came back to
)

var partyNames = map[string]party{"recipient": theRecipient, "sender": theSender}

// Categories of DESIGN §7.
var categories = func() map[string]bool {
	m := map[string]bool{}
	for _, c := range strings.Fields(`invalid_recipient bad_domain mailbox_full inactive blocked reputation auth_failure
		policy spam_content virus content_format content_too_big rate_limited greylisted timeout dns tls relay protocol
		sender_rejected filtered remote_system local_system delivered other`) {
		m[c] = true
	}
	return m
}()

// compiled returns the tables, compiled at first use.
var compiled = sync.OnceValue(func() *tables {
	t, err := compileTables(tableFiles)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return t
})

// compileTables reads the files below tables/ in files.
func compileTables(files fs.FS) (*tables, error) {
	t := &tables{
		statuses:  map[uint32]verdict{},
		codes:     map[[3]byte][]codeRule{},
		providers: map[string]providerNames{},
		senders:   map[string]bool{},
	}
	var patterns, markerPatterns, commandPatterns, sentences []string
	var noticePatterns [numNoticeKinds][]string
	for _, table := range []struct {
		file    string
		columns int
		row     func(c []string, at Row) error
	}{
		{providerRules, 5, func(c []string, at Row) error { return t.addRule("provider:", c, at, &patterns) }},
		{"texts.tsv", 5, func(c []string, at Row) error { return t.addRule("text:", c, at, &patterns) }},
		{"commands.tsv", 3, func(c []string, _ Row) error {
			command, ok := commandNames[c[0]]
			if !ok {
				return fmt.Errorf("no command %q", c[0])
			}
			t.commands = append(t.commands, command)
			commandPatterns = append(commandPatterns, c[1])
			return nil
		}},
		{"providers.tsv", 4, func(c []string, _ Row) error { return t.addProvider(c, &markerPatterns) }},
		{"notices.tsv", 3, func(c []string, _ Row) error { return addNotice(c, &noticePatterns) }},
		{"statuses.tsv", 3, t.addStatus},
		{"replycodes.tsv", 4, t.addCode},
		{"autoreplies.tsv", 3, func(c []string, _ Row) error { return t.addAutoReply(c, &sentences) }},
		{"daemons.tsv", 2, func(c []string, _ Row) error { t.senders[c[0]] = true; return nil }},
	} {
		if err := readTable(files, table.file, table.columns, table.row); err != nil {
			return nil, err
		}
	}
	match, err := newMatcher(append(append(patterns, commandPatterns...), markerPatterns...))
	if err != nil {
		return nil, fmt.Errorf("compile patterns: %w", err)
	}
	t.match = match
	if t.callers, err = newMatcher(commandPatterns); err != nil {
		return nil, fmt.Errorf("compile commands: %w", err)
	}
	for kind := range t.notices {
		if t.notices[kind], err = newMatcher(noticePatterns[kind]); err != nil {
			return nil, fmt.Errorf("compile notices: %w", err)
		}
	}
	if t.phrases, err = newExactMatcher(phrases); err != nil {
		return nil, fmt.Errorf("compile phrases: %w", err)
	}
	if t.sentences, err = newMatcher(sentences); err != nil {
		return nil, fmt.Errorf("compile sentences: %w", err)
	}
	return t, nil
}

// readTable calls row with the columns of each line of a file that is neither empty nor a comment.
func readTable(files fs.FS, name string, columns int, row func([]string, Row) error) error {
	text, err := fs.ReadFile(files, "tables/"+name)
	if err != nil {
		return fmt.Errorf("read table: %w", err)
	}
	for i, line := range strings.Split(string(text), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		c := strings.Split(line, "\t")
		if len(c) != columns {
			return fmt.Errorf("%s:%d: %d columns, want %d", name, i+1, len(c), columns)
		}
		for _, cell := range c {
			if cell == "" {
				return fmt.Errorf("%s:%d: an empty column", name, i+1)
			}
		}
		if err := row(c, Row{File: name, Line: i + 1, Source: c[columns-1]}); err != nil {
			return fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
	}
	return nil
}

// addRule reads a row "name category conditions pattern source".
func (t *tables) addRule(prefix string, c []string, at Row, patterns *[]string) error {
	if !categories[c[1]] {
		return fmt.Errorf("no category %q", c[1])
	}
	at.Pattern = c[3]
	r := rule{verdict: verdict{category: c[1], rule: prefix + c[0], row: &at}}
	if c[2] != "-" {
		for _, condition := range strings.Split(c[2], ",") {
			if err := r.addCondition(condition); err != nil {
				return err
			}
		}
	}
	t.rules = append(t.rules, r)
	*patterns = append(*patterns, c[3])
	return nil
}

func (r *rule) addCondition(condition string) error {
	key, value, _ := strings.Cut(condition, "=")
	var ok bool
	switch key {
	case "provider":
		r.provider, ok = value, value != ""
	case "class":
		if ok = value == "4" || value == "5"; ok {
			r.class = value[0]
		}
	case "status":
		r.status, ok = statusKey(value)
	case "code":
		r.code, ok = value, len(value) == 3
	case "weak":
		r.weak, ok = true, value == ""
	case "vague":
		r.vague, ok = true, value == ""
	case "command":
		r.command, ok = commandNames[value]
	case "of":
		r.of, ok = partyNames[value]
	}
	if !ok {
		return fmt.Errorf("bad condition %q", condition)
	}
	return nil
}

// addProvider reads a row "kind pattern provider source".
func (t *tables) addProvider(c []string, markers *[]string) error {
	names := t.providers[c[1]]
	switch c[0] {
	case "host":
		names.host = c[2]
	case "address":
		names.address = c[2]
	case "both":
		names.host, names.address = c[2], c[2]
	case "text":
		*markers = append(*markers, c[1])
		t.markers = append(t.markers, c[2])
		return nil
	default:
		return fmt.Errorf("no kind %q", c[0])
	}
	t.providers[c[1]] = names
	return nil
}

// addNotice reads a row "kind pattern source".
func addNotice(c []string, patterns *[numNoticeKinds][]string) error {
	kind, ok := map[string]noticeKind{"delay": noticeDelay, "failure": noticeFailure, "refusal": noticeRefusal}[c[0]]
	if !ok {
		return fmt.Errorf("no kind %q", c[0])
	}
	patterns[kind] = append(patterns[kind], c[1])
	return nil
}

// addAutoReply reads a row "subject or text, words, source".
func (t *tables) addAutoReply(c []string, sentences *[]string) error {
	switch c[0] {
	case "subject":
		t.subjects = append(t.subjects, strings.ToLower(c[1]))
	case "text":
		*sentences = append(*sentences, c[1])
	default:
		return fmt.Errorf("no place %q", c[0])
	}
	return nil
}

// addStatus reads a row "status category source".
func (t *tables) addStatus(c []string, at Row) error {
	key, ok := statusKey(c[0])
	if !ok || !categories[c[1]] {
		return fmt.Errorf("bad status %q or category %q", c[0], c[1])
	}
	if _, twice := t.statuses[key]; twice {
		return fmt.Errorf("status %q twice", c[0])
	}
	at.Pattern = c[0]
	t.statuses[key] = verdict{category: c[1], rule: "status:" + c[0], row: &at}
	return nil
}

// addCode reads a row "code command category source".
func (t *tables) addCode(c []string, at Row) error {
	command, ok := commandNames[c[1]]
	if len(c[0]) != 3 || !ok && c[1] != "-" || !categories[c[2]] {
		return fmt.Errorf("bad code %q, command %q or category %q", c[0], c[1], c[2])
	}
	key := [3]byte([]byte(c[0]))
	at.Pattern = c[0]
	t.codes[key] = append(t.codes[key], codeRule{verdict{category: c[2], rule: "code:" + c[0], row: &at}, command})
	return nil
}

// statusAny stands for any number in a status key.
const statusAny = 0x3ff

// statusKey packs a status: class in 10 bits, subject in 10, detail in 10. "X" stands for any.
func statusKey(s string) (uint32, bool) {
	var key uint32
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return 0, false
	}
	for _, p := range parts {
		n := uint64(statusAny)
		if p != "X" {
			var err error
			if n, err = strconv.ParseUint(p, 10, 10); err != nil || n > 999 {
				return 0, false
			}
		}
		key = key<<10 | uint32(n)
	}
	return key, true
}

// packStatus is statusKey for a status that statusAt has found.
func packStatus(status []byte) uint32 {
	var key, n uint32
	for _, c := range status {
		if c == '.' {
			key, n = key<<10|n, 0
			continue
		}
		n = n*10 + uint32(c-'0')
	}
	return key<<10 | n
}
