package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestBuiltinScenarios(t *testing.T) {
	all, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
		if s.About == "" {
			t.Errorf("%s: wants about", s.Name)
		}
		if got, err := Load(s.Name); err != nil || got.Messages != s.Messages {
			t.Errorf("%s: %+v, %v", s.Name, got, err)
		}
	}
	if got := strings.Join(names, " "); got != "bots burst-of-bounces day small" {
		t.Errorf("built in are %s", got)
	}
}

func TestScenariosThatAreWrong(t *testing.T) {
	const good = `name: a
messages: 10
senders:
  - name: one
    opens: 0.5
    readers: [iphone]
  - name: two
    links: 3
`
	tests := []struct{ old, bad, want string }{
		{"", "", ""},
		{"name: a", "name: A", "f.yaml:1: name: "},
		{"messages: 10", "messages: 0", "f.yaml:2: messages: 0: want 1 to"},
		{"messages: 10", "messages: many", `f.yaml:2: messages: "many": want a whole number`},
		{"messages: 10", "rate: 10\nduration: 90", `f.yaml:3: duration: "90": want a duration`},
		{"messages: 10", "duration: 90s", "f.yaml:2: duration: 1m30s: wants a rate"},
		{"messages: 10", "messages: 10\nrate: 5\nduration: 90s", "f.yaml:4: duration: 1m30s: stands in place"},
		{"messages: 10", "messages: 10\nrate: .nan", `f.yaml:3: rate: ".nan": want a number`},
		{"messages: 10", "messages: 10\nmessages: 11", "f.yaml:3: messages: stands here twice"},
		{"messages: 10", "messages: 10\nspeed: 1", "f.yaml:3: speed: there is no such field"},
		{"messages: 10", "messages: &x 10", "f.yaml:2: messages: anchors"},
		{"messages: 10", "messages: [10]", "f.yaml:2: messages: want one value"},
		{"opens: 0.5", "opens: 1.5", "f.yaml:5: senders[0].opens: 1.5: want 0 to 1"},
		{"opens: 0.5", "open: 1.5", "f.yaml:5: senders[0].open: there is no such field"},
		{"iphone", "curl", `f.yaml:6: senders[0].readers: "curl": want some of`},
		{"[iphone]", "iphone", "f.yaml:6: senders[0].readers: want a list"},
		{"[iphone]", "[]", "f.yaml:6: senders[0].readers: want at least one of"},
		{"name: two", "name: one", `f.yaml:7: senders[1].name: "one": another group has it`},
		{"links: 3", "links: 51", "f.yaml:8: senders[1].links: 51: want 1 to 50"},
		{"links: 3", "bounces_hard: 0.6\n    bounces_soft: 0.6", "f.yaml:9: senders[1].bounces_soft: 0.6: more than all"},
		{"links: 3", "count: 100000", "f.yaml:8: senders[1].count: 100000: want at most"},
		{good, "[]", "want fields"},
		{good, "", "is empty"},
	}
	for _, tt := range tests {
		text := strings.Replace(good, tt.old, tt.bad, 1)
		_, err := parse("f.yaml", []byte(text))
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("a good scenario: %v", err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%q: got %v, want something of %q", tt.bad, err, tt.want)
		}
	}
}

func TestLoadNamesWhatIsNotThere(t *testing.T) {
	if _, err := Load("smal"); err == nil || !strings.Contains(err.Error(), "--list") {
		t.Errorf("got %v", err)
	}
	file := filepath.Join(t.TempDir(), "s.yaml")
	if err := os.WriteFile(file, []byte("name: x\nrate: 100\nduration: 3s\nsenders: [{name: y}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Load(file)
	if err != nil || s.Messages != 300 || s.Senders[0].Links != 2 {
		t.Errorf("got %+v, %v", s, err)
	}
	if err := os.WriteFile(file, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a file that is too large: %v", err)
	}
}

// The same seed draws the same facts; shares are met.
func TestPlan(t *testing.T) {
	s := Default()
	s.Name, s.Messages = "x", 20_000
	a, b := defaultSender(), defaultSender()
	a.Name, a.Weight, a.Count, a.BouncesHard, a.Opens, a.Scans, a.Clicks, a.Late = "a", 3, 4, 0.1, 0.5, 0.2, 0.3, 0.25
	b.Name, b.Opens = "b", 1
	s.Senders = []Sender{a, b}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	p, again := newPlan(&s, "acc", "run", time.Now()), newPlan(&s, "acc", "run", time.Now())
	counts, senders := map[fate]int{}, map[string]int{}
	for i := range s.Messages {
		m, same := p.message(i), again.message(i)
		if m.fate != same.fate || m.readerAt != same.readerAt || m.random.Uint64() != same.random.Uint64() {
			t.Fatalf("message %d is drawn twice, otherwise", i)
		}
		if n, ok := p.index(p.messageID(i)); !ok || n != i {
			t.Fatalf("message %d is found as %d, %v", i, n, ok)
		}
		name := p.senderOf(i)
		if p.senderNumbered(p.senderNumber(i)) != name || p.senderName(m.group, m.sender) != name {
			t.Fatalf("message %d is of two senders", i)
		}
		senders[name]++
		for f := bouncesHard; f <= isLate; f <<= 1 {
			if m.fate.has(f) && m.group.Name == "a" {
				counts[f]++
			}
		}
		if !m.reader.network.Contains(m.readerAt) {
			t.Fatalf("%s comes from %v", m.reader.name, m.readerAt)
		}
	}
	n := float64(s.Messages) * 3 / 4
	for f, want := range map[fate]float64{bouncesHard: 0.1, isOpened: 0.45, isScanned: 0.18, isClicked: 0.9 * 0.8 * 0.3, isLate: 0.25} {
		if got := float64(counts[f]) / n; got < want-0.02 || got > want+0.02 {
			t.Errorf("fate %b befalls %.3f, want %.3f", f, got, want)
		}
	}
	if len(senders) != 5 || p.senders() != 5 {
		t.Errorf("senders %v", senders)
	}
	for _, id := range []string{"run.1", "run.-1@scenario.example.com", "run.01@scenario.example.com", "run.20000@scenario.example.com", "ran.1@scenario.example.com"} {
		if _, ok := p.index(id); ok {
			t.Errorf("%s is taken for a message", id)
		}
	}
}
