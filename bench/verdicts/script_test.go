package verdicts

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestBuiltinScripts(t *testing.T) {
	all, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Errorf("%d scripts", len(all))
	}
	for _, s := range all {
		if s.About == "" || s.Source == "" {
			t.Errorf("%s: wants about and source", s.Name)
		}
	}
}

func TestScriptsThatAreWrong(t *testing.T) {
	const good = "name: a\nmessages: 1\nlinks: 2\nactors: [{truth: human, address: [192.0.2.0/24], agent: [x], steps: [{do: open}]}]\n"
	tests := []struct{ old, bad, want string }{
		{"", "", ""},
		{"name: a", "name: A b", "name"},
		{"messages: 1", "messages: 0", "messages"},
		{"links: 2", "links: 51", "links"},
		{"truth: human", "truth: dog", "truth"},
		{"192.0.2.0/24", "192.0.2.0/33", "prefix"},
		{"[192.0.2.0/24]", "[]", "address"},
		{"agent: [x]", "agent: []", "agent"},
		{"do: open", "do: sing", "do"},
		{"do: open", "do: click, link: 2", "link"},
		{"do: open", "do: open, times: 101", "times"},
		{"do: open", "do: open, after: 5s..1s", "run back"},
		{"do: open", "do: open, after: soon", "duration"},
		{"do: open", "do: open, after: 2h", "at most"},
		{"do: open", "do: open, share: 2", "share"},
		{"do: open", "do: open, tune: x", "tune"},
	}
	for _, tt := range tests {
		text := strings.Replace(good, tt.old, tt.bad, 1)
		_, err := load(fstest.MapFS{"a.yaml": {Data: []byte(text)}})
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("a good script: %v", err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: got %v, want something of %q", tt.bad, err, tt.want)
		}
	}
	if _, err := load(fstest.MapFS{}); err == nil {
		t.Error("a folder without scripts is taken")
	}
}

func TestPlanIsTheSeeds(t *testing.T) {
	all, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	_, a := makePlan(all, 7, "r", begin)
	_, b := makePlan(all, 7, "r", begin)
	_, c := makePlan(all, 8, "r", begin)
	if len(a) != len(b) {
		t.Fatalf("%d and %d hits of one seed", len(a), len(b))
	}
	same := len(a) == len(c)
	for i := range a {
		x, y := a[i], b[i]
		if x.due != y.due || x.address != y.address || x.agent != y.agent || x.link != y.link || x.message.id != y.message.id {
			t.Fatalf("hit %d differs: %+v, %+v", i, x, y)
		}
		same = same && i < len(c) && x.due == c[i].due
		if i > 0 && x.due < a[i-1].due {
			t.Fatalf("hit %d comes before the one before it", i)
		}
	}
	if same {
		t.Error("another seed gives the same plan")
	}
	t.Logf("%d hits, the last after %v", len(a), a[len(a)-1].due)
}

func TestVisitorsAreDrawnAsOftenAsTold(t *testing.T) {
	text := `
name: a
messages: 50
links: 3
actors:
  - {name: s, truth: human, address: [192.0.2.0/24], address_each: script, agent: [a, b, c, d, e, f], agent_each: hit, steps: [{do: click, link: all}]}
  - {name: m, truth: human, address: [198.51.100.0/24], agent: [a, b, c, d, e, f], steps: [{do: click, link: all}]}
  - {name: h, truth: machine, address: [203.0.113.0/24], address_each: hit, agent: [a], steps: [{do: click, link: all}]}
`
	all, err := load(fstest.MapFS{"a.yaml": {Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	messages, _ := makePlan(all, 1, "r", time.Now())
	addresses := [3]map[string]bool{{}, {}, {}}
	for _, m := range messages {
		if len(m.hits) != 9 {
			t.Fatalf("%d hits of a message, want 9", len(m.hits))
		}
		links := map[int]bool{}
		for i, h := range m.hits {
			addresses[i/3][h.address.String()] = true
			links[h.link] = true
		}
		if len(links) != 3 {
			t.Errorf("links %v: want all three", links)
		}
		if m.hits[3].address != m.hits[5].address || m.hits[3].agent != m.hits[5].agent {
			t.Error("an actor changes within a message")
		}
	}
	if len(addresses[0]) != 1 {
		t.Errorf("%d addresses where one was to be drawn", len(addresses[0]))
	}
	if len(addresses[1]) < 20 || len(addresses[2]) < 60 {
		t.Errorf("%d and %d addresses of 50 and 150 draws", len(addresses[1]), len(addresses[2]))
	}
}
