package main

import (
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
		"e2e":      {"The exit code is 1 if", "counts\nfrom the sending", "on Linux only", "--dir string"},
		"verdicts": {"The exit code is 1 if", "on Linux only", "--json string"},
		"compare":  {"bench http, smtp and api have written", "bench e2e and verdicts"},
	} {
		out, errs, code := carom(t, nil, "bench", command, "--help")
		for _, want := range wants {
			if code != exitDone || !strings.Contains(out, want) {
				t.Errorf("bench %s --help does not say %q: %s", command, want, errs)
			}
		}
	}
}
