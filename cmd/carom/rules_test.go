package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"carom/edge/api"
)

// rulesAnswer asks a server which rules hold.
func (s *server) rulesAnswer() (state api.RulesState) {
	s.t.Helper()
	answer, body, err := call(http.MethodGet, "http://"+s.api+"/v1/rules", nil, "", nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		s.t.Fatalf("rules: %v, %v: %s", answer, err, body)
	}
	if err := json.Unmarshal(body, &state); err != nil {
		s.t.Fatal(err)
	}
	return state
}

// TestRulesAreReplaced walks through what an operator does: export, change, check, reload by API and by signal, make a
// mistake and mend it.
func TestRulesAreReplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rules")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, stderr, code := carom(t, nil, "rules", "export", dir); code != exitDone {
		t.Fatalf("export: exit %d, %s", code, stderr)
	}
	if _, stderr, code := carom(t, nil, "rules", "export", dir); code != exitFailed || !strings.Contains(stderr, "agents.tsv") {
		t.Errorf("export over files: exit %d, %s", code, stderr)
	}
	agents, err := os.ReadFile(filepath.Join(dir, "agents.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"headers.tsv", "networks.tsv", "asns.tsv", "pfx2as"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}

	s := newServer(t)
	s.more = []string{"CAROM_ACCEPT_RULES_DIR=" + dir}
	s.start()
	first := s.rulesAnswer()
	if first.Folder == nil || *first.Folder != dir || len(first.Files) != 6 || first.Failed != nil {
		t.Fatalf("the rules are %+v", first)
	}
	for _, f := range first.Files {
		want := map[string]string{"agents.tsv": "folder", "apple-egress.csv": "missing"}[f.Name]
		if want == "" {
			want = "built-in"
		}
		if f.Origin != want {
			t.Errorf("%s is %s, want %s", f.Name, f.Origin, want)
		}
	}

	own := strings.Replace(string(agents), "\nagent_scanner\t", "\nagent_own\tcontains\tthunderbird\t-\t-\tscanner\tscanner\t-\t-\t-\ttest\nagent_scanner\t", 1)
	write("agents.tsv", own)
	write("apple-egress.csv", "192.0.2.0/24,GB,GB-ENG,London,\n2001:db8::/45,GB,,\n")
	out, stderr, code := carom(t, nil, "rules", "check", dir)
	if code != exitDone || !strings.Contains(out, "apple-egress.csv  folder") {
		t.Errorf("check: exit %d, %s%s", code, out, stderr)
	}
	if out, stderr, code = carom(t, nil, "rules", "reload", "--api", "http://"+s.api); code != exitDone {
		t.Fatalf("reload: exit %d, %s", code, stderr)
	}
	second := s.rulesAnswer()
	if second.Hash == first.Hash || !strings.Contains(out, second.Hash) {
		t.Errorf("the hash was %s and is %s; reload printed %s", first.Hash, second.Hash, out)
	}

	write("agents.tsv", own+"agent_own\tlike\tx\t-\t-\tscanner\tscanner\t-\t-\t-\ttest\n")
	if _, stderr, code := carom(t, nil, "rules", "check", dir); code != exitFailed || !strings.Contains(stderr, `match "like": want exact, empty`) {
		t.Errorf("check of a broken file: exit %d, %s", code, stderr)
	}
	_, stderr, code = carom(t, nil, "rules", "reload", "--api", "http://"+s.api)
	if code != exitFailed || !strings.Contains(stderr, "the old ones stay: agents.tsv:") || !strings.Contains(stderr, `match "like": want exact, empty`) {
		t.Errorf("reload of a broken file: exit %d, %s", code, stderr)
	}
	broken := s.rulesAnswer()
	if broken.Hash != second.Hash || broken.Failed == nil || broken.Failed.File != "agents.tsv" || broken.Failed.Line == 0 {
		t.Errorf("after a broken file the rules are %+v, failed %+v", broken, broken.Failed)
	}
	if !strings.Contains(s.metrics(t), "carom_pipeline_rules_broken 1") {
		t.Error("no metric says that the rules are broken")
	}
	if !strings.Contains(s.output.String(), "rules not reloaded") {
		t.Error("the log doesn't say that the rules are broken")
	}

	write("agents.tsv", string(agents))
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	s.until("the rules are mended", func() bool { return s.rulesAnswer().Failed == nil })
	if !strings.Contains(s.metrics(t), "carom_pipeline_rules_broken 0") {
		t.Error("a metric says that the rules are still broken")
	}
	if code := s.stop(); code != exitDone {
		t.Errorf("stopped with %d", code)
	}
}

func TestRulesRefusals(t *testing.T) {
	empty := t.TempDir()
	if err := os.WriteFile(filepath.Join(empty, "agent.tsv"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"rules", "export"}, exitUsage, "accepts 1 arg"},
		{[]string{"rules", "check", filepath.Join(empty, "none")}, exitFailed, "no such file"},
		{[]string{"rules", "check", empty}, exitFailed, "agent.tsv: no such file is read: want agents.tsv, headers.tsv"},
		{[]string{"rules", "reload", "--api", "x"}, exitUsage, `--api "x"`},
	} {
		if _, stderr, code := carom(t, nil, c.args...); code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: exit %d, %s", c.args, code, stderr)
		}
	}
	if out, stderr, code := carom(t, nil, "rules", "check"); code != exitDone || !strings.Contains(out, "agents.tsv") {
		t.Errorf("check of the built-in rules: exit %d, %s%s", code, out, stderr)
	}
	s := newServer(t)
	s.launch("CAROM_ACCEPT_RULES_DIR=" + empty)
	<-s.exited
	if code := s.cmd.ProcessState.ExitCode(); code != exitFailed || !strings.Contains(s.output.String(), "accept.rules_dir: agent.tsv:") {
		t.Errorf("a start with broken rules: exit %d, %s", code, s.output)
	}
}
