package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSuppressionsCommand walks through what an operator does with a running server: import what another platform knew, look,
// check, give an address back, undo, export, and see who did it.
func TestSuppressionsCommand(t *testing.T) {
	s := newServer(t)
	s.start()
	base := []string{"--api", "http://" + s.api}
	run := func(wantCode int, args ...string) (string, string) {
		t.Helper()
		out, errs, code := carom(t, nil, append(append([]string{"suppressions"}, args...), base...)...)
		if code != wantCode {
			t.Fatalf("%v: exit %d, want %d: %s%s", args, code, wantCode, out, errs)
		}
		return out, errs
	}
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	report := func(out string) (r importReport) {
		t.Helper()
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &struct {
			Report *importReport `json:"report"`
		}{&r}); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return r
	}

	table := file("old.csv", "\ufeffEmail,Reason,time,active,unheard\nann@example.com,Unsubscribe,2026-03-01T00:00:00Z,,\"two\nlines\"\n"+
		"'=cmd@example.com,bounce,,true,\nold@example.com,bounce,,false,\nno address,,,,\n")
	for _, dry := range []bool{true, false} {
		args := []string{"import", "--account", "acme", table}
		if dry {
			args = append(args, "--dry-run")
		}
		out, _ := run(exitFailed, args...)
		want := importReport{DryRun: dry, Complete: true, Lines: 3, Added: 2, Invalid: 1, Skipped: 1}
		if got := report(out); got != want || !strings.Contains(out, `"line":6`) {
			t.Errorf("import: %+v, want %+v: %s", got, want, out)
		}
	}
	out, _ := run(exitDone, "list", "--account", "acme", "--active")
	if strings.Count(out, "\n") != 2 || !strings.Contains(out, `"address":"=cmd@example.com"`) || !strings.Contains(out, `"since":"2026-03-01T00:00:00.000Z"`) {
		t.Errorf("list: %s", out)
	}
	out, _ = run(exitDone, "check", "--account", "acme", "ann@example.com", "eve@example.com")
	if strings.Count(out, "\n") != 2 || !strings.Contains(out, `{"address":"eve@example.com","suppressed":null}`) {
		t.Errorf("check: %s", out)
	}
	if out, _ = run(exitDone, "check", "--account", "acme", "--suppressed", "ann@example.com", "eve@example.com"); strings.Count(out, "\n") != 1 {
		t.Errorf("check --suppressed: %s", out)
	}
	_, errs := run(exitFailed, "reactivate", "--account", "acme", "=cmd@example.com")
	if !strings.Contains(errs, "refused: not_confirmed") {
		t.Errorf("reactivate: %s", errs)
	}
	run(exitDone, "reactivate", "--account", "acme", "--confirmed", "--key", "ticket-1", "=cmd@example.com")
	if _, errs = run(exitFailed, "reactivate", "--account", "acme", "--confirmed", "ann@example.com"); !strings.Contains(errs, "refused: reason_not_bounce") {
		t.Errorf("reactivate: %s", errs)
	}
	run(exitDone, "add", "--global", "--note", "legal", "eve@example.com")
	run(exitDone, "lift", "eve@example.com")
	run(exitDone, "add", "--account", "acme", "--until", "2099-01-01T00:00:00Z", "kim@example.com")
	run(exitDone, "remove", "--account", "acme", "kim@example.com")
	out, _ = run(exitDone, "revert", "--provider", "example.com", "--from", "2026-01-01T00:00:00Z", "--to", "2026-02-01T00:00:00Z", "--dry-run")
	if !strings.Contains(out, `"dry_run":true`) || !strings.Contains(out, `"changed":0`) {
		t.Errorf("revert: %s", out)
	}

	// What was exported can be imported, into another account too, in both forms.
	for _, format := range []string{"csv", "jsonl"} {
		exported, _ := run(exitDone, "export", "--account", "acme", "--format", format)
		out, _ = run(exitDone, "import", "--account", "copy-"+format, "--all", file("acme."+format, exported))
		if got := report(out); got.Added != 1 || got.Skipped != 2 {
			t.Errorf("import of %s: %+v: %s", format, got, exported)
		}
		if out, _ = run(exitDone, "list", "--account", "copy-"+format, "--reason", "unsubscribe"); !strings.Contains(out, `"since":"2026-03-01T00:00:00.000Z"`) {
			t.Errorf("a copy: %s", out)
		}
	}
	out, _ = run(exitDone, "audit", "--account", "acme", "--address", "=cmd@example.com")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 3 || !strings.Contains(lines[0], `"op":"reactivate"`) || !strings.Contains(lines[1], `"rule":"not_confirmed"`) {
		t.Errorf("audit: %s", out)
	}

	for _, args := range [][]string{
		{"list", "--from", "yesterday"},
		{"list", "--active", "--ended"},
		{"import", "x.pdf"},
		{"revert", "--from", "2026-01-01T00:00:00Z"},
		{"add"},
		{"add", "--key", "k", "a@example.com", "b@example.com"},
		{"export", "--format", "xml"},
	} {
		run(exitUsage, args...)
	}
	run(exitFailed, "list", "--reason", "anger")
	run(exitFailed, "import", filepath.Join(t.TempDir(), "none.csv"))
	if code := s.stop(); code != exitDone {
		t.Errorf("stopped with %d", code)
	}
}
