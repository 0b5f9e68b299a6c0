package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carom/bench/result"
	"carom/bench/scenario"
)

// writeResults writes rounds of a name, each with its rate.
func writeResults(t *testing.T, name string, rates ...float64) (files []string) {
	t.Helper()
	dir := t.TempDir()
	for i, rate := range rates {
		h := result.NewHistogram()
		for n := range 1000 {
			h.Record(time.Duration(n) * time.Millisecond / time.Duration(rate))
		}
		latency, err := h.Distribution()
		if err != nil {
			t.Fatal(err)
		}
		r := &result.Result{Name: name, Kind: "http", Load: result.Load{Mode: "closed", Connections: 8}, Seconds: 1, Requests: 1000, Items: 1000, Rate: rate, Latency: latency}
		file := filepath.Join(dir, fmt.Sprintf("%d.json", i))
		f, err := os.Create(file)
		if err == nil {
			err = errors.Join(r.Write(f), f.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

func TestBenchCompare(t *testing.T) {
	compare := func(args ...string) (out string, err error) {
		cmd := newRootCommand()
		var stdout, stderr bytes.Buffer
		cmd.SetOut(&stdout)
		cmd.SetErr(&stderr)
		cmd.SetArgs(append([]string{"bench", "compare"}, args...))
		err = cmd.ExecuteContext(t.Context())
		return stdout.String(), err
	}
	slow, fast, alike := writeResults(t, "slow", 100, 110, 105), writeResults(t, "fast", 200, 190, 210), writeResults(t, "alike", 108, 104, 99)

	out, err := compare(append(append(slow, fast...), alike...)...)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"fast                  200  190  210   2.00  (1.73–2.00)  higher", "alike                 104 99.0  108   0.95  (0.94–1.08)  no difference"} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), strings.Join(strings.Fields(want), " ")) {
			t.Errorf("there is no %q in\n%s", want, out)
		}
	}

	page := filepath.Join(t.TempDir(), "page.html")
	out, err = compare(slow[0], fast[0], "--json", "--html", page)
	if err != nil {
		t.Fatal(err)
	}
	var c result.Comparison
	if err := json.Unmarshal([]byte(out), &c); err != nil {
		t.Fatal(err)
	}
	if len(c.Compared) != 2 || c.Compared[1].Figures[0].Ratio.Verdict != result.Few {
		t.Errorf("one round each: %+v", c)
	}
	if html, err := os.ReadFile(page); err != nil || !bytes.Contains(html, []byte("<svg")) {
		t.Errorf("a page of %d bytes, %v", len(html), err)
	}

	if out, err = compare(slow[0]); err != nil || !strings.Contains(out, "closed loop") {
		t.Errorf("one result alone: %v %s", err, out)
	}
	if out, err = compare("--html", "-", slow[0]); err != nil || !strings.HasPrefix(out, "<!doctype html>") {
		t.Errorf("a page to standard output: %v %.100s", err, out)
	}
	bad := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(bad, []byte(`{"format":9}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = compare(slow[0], bad); err == nil || !strings.Contains(err.Error(), "bad.json: format 9 is newer") {
		t.Error(err)
	}
	report, err := os.Create(bad)
	if err == nil {
		err = errors.Join((&scenario.Report{Format: scenario.Format, Kind: "e2e"}).WriteJSON(report), report.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	want := "bad.json: a result of carom bench e2e: only those of carom bench http, smtp or api"
	if _, err = compare(slow[0], bad); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}
