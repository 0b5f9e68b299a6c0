package bot

import (
	"embed"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"carom/pipeline/event"
)

//go:embed rules/*.tsv
var shipped embed.FS

// The data files of a rules folder.
const (
	agentsFile  = "agents.tsv"
	headersFile = "headers.tsv"
)

// Bounds of a data file, whoever wrote it.
const (
	maxFile  = 1 << 20 // bytes
	maxRules = 4096
	maxName  = 32 // bytes of a code or via, which become labels and are stored with every hit
)

var (
	agentColumns  = []string{"code", "match", "pattern", "referer", "open", "click", "via", "source"}
	headerColumns = []string{"code", "pattern", "open", "click", "source"}
)

// Default returns the rules that Carom ships.
func Default() *Rules {
	folder, err := fs.Sub(shipped, "rules")
	if err != nil {
		panic("BUG: the shipped rules are not there: " + err.Error())
	}
	r, err := Parse(folder)
	if err != nil {
		panic("BUG: the shipped rules don't parse: " + err.Error())
	}
	return r
}

// Parse reads agents.tsv and headers.tsv from a folder. An error names the file, the line, and what is wanted there.
func Parse(folder fs.FS) (*Rules, error) {
	var agentCodes, headerCodes codes
	a, err := parseAgents(folder, &agentCodes)
	if err != nil {
		return nil, err
	}
	h, err := parseHeaders(folder, &headerCodes)
	if err != nil {
		return nil, err
	}
	return &Rules{agents: a, headers: h, reasons: newReasons(&headerCodes, &agentCodes)}, nil
}

func parseAgents(folder fs.FS, c *codes) (agents, error) {
	var b agentsBuilder
	err := readTable(folder, agentsFile, agentColumns, func(f fields) error {
		r, err := f.rule(c)
		if err != nil {
			return err
		}
		m, err := parseMatch(f["match"])
		if err != nil {
			return err
		}
		if says := r.verdicts != [hits]event.Verdict{}; says == (m == matchExcept) {
			if says {
				return fmt.Errorf("match except: want - for open and click")
			}
			return fmt.Errorf("want a verdict for open, click or both")
		}
		if strings.ContainsAny(f["referer"], "/:") {
			return fmt.Errorf("referer %q: want a host name", f["referer"])
		}
		return b.add(r, m, f["pattern"], f["referer"])
	})
	if err != nil {
		return agents{}, err
	}
	a, err := b.build()
	if err != nil {
		return agents{}, fmt.Errorf("%s: %w", agentsFile, err)
	}
	return a, nil
}

func parseHeaders(folder fs.FS, c *codes) (headers, error) {
	var hs headers
	var words []string
	err := readTable(folder, headersFile, headerColumns, func(f fields) error {
		r, err := f.rule(c)
		if err != nil {
			return err
		}
		if r.verdicts == [hits]event.Verdict{} {
			return fmt.Errorf("want a verdict for open, click or both")
		}
		if f["pattern"] == "" {
			return fmt.Errorf("want a pattern")
		}
		hs.rules = append(hs.rules, r)
		words = append(words, lower(f["pattern"]))
		return nil
	})
	if err != nil {
		return headers{}, err
	}
	hs.automaton, err = newAutomaton(words, func(int) bool { return false })
	if err != nil {
		return headers{}, fmt.Errorf("%s: %w", headersFile, err)
	}
	return hs, nil
}

// fields are the values of one line by column; a value written as - is empty.
type fields map[string]string

// rule reads the columns that all files share.
func (f fields) rule(c *codes) (rule, error) {
	var r rule
	var err error
	if err = checkName("code", f["code"]); err != nil {
		return r, err
	}
	if f["code"] == "" {
		return r, fmt.Errorf("want a code")
	}
	if f["code"] == methodCode {
		return r, fmt.Errorf("code %q: it is taken", methodCode)
	}
	if r.code, err = c.id(f["code"]); err != nil {
		return r, err
	}
	if r.verdicts[opens], err = parseVerdict("open", f["open"]); err != nil {
		return r, err
	}
	if r.verdicts[clicks], err = parseVerdict("click", f["click"]); err != nil {
		return r, err
	}
	r.via = f["via"]
	if err = checkName("via", r.via); err != nil {
		return r, err
	}
	if f["source"] == "" {
		return r, fmt.Errorf("want a source: where the rule comes from")
	}
	return r, nil
}

func parseVerdict(column, s string) (event.Verdict, error) {
	switch v, ok := event.ParseVerdict(s); {
	case ok && (v == event.NoVerdict || v == event.Human || v == event.Proxy || v == event.Scanner || v == event.Unknown):
		return v, nil
	}
	return event.NoVerdict, fmt.Errorf("%s %q: want human, proxy, scanner, unknown or -", column, s)
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
func readTable(folder fs.FS, file string, columns []string, line func(fields) error) error {
	text, err := readFile(folder, file)
	if err != nil {
		return err
	}
	seenColumns, rules := false, 0
	for i, s := range strings.Split(text, "\n") {
		s = strings.TrimSuffix(s, "\r")
		if strings.TrimSpace(s) == "" || s[0] == '#' {
			continue
		}
		values := strings.Split(s, "\t")
		if !seenColumns {
			if strings.Join(values, " ") != strings.Join(columns, " ") {
				return fmt.Errorf("%s:%d: want the columns %s, with tabs between them", file, i+1, strings.Join(columns, ", "))
			}
			seenColumns = true
			continue
		}
		if rules++; rules > maxRules {
			return fmt.Errorf("%s:%d: want at most %d rules", file, i+1, maxRules)
		}
		f, err := newFields(columns, values)
		if err == nil {
			err = line(f)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", file, i+1, err)
		}
	}
	if !seenColumns {
		return fmt.Errorf("%s: it is empty: want the columns %s", file, strings.Join(columns, ", "))
	}
	return nil
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

func readFile(folder fs.FS, name string) (string, error) {
	f, err := folder.Open(name)
	if err != nil {
		return "", fmt.Errorf("read rules: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", fmt.Errorf("read rules: %w", err)
	}
	if len(b) > maxFile {
		return "", fmt.Errorf("%s: want at most %d bytes", name, maxFile)
	}
	return string(b), nil
}
