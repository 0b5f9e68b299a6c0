package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carom/bench/result"
	"carom/bench/verdicts"
)

// quickScripts are two of which the node judges one right and, on purpose, one wrong: what the script calls a person
// names itself a crawler.
const quickScripts = `
name: crawlers
messages: 5
links: 2
actors:
  - {name: c, truth: machine, address: [192.0.2.0/24], agent: [curl/8.5.0], steps: [{do: open}, {do: click, link: all, each: 50ms}]}
  - {name: u, truth: unsure, address: [192.0.2.0/24], agent: [x], steps: [{do: unsubscribe}]}
---
name: liar
messages: 4
links: 1
actors:
  - {name: p, truth: human, address: [192.0.2.0/24], agent: [curl/8.5.0], steps: [{do: open}, {do: visit_unsubscribe}]}
`

func TestBenchVerdicts(t *testing.T) {
	t.Setenv(actAsCarom, "1") // the node is this binary
	dir := t.TempDir()
	file := filepath.Join(dir, "result.json")
	for i, text := range strings.Split(quickScripts, "---") {
		if err := os.WriteFile(filepath.Join(dir, string(rune('a'+i))+".yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	play := func(only, to string) (r verdicts.Result, table string, err error) {
		cmd := newRootCommand()
		var out, progress bytes.Buffer
		var text []byte
		cmd.SetOut(&out)
		cmd.SetErr(&progress)
		cmd.SetArgs([]string{"bench", "verdicts", "--scripts", dir, "--settle", "1s", "--json", to, "--only", only})
		err = cmd.ExecuteContext(t.Context())
		text = out.Bytes()
		if to != "-" {
			var fileErr error
			table = out.String()
			if text, fileErr = os.ReadFile(to); fileErr != nil {
				t.Fatalf("%v, %v: %s", err, fileErr, progress.Bytes())
			}
		}
		if jsonErr := json.Unmarshal(text, &r); jsonErr != nil {
			t.Fatalf("%v, %v: %s %s", err, jsonErr, text, progress.Bytes())
		}
		return r, table, err
	}

	r, table, err := play("crawlers", file)
	if err != nil {
		t.Errorf("a play that meets every bar: %v", err)
	}
	if m := r.All.Final.Machine; m.Machine != 15 || r.All.Hits != 15 || r.All.Early.Machine.Machine != 15 {
		t.Errorf("15 hits of machines: %+v", r.All)
	}
	if r.All.Unsubscribes != 5 || r.All.Unsubscribed != 5 || r.All.Wrongly != 0 {
		t.Errorf("5 unsubscribes: %+v", r.All)
	}

	if r.Server == nil || r.Server.PeakRSS == 0 || r.Harness.Seconds <= 0 { // so short, its CPU time may be 0
		t.Errorf("CPU time of the node and the harness: %+v, %+v", r.Server, r.Harness)
	}
	for _, want := range []string{"crawlers", "node: ", "harness: ", "% of what it and the server used", "disk: "} {
		if !strings.Contains(table, want) {
			t.Errorf("there is no %q in\n%s", want, table)
		}
	}
	if r.Machine.Disk == nil || r.Machine.Disk.Sync <= 0 {
		t.Errorf("disk %v", r.Machine.Disk)
	}
	if _, err := result.ReadFile(file); err == nil || !strings.Contains(err.Error(), "result.json: a result of carom bench verdicts") {
		t.Errorf("compared with others: %v", err)
	}

	r, _, err = play("liar,crawlers", "-")
	if err == nil || !strings.Contains(err.Error(), "humans are called machines") {
		t.Errorf("a play that calls people machines: %v", err)
	}
	if h := r.All.Final.Human; h.Machine != 4 || h.Human != 0 || len(r.All.Errors) != 1 || r.All.Errors[0].Hits != 4 {
		t.Errorf("4 hits of people who look like machines: %+v", r.All)
	}
	if r.All.Unsubscribed != 5 || r.All.Wrongly != 0 {
		t.Errorf("who looks at the page is not unsubscribed: %+v", r.All)
	}
}

// A file that can't be written hides neither the table nor a bar that is missed.
func TestBenchVerdictsTellsAllThatIsWrong(t *testing.T) {
	var r verdicts.Result
	r.All.Final.Human.Machine = 4
	v := verdictsFlags{json: "/nowhere/verdicts.json"}
	var out, progress bytes.Buffer
	err := v.show(&out, &progress, &r)
	if err == nil || !strings.Contains(err.Error(), "--json: ") || !strings.Contains(err.Error(), "humans are called machines") {
		t.Errorf("%v", err)
	}
	if !strings.Contains(out.String(), "harness: ") || !strings.Contains(progress.String(), "the most frequent mistakes") {
		t.Errorf("%s%s", out.Bytes(), progress.Bytes())
	}
}
