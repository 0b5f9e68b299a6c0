package main

import (
	"bytes"
	"strings"
	"testing"
)

// The help of each bench says what a reader of its figures and a script that runs it must know.
func TestBenchHelp(t *testing.T) {
	load := []string{
		"The exit code is 0 if", "was answered as it should be", "--find-rate", "steps of --rate share it", "on Linux only", "--dir string",
	}
	for command, wants := range map[string][]string{
		"http":     append([]string{"HTTP/1.1", "URLs of one server"}, load...),
		"smtp":     load,
		"api":      load,
		"e2e":      {"The exit code is 1 if", "counts from the sending", "is in neither", "on Linux only", "--dir string"},
		"verdicts": {"The exit code is 1 if", "on Linux only", "--json string", "--dir string"},
		"compare":  {"bench http, smtp and api have written", "bench e2e and verdicts"},
	} {
		cmd := newRootCommand()
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetArgs([]string{"bench", command, "--help"})
		if err := cmd.ExecuteContext(t.Context()); err != nil {
			t.Error(err)
		}
		help := strings.Join(strings.Fields(out.String()), " ")
		for _, want := range wants {
			if !strings.Contains(help, want) {
				t.Errorf("bench %s --help does not say %q", command, want)
			}
		}
	}
}
