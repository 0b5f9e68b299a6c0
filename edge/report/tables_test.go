package report

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

// ruleRows returns the rows of the rule files, in the order in which they are tried.
func ruleRows(tb testing.TB) (rows [][]string) {
	tb.Helper()
	for _, file := range []string{"provider-rules.tsv", "texts.tsv"} {
		if err := readTable(tableFiles, file, 5, func(c []string, _ Row) error {
			rows = append(rows, c)
			return nil
		}); err != nil {
			tb.Fatal(err)
		}
	}
	return rows
}

// TestNoDeadRules holds that every rule can decide: no rule above it that holds everywhere takes all its texts.
func TestNoDeadRules(t *testing.T) {
	rows := ruleRows(t)
	for i, row := range rows {
		for _, above := range rows[:i] {
			if above[2] != "-" && above[2] != row[2] {
				continue
			}
			if !strings.Contains(above[3], "*") && strings.Contains(row[3], above[3]) {
				t.Errorf("%q of %s never decides: %q of %s stands above it", row[3], row[0], above[3], above[0])
			}
		}
	}
}

// TestPatternsAreAsTextIs holds that patterns can match what normalize makes of a text.
func TestPatternsAreAsTextIs(t *testing.T) {
	for _, row := range ruleRows(t) {
		for _, fragment := range strings.Split(row[3], "*") {
			if got := string(normalize(nil, []byte(fragment), nil)); strings.TrimSpace(got) != strings.TrimSpace(fragment) {
				t.Errorf("%q of %s is %q once normalized", fragment, row[0], got)
			}
		}
	}
}

func TestSourcesAreNamed(t *testing.T) {
	files, err := fs.Glob(tableFiles, "tables/*.tsv")
	if err != nil || len(files) != 9 {
		t.Fatalf("%d tables, %v", len(files), err)
	}
	for _, row := range ruleRows(t) {
		if len(row[4]) < 3 {
			t.Errorf("%s %q has the source %q", row[0], row[3], row[4])
		}
	}
}

// TestBadTables holds that a mistake in a table is found when it is compiled.
func TestBadTables(t *testing.T) {
	for name, c := range map[string]struct{ file, row, want string }{
		"columns":       {"texts.tsv", "a\tpolicy\t-\tsome words", "4 columns, want 5"},
		"empty column":  {"texts.tsv", "a\tpolicy\t\tsome words\tx", "empty column"},
		"category":      {"texts.tsv", "a\tnonsense\t-\tsome words\tx", "no category"},
		"condition":     {"texts.tsv", "a\tpolicy\tmoon=full\tsome words\tx", "bad condition"},
		"class":         {"texts.tsv", "a\tpolicy\tclass=6\tsome words\tx", "bad condition"},
		"status":        {"texts.tsv", "a\tpolicy\tstatus=5.1\tsome words\tx", "bad condition"},
		"command":       {"texts.tsv", "a\tpolicy\tcommand=vrfy\tsome words\tx", "bad condition"},
		"upper case":    {"texts.tsv", "a\tpolicy\t-\tSome words\tx", "lower case"},
		"short":         {"texts.tsv", "a\tpolicy\t-\tsome*w\tx", "two characters"},
		"fragments":     {"texts.tsv", "a\tpolicy\t-\tab*cd*ef*gh*ij\tx", "more than 4 fragments"},
		"status twice":  {"statuses.tsv", "X.1.1\tpolicy\tx\nX.1.1\tpolicy\tx", "twice"},
		"bad status":    {"statuses.tsv", "5.1.9999\tpolicy\tx", "bad status"},
		"bad code":      {"replycodes.tsv", "55\t-\tpolicy\tx", "bad code"},
		"bad provider":  {"providers.tsv", "cloud\texample.com\tx\tx", "no kind"},
		"bad notice":    {"notices.tsv", "rumour\tsome words\tx", "no kind"},
		"bad step":      {"commands.tsv", "vrfy\tsome words\tx", "no command"},
		"missing table": {"daemons.tsv", "", "file does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			files := fstest.MapFS{}
			for _, f := range []string{"provider-rules", "texts", "commands", "providers", "statuses", "replycodes", "autoreplies", "daemons", "notices"} {
				files["tables/"+f+".tsv"] = &fstest.MapFile{}
			}
			files["tables/"+c.file].Data = []byte("# a comment\n\n" + c.row + "\n")
			if c.row == "" {
				delete(files, "tables/"+c.file)
			}
			if _, err := compileTables(files); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestMatcher(t *testing.T) {
	patterns := []string{"user unknown", "unknown", "known user", "mailbox*full", "a1*b2*c3", "full", "un*know"}
	m, err := newMatcher(patterns)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text string
		want []string
	}{
		{"user unknown", []string{"user unknown", "unknown", "un*know"}},
		{"unknown user", []string{"unknown", "known user", "un*know"}},
		{"mailbox is full", []string{"mailbox*full", "full"}},
		{"full mailbox", []string{"full"}},
		{"mailbox " + strings.Repeat("x", maxGap) + " full", []string{"full"}},
		{"mailbox " + strings.Repeat("x", maxGap) + " mailbox full", []string{"mailbox*full", "full"}},
		{"a1 b2 c3", []string{"a1*b2*c3"}},
		{"a1 c3 b2", nil},
		{"c3 b2 a1", nil},
		{"a1b2c3", []string{"a1*b2*c3"}},
		{"", nil},
		{"\x00\xff", nil},
		{"uun and know", []string{"un*know"}},
	} {
		var h hits
		m.scan([]byte(c.text), &h)
		var got []string
		for i, p := range patterns {
			if h.has(uint16(i)) {
				got = append(got, p)
			}
		}
		if strings.Join(got, ",") != strings.Join(sortedAs(patterns, c.want), ",") {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

// sortedAs returns those of all that are in some, in the order of all.
func sortedAs(all, some []string) (out []string) {
	for _, a := range all {
		for _, s := range some {
			if a == s {
				out = append(out, a)
			}
		}
	}
	return out
}

func TestNormalize(t *testing.T) {
	for _, c := range []struct{ text, code, want string }{
		{"User\r\n   Unknown", "", " user unknown "},
		{"<Bob@example.com>: User unknown", "", " <@>: user unknown "},
		{"to bob.full@example.com.", "", " to @ "},
		{"550-5.1.1 One\r\n550-5.1.1 two\r\n550 5.1.1 three", "550", " 550-5.1.1 one two three "},
		{"550 one 551 two 550-5.1.1 three", "550", " 550 one 551 two three "},
		{"said: 421 not now", "421", " said: 421 not now "},
		{"No\x00 such\x07 user", "", " no such user "},
		{"", "", "  "},
	} {
		if got := string(normalize(nil, []byte(c.text), []byte(c.code))); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
	if got := normalize(nil, []byte(strings.Repeat("x y ", maxMatch)), nil); len(got) > maxMatch {
		t.Errorf("%d bytes", len(got))
	}
}
