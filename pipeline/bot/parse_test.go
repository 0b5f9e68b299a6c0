package bot

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"carom/pipeline/event"
)

const (
	agentHead   = "code\tmatch\tpattern\treferer\tnetwork\topen\tclick\twithin\tsoon\tvia\tsource\n"
	headerHead  = "code\theader\tmatch\tpattern\topen\tclick\tsource\n"
	networkHead = "prefix\tcode\topen\tclick\twithin\tsoon\tsource\n"
	asnHead     = "asn\tcode\topen\tclick\twithin\tsoon\tstate\tsource\n"
)

// folder is a rules folder with the lines given below the columns.
func folder(agentLines, headerLines string) fstest.MapFS {
	return fstest.MapFS{
		agentsFile:   {Data: []byte(agentHead + agentLines)},
		headersFile:  {Data: []byte(headerHead + headerLines)},
		networksFile: {Data: []byte(networkHead)},
		asnsFile:     {Data: []byte(asnHead)},
		originsFile:  {},
	}
}

// TestParseMatches covers what the shipped rules don't use.
func TestParseMatches(t *testing.T) {
	rules, err := Parse(folder(strings.Join([]string{
		"# a comment\r",
		"",
		"begin\tprefix\tAbc\t-\t-\tscanner\t-\t-\t-\t-\ttest",
		"both\tall\tone&&two\texample.com\t-\tproxy\tproxy\t-\t-\tvia_1\ttest",
		"one\tcontains\tone\t-\t-\tunknown\tunknown\t-\t-\t-\ttest",
		"said\texact\tX\t-\t-\thuman\thuman\t-\t-\t-\ttest",
		"said_again\tcontains\tx\t-\t-\tscanner\tscanner\t-\t-\t-\ttest\r",
	}, "\n"), "p\tpurpose\tcontains\tfoo\t-\tunknown\ttest\nq\tpurpose\tcontains\tfoobar\tproxy\t-\ttest\n"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		req         event.Request
		open, click string
	}{
		{get("abc"), "scanner begin", "human"},
		{get(" abc"), "human", "human"},
		{event.Request{Method: "GET", UserAgent: "two one", Referer: "https://example.com/"}, "proxy both via via_1", "proxy both via via_1"},
		{get("two one"), "unknown one", "unknown one"},
		{get("X"), "human said", "human said"},
		{get("x"), "scanner said_again", "scanner said_again"},
		{event.Request{Method: "GET", UserAgent: "y", Purpose: "foobar"}, "proxy q", "unknown p"},
		{event.Request{Method: "GET", UserAgent: "one", Purpose: "foo"}, "unknown one", "unknown p,one"},
		// The headers' verdict counts, and the agent's reason would not explain it.
		{event.Request{Method: "GET", UserAgent: "one", Purpose: "foobar"}, "proxy q", "unknown p,one"},
	}
	for _, tt := range tests {
		if got := judged(rules, event.Open, &tt.req); got != tt.open {
			t.Errorf("%+v: open %q, want %q", tt.req, got, tt.open)
		}
		if got := judged(rules, event.Click, &tt.req); got != tt.click {
			t.Errorf("%+v: click %q, want %q", tt.req, got, tt.click)
		}
	}
}

func TestParseEmptyTables(t *testing.T) {
	rules, err := Parse(folder("", ""))
	if err != nil {
		t.Fatal(err)
	}
	for _, req := range []event.Request{get(""), get("curl/8"), {Method: "GET", Purpose: "prefetch"}} {
		if got := judged(rules, event.Click, &req); got != "human" {
			t.Errorf("without rules %+v is %q, want human", req, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	line := func(s string) string { return strings.ReplaceAll(s, " ", "\t") + "\n" }
	tests := []struct {
		name, agents, headers, want string
	}{
		{"too few columns", line("a contains x - human human -"), "", "agents.tsv:2: 7 columns: want 11"},
		{"an empty column", "a\tcontains\tx\t\t-\thuman\thuman\t-\t-\t-\ts\n", "", "agents.tsv:2: referer is empty: want - for nothing"},
		{"no code", line("- contains x - - human human - - - s"), "", "agents.tsv:2: want a code"},
		{"a code in capitals", line("A contains x - - human human - - - s"), "", `code "A": want lower-case`},
		{"a long code", line(strings.Repeat("a", maxName+1) + " contains x - - human human - - - s"), "", "want at most 32 characters"},
		{"the code of the method", line("method contains x - - human human - - - s"), "", `code "method": it is taken`},
		{"an unknown match", line("a like x - - human human - - - s"), "", `match "like": want exact, empty`},
		{"no pattern", line("a contains - - - human human - - - s"), "", "match contains: want a pattern"},
		{"empty with a pattern", line("a empty x - - human human - - - s"), "", "match empty: want - for pattern, referer and network"},

		{"exact twice", line("a exact x - - human human - - - s") + line("a exact x - - proxy proxy - - - s"), "", `agents.tsv:3: pattern "x": an exact match`},
		{"all of one part", line("a all x - - human human - - - s"), "", "want two parts or more"},
		{"all of an empty part", line("a all x&& - - human human - - - s"), "", "want no empty part"},
		{"too many parts", strings.Repeat(line("a all x&&y&&z - - human human - - - s"), 22), "", "agents.tsv:23: want at most 64 parts"},
		{"a referer with a path", line("a contains x h/ - human human - - - s"), "", `referer "h/": want a host name`},
		{"no verdict", line("a contains x - - - - - - - s"), "", "want a verdict for open, click or both"},
		{"except with a verdict", line("a except x - - human - - - - s"), "", "match except: want - for open and click"},
		{"except with a referer", line("a except x h - - - - - - s"), "", "match except: want - for referer and network"},
		{"an unknown verdict", line("a contains x - - humann human - - - s"), "", `open "humann": want human, proxy, scanner, unknown, weight or -`},
		{"the verdict self", line("a contains x - - human self - - - s"), "", `click "self": want human`},
		{"a via in capitals", line("a contains x - - human human - - Gmail s"), "", `via "Gmail": want lower-case`},
		{"no source", line("a contains x - - human human - - - -"), "", "want a source"},
		{"too long in all", line("a contains " + strings.Repeat("x", maxStates) + " - - human human - - - s"), "", "agents.tsv: the patterns are too long"},
		{"too many rules", strings.Repeat(line("a contains x - - human human - - - s"), maxRules+1), "", "want at most 4096 rules"},
		{"too big", "#" + strings.Repeat("x", maxFile) + "\n", "", "want at most 1048576 bytes"},
		{"a header without a pattern", "", line("a purpose contains - human human s"), "headers.tsv:2: want a pattern"},
		{"a header without a verdict", "", line("a purpose contains x - - s"), "headers.tsv:2: want a verdict"},
		{"headers too long in all", "", line("a purpose contains " + strings.Repeat("x", maxStates) + " human human s"), "headers.tsv: the patterns are too long"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(folder(tt.agents, tt.headers))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestParseRefusesFiles(t *testing.T) {
	if _, err := Parse(fstest.MapFS{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no files: %v, want one that says so", err)
	}
	f := folder("", "")
	f[headersFile] = &fstest.MapFile{Data: []byte("# nothing\n")}
	if _, err := Parse(f); err == nil || !strings.Contains(err.Error(), "headers.tsv: it is empty") {
		t.Errorf("a file without columns: %v", err)
	}
	f[headersFile] = &fstest.MapFile{Data: []byte("code\tpattern\topen\tsource\n")}
	if _, err := Parse(f); err == nil || !strings.Contains(err.Error(), "headers.tsv:1: want the columns code, header, match, pattern, open, click, source") {
		t.Errorf("a file with other columns: %v", err)
	}
}

// FuzzParse makes sure that no file brings Parse or what it compiles down.
func FuzzParse(f *testing.F) {
	agents, err := fs.ReadFile(shipped, "rules/"+agentsFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(agents, "Mozilla/5.0", "https://mail.google.com/")
	f.Add([]byte(agentHead+"a\tall\tx&&y\th\t-\thuman\thuman\t-\t-\t-\ts\n"), "xy", "x://h")
	f.Add([]byte(agentHead+"a\texcept\txx\t-\t-\t-\t-\t-\t-\t-\ts\n"), "", "")
	f.Fuzz(func(t *testing.T, agents []byte, agent, referer string) {
		folder := folder("", "a\tpurpose\tcontains\tx\thuman\thuman\ts\n")
		folder[agentsFile] = &fstest.MapFile{Data: agents}
		rules, err := Parse(folder)
		if err != nil {
			return
		}
		req := event.Request{Method: "GET", UserAgent: agent, Referer: referer, Purpose: agent}
		for _, kind := range []event.Kind{event.Open, event.Click} {
			if a, _ := rules.Judge(kind, &req, nil); a.Verdict == event.NoVerdict {
				t.Errorf("%q has no verdict", agent)
			}
		}
	})
}
