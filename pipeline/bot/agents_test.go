package bot

import (
	"os"
	"strings"
	"testing"

	"carom/pipeline/event"
)

// readAgents calls line for every line of a list of agents.
func readAgents(tb testing.TB, file string, line func(string)) (n int) {
	tb.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	for s := range strings.Lines(string(text)) {
		if s = strings.TrimSuffix(s, "\n"); s != "" && s[0] != '#' {
			line(s)
			n++
		}
	}
	return n
}

func TestPeoplesAgents(t *testing.T) {
	rules := Default()
	n := readAgents(t, "testdata/people.txt", func(line string) {
		agent, opensOnly := strings.CutPrefix(line, "open ")
		req := get(agent)
		for _, kind := range []event.Kind{event.Open, event.Click} {
			if kind == event.Click && opensOnly {
				continue
			}
			if a, _ := rules.Judge(kind, &req, nil); a.Verdict != event.Human {
				t.Errorf("%s by %q is %s", kind, agent, describe(a))
			}
		}
	})
	if n < 80 {
		t.Errorf("%d agents, want 80 or more", n)
	}
}

func TestMachinesAgents(t *testing.T) {
	rules := Default()
	n := readAgents(t, "testdata/machines.txt", func(line string) {
		open, rest, _ := strings.Cut(line, " ")
		click, agent, ok := strings.Cut(rest, " ")
		if !ok {
			t.Fatalf("%q: want two verdicts and an agent", line)
		}
		req := get(agent)
		for kind, want := range map[event.Kind]string{event.Open: open, event.Click: click} {
			if a, _ := rules.Judge(kind, &req, nil); a.Verdict.String() != want {
				t.Errorf("%s by %q is %s, want %s", kind, agent, describe(a), want)
			}
		}
	})
	if n < 80 {
		t.Errorf("%d agents, want 80 or more", n)
	}
}
