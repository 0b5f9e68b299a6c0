package bot

import (
	"fmt"
	"io/fs"
	"strings"
	"time"

	"carom/pipeline/event"
)

// The data files of a rules folder.
const (
	agentsFile   = "agents.tsv"
	headersFile  = "headers.tsv"
	networksFile = "networks.tsv"
	asnsFile     = "asns.tsv"
	originsFile  = "pfx2as"
)

// Bounds of the data files, whoever wrote them.
const (
	maxFile     = 1 << 20   // bytes of a file of rules
	maxList     = 128 << 20 // bytes of a list of prefixes; that of all the Internet's has 30 MB
	maxRules    = 4096      // of a file
	maxPrefixes = 1 << 20   // of all files
	maxName     = 32        // bytes of a code or via, which become labels and are stored with every hit
	maxSoon     = 24 * time.Hour
)

var (
	agentColumns   = []string{"code", "match", "pattern", "referer", "network", "open", "click", "within", "soon", "via", "source"}
	headerColumns  = []string{"code", "header", "match", "pattern", "open", "click", "source"}
	networkColumns = []string{"prefix", "code", "open", "click", "within", "soon", "source"}
	asnColumns     = []string{"asn", "code", "open", "click", "within", "soon", "state", "source"}
)

// FileError says what is wrong in a data file, and what is wanted there.
type FileError struct {
	File string
	Line int // 0: the file as a whole
	Err  error
}

// Error names the file, the line, and what is wanted there.
func (e *FileError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
}

// Unwrap returns what is wrong.
func (e *FileError) Unwrap() error { return e.Err }

// parse reads the rules.
func (l *loader) parse() (*Rules, error) {
	n, codes, err := l.parseNetworks()
	if err != nil {
		return nil, err
	}
	a, parts, err := l.parseAgents(codes)
	if err != nil {
		return nil, err
	}
	for i := range n.rules {
		n.rules[i].parts = parts[n.rules[i].code]
	}
	h, err := l.parseHeaders()
	if err != nil {
		return nil, err
	}
	return &Rules{agents: a, headers: h, networks: n}, nil
}

// parseAgents also returns the parts of the networks that its rules ask for, by code.
func (l *loader) parseAgents(networks map[string]bool) (agents, map[string]uint64, error) {
	b := newAgentsBuilder()
	err := l.readTable(agentsFile, agentColumns, func(f fields) error {
		r, err := f.rule()
		if err != nil {
			return err
		}
		if r.via = f["via"]; r.via != "" {
			if err := checkName("via", r.via); err != nil {
				return err
			}
		}
		m, err := parseMatch(f["match"])
		if err != nil {
			return err
		}
		if r.weighs != [hits]bool{} {
			return fmt.Errorf("weight is for headers and networks: want human, proxy, scanner, unknown or -")
		}
		if says := r.says(opens) || r.says(clicks); says == (m == matchExcept) {
			if says {
				return fmt.Errorf("match except: want - for open and click")
			}
			return errSaysNothing
		}
		if strings.ContainsAny(f["referer"], "/:") {
			return fmt.Errorf("referer %q: want a host name", f["referer"])
		}
		if n := f["network"]; n != "" && !networks[n] {
			return fmt.Errorf("network %q: want a code of %s or %s", n, networksFile, asnsFile)
		}
		return b.add(r, m, f["pattern"], conditions{referer: f["referer"], network: f["network"]})
	})
	if err != nil {
		return agents{}, nil, err
	}
	a, err := b.build()
	if err != nil {
		return agents{}, nil, &FileError{File: agentsFile, Err: err}
	}
	return a, b.networks, nil
}

var errSaysNothing = fmt.Errorf("want a verdict for open, click or both")

func (l *loader) parseHeaders() (headers, error) {
	var hs headers
	var words [headerNames][]string
	err := l.readTable(headersFile, headerColumns, func(f fields) error {
		if len(hs.rules) == maxHeaderRules {
			return fmt.Errorf("want at most %d rules", maxHeaderRules)
		}
		r, err := f.rule()
		if err != nil {
			return err
		}
		if !r.says(opens) && !r.says(clicks) {
			return errSaysNothing
		}
		if f["pattern"] == "" {
			return fmt.Errorf("want a pattern")
		}
		name, err := parseHeaderName(f["header"])
		if err != nil {
			return err
		}
		lacks := f["match"] == "lacks"
		if !lacks && f["match"] != "contains" {
			return fmt.Errorf("match %q: want contains or lacks", f["match"])
		}
		hs.rules = append(hs.rules, headerRule{rule: r, header: name, lacks: lacks, word: 1 << len(words[name])})
		words[name] = append(words[name], lower(f["pattern"]))
		for h := range hits {
			hs.words[name].of[h] = hs.words[name].of[h] || r.says(h)
		}
		return nil
	})
	if err != nil {
		return headers{}, err
	}
	for name := range headerNames {
		w := &hs.words[name]
		w.all = 1<<len(words[name]) - 1
		if w.automaton, err = newAutomaton(words[name], func(int) bool { return false }); err != nil {
			return headers{}, &FileError{File: headersFile, Err: err}
		}
	}
	return hs, nil
}

func parseHeaderName(s string) (headerName, error) {
	for name, text := range headerNameTexts {
		if text == s {
			return headerName(name), nil
		}
	}
	return 0, fmt.Errorf("header %q: want purpose or accept", s)
}

// fields are the values of one line by column; a value written as - is empty.
type fields map[string]string

// rule reads the columns that the files share.
func (f fields) rule() (rule, error) {
	r := rule{code: f["code"]}
	if r.code == "" {
		return r, fmt.Errorf("want a code")
	}
	if err := checkName("code", r.code); err != nil {
		return r, err
	}
	if r.code == methodCode {
		return r, fmt.Errorf("code %q: it is taken", methodCode)
	}
	var err error
	for h, column := range [...]string{opens: "open", clicks: "click"} {
		if r.verdicts[h], r.weighs[h], err = parseVerdict(column, f[column]); err != nil {
			return r, err
		}
	}
	if f["source"] == "" {
		return r, fmt.Errorf("want a source: where the rule comes from")
	}
	r.soon, err = f.soon()
	return r, err
}

// soon reads the columns within and soon, where the file has them.
func (f fields) soon() (event.Soon, error) {
	within, soon := f["within"], f["soon"]
	if within == "" && soon == "" {
		return event.Soon{}, nil
	}
	v, weighs, err := parseVerdict("soon", soon)
	if err != nil {
		return event.Soon{}, err
	}
	d, err := time.ParseDuration(within)
	if err != nil || d < time.Millisecond || d > maxSoon || d%time.Millisecond != 0 || v == event.NoVerdict || weighs {
		return event.Soon{}, fmt.Errorf("within %q, soon %q: want a time such as 60s, at most %s, and a verdict, or - for both", within, soon, maxSoon)
	}
	return event.Soon{Within: event.Millis(d.Milliseconds()), Verdict: v}, nil
}

func parseVerdict(column, s string) (v event.Verdict, weighs bool, err error) {
	if s == "weight" {
		return event.NoVerdict, true, nil
	}
	switch v, ok := event.ParseVerdict(s); {
	case ok && (v == event.NoVerdict || v == event.Human || v == event.Proxy || v == event.Scanner || v == event.Unknown):
		return v, false, nil
	}
	return event.NoVerdict, false, fmt.Errorf("%s %q: want human, proxy, scanner, unknown, weight or -", column, s)
}

func checkName(column, s string) error {
	for _, c := range []byte(s) {
		if !isLetter(c) && (c < '0' || c > '9') && c != '_' || 'A' <= c && c <= 'Z' {
			return fmt.Errorf("%s %q: want lower-case letters, digits and _", column, s)
		}
	}
	if len(s) > maxName {
		return fmt.Errorf("%s %q: want at most %d characters", column, s, maxName)
	}
	return nil
}

// readTable calls line for every line of a file of tab-separated values. The first line that is neither empty nor a
// comment must name the columns.
func (l *loader) readTable(file string, columns []string, line func(fields) error) error {
	seenColumns, rules := false, 0
	err := l.readLines(file, maxFile, func(s string) error {
		if strings.TrimSpace(s) == "" || s[0] == '#' {
			return nil
		}
		values := strings.Split(s, "\t")
		if !seenColumns {
			if strings.Join(values, " ") != strings.Join(columns, " ") {
				return fmt.Errorf("want the columns %s, with tabs between them", strings.Join(columns, ", "))
			}
			seenColumns = true
			return nil
		}
		if rules++; rules > maxRules {
			return fmt.Errorf("want at most %d rules", maxRules)
		}
		f, err := newFields(columns, values)
		if err != nil {
			return err
		}
		return line(f)
	})
	if err == nil && !seenColumns {
		err = &FileError{File: file, Err: fmt.Errorf("it is empty: want the columns %s", strings.Join(columns, ", "))}
	}
	l.count(file, rules, 0)
	return err
}

func newFields(columns, values []string) (fields, error) {
	if len(values) != len(columns) {
		return nil, fmt.Errorf("%d columns: want %d, with tabs between them", len(values), len(columns))
	}
	f := fields{}
	for i, v := range values {
		if v == "" {
			return nil, fmt.Errorf("%s is empty: want - for nothing", columns[i])
		}
		if v == "-" {
			v = ""
		}
		f[columns[i]] = v
	}
	return f, nil
}

// Parse reads the rules of a folder that has all of its files. An error names the file, the line, and what is wanted
// there.
func Parse(folder fs.FS) (*Rules, error) { return load(folder, nil) }
