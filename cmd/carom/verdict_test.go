package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runVerdict runs `carom verdict` and returns what it prints.
func runVerdict(t *testing.T, stdin string, args ...string) (out, errs string, err error) {
	t.Helper()
	cmd := newRootCommand()
	var o, e bytes.Buffer
	cmd.SetOut(&o)
	cmd.SetErr(&e)
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetArgs(append([]string{"verdict"}, args...))
	err = cmd.ExecuteContext(t.Context())
	return o.String(), e.String(), err
}

const desktopFirefox = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"

func TestVerdictOnOneRequest(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"--kind", "open", "--agent", "Mozilla/5.0"}, `{"verdict":"proxy","reasons":["agent_privacy_proxy"],"via":"apple"}`},
		{[]string{"--agent", "curl/8.5.0", "--accept", "text/html"}, `{"verdict":"scanner","reasons":["agent_library"]}`},
		{[]string{"--kind", "open", "--agent", desktopFirefox}, `{"verdict":"human","reasons":[]}`},
		{[]string{"--kind", "open", "--agent", desktopFirefox, "--header", "Purpose: prefetch"}, `{"verdict":"scanner","reasons":["header_prefetch"]}`},
		{[]string{"--kind", "open", "--agent", desktopFirefox, "--method", "HEAD"}, `{"verdict":"scanner","reasons":["method"]}`},
		{[]string{"--kind", "open", "--agent", desktopFirefox, "--address", "67.231.152.9", "--since", "30s"}, `{"verdict":"scanner","reasons":["network_proofpoint","early"]}`},
		{[]string{"--kind", "open", "--agent", desktopFirefox, "--address", "67.231.152.9", "--since", "3h"}, `{"verdict":"unknown","reasons":["network_proofpoint"]}`},
		{[]string{"--kind", "open", "--agent", desktopFirefox, "--since", "30s"}, `{"verdict":"human","reasons":["early_open"]}`},
	}
	for _, tt := range tests {
		out, errs, err := runVerdict(t, "", tt.args...)
		if err != nil || strings.TrimSpace(out) != tt.want {
			t.Errorf("%q: got %s %s %v, want %s", tt.args, out, errs, err, tt.want)
		}
	}
}

func TestVerdictOnJSONLines(t *testing.T) {
	lines := `{"id":1,"message":"m","link":"a","time":1795455903.120,"address":"192.0.2.1","agent":"` + desktopFirefox + `","accept":"text/html","sent_at":"2026-01-01T00:00:00Z"}
{"id":"two","message":"m","link":"b","time":"2026-11-23T17:45:04Z","address":"192.0.2.1","agent":"` + desktopFirefox + `","accept":"text/html"}
not JSON

{"kind":"open","message":"n","time":1795455905,"headers":{"user-agent":"Slackbot 1.0"}}
{"kind":"dance"}
{"address":"nowhere"}
{"time":"yesterday"}
`
	file := filepath.Join(t.TempDir(), "hits.jsonl")
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, err := runVerdict(t, "", file)
	want := `"line":1,"id":"1","verdict":"scanner","reasons":["burst_address"
"line":2,"id":"two","verdict":"scanner","reasons":["burst_address"
"line":5,"verdict":"scanner","reasons":["agent_preview"]`
	got := strings.Split(strings.TrimSpace(out), "\n")
	for i, w := range strings.Split(want, "\n") {
		if i >= len(got) || !strings.Contains(got[i], w) {
			t.Errorf("line %d: want %s in\n%s", i, w, out)
		}
	}
	if len(got) != 3 {
		t.Errorf("%d lines: %s", len(got), out)
	}
	if err == nil || !strings.Contains(err.Error(), "not be read: 4") {
		t.Errorf("four lines can't be read: %v", err)
	}
	for _, w := range []string{"line 3: want a JSON object", `line 6: kind "dance"`, `line 7: address "nowhere"`, `line 8: `} {
		if !strings.Contains(errs, w) {
			t.Errorf("want %q in %s", w, errs)
		}
	}
}

func TestVerdictOnAnAccessLog(t *testing.T) {
	lines := `192.0.2.7 - - [21/Nov/2026:17:45:03 +0000] "GET /c/m1/2?x=1 HTTP/1.1" 302 0 "-" "` + desktopFirefox + `"
192.0.2.7 - bob [21/Nov/2026:17:45:04 +0000] "GET /c/m1/3 HTTP/1.1" 302 0 "https://example.com/\"q\"" "` + desktopFirefox + `"
192.0.2.8 - - [21/Nov/2026:17:45:04 +0000] "GET /o/m2.gif HTTP/1.1" 200 43 "-" "Mozilla/5.0"
192.0.2.8 - - [21/Nov/2026:17:45:04 +0000] "GET /favicon.ico HTTP/1.1" 404 0 "-" "Mozilla/5.0"
`
	out, errs, err := runVerdict(t, lines, "--format", "combined", "--click", `^/c/(?P<message>[^/]+)/(?P<link>\d+)`, "-")
	if err != nil {
		t.Fatal(err, errs)
	}
	for i, w := range []string{`"line":1,"verdict":"scanner","reasons":["burst_address"`, `"line":2,"verdict":"scanner"`, `"line":3,"verdict":"proxy"`} {
		if got := strings.Split(out, "\n"); !strings.Contains(got[i], w) {
			t.Errorf("want %s, got %s", w, got[i])
		}
	}
	if n := strings.Count(out, "\n"); n != 3 {
		t.Errorf("%d lines, want 3: a path that is no hit is passed over", n)
	}
	out, _, err = runVerdict(t, lines, "--summary", "--format", "combined", "--click", `^/c/(?P<message>[^/]+)/(?P<link>\d+)`, "-")
	if err != nil || !strings.Contains(out, "burst_address") || !strings.Contains(out, "66.7 %") {
		t.Errorf("summary: %s %v", out, err)
	}
}

func TestVerdictUsage(t *testing.T) {
	for _, args := range [][]string{
		{"--kind", "dance"},
		{"--address", "x"},
		{"--header", "x"},
		{"--format", "csv", "-"},
		{"--format", "combined", "-"},
		{"--format", "combined", "--click", "(", "-"},
		{"--rules", filepath.Join(t.TempDir(), "none")},
		{"--window", "-1s", "-"},
	} {
		_, _, err := runVerdict(t, "", args...)
		var usage usageError
		if !errors.As(err, &usage) {
			t.Errorf("%q: got %v, want an error of usage", args, err)
		}
	}
}

func TestVerdictPassesOverWhatIsNoHit(t *testing.T) {
	lines := strings.Join([]string{
		`{"id":1,"agent":"curl/8.5.0"}`,
		strings.Repeat("x", 3*maxHitLine),
		"\x00\xff\x1b[2J",
		`{"id":2,"time":"9999-12-31T23:59:59Z","message":"m"}`,
		`{"id":3,"headers":` + strings.Repeat(`{"a":`, 20_000) + strings.Repeat("}", 20_001),
		`{"id":4,"agent":"` + desktopFirefox + `","headers":{"ACCEPT":"image/png","accept":"text/html","Accept":"*/*"}}` + "\r",
		`{"id":5,"agent":"curl/8.5.0"}`, // without an end
	}, "\n")
	for range 10 {
		out, errs, err := runVerdict(t, lines, "-")
		if err == nil || err.Error() != "lines that could not be read: 3" {
			t.Errorf("error %v", err)
		}
		if strings.Count(out, "\n") != 4 || !strings.Contains(out, `"line":7,"id":"5","verdict":"scanner"`) {
			t.Errorf("got %s", out)
		}
		if !strings.Contains(out, `"line":6,"id":"4","verdict":"human","reasons":["click_without_open"]`) {
			t.Errorf("one header under several names: not that which comes last in order: %s", out)
		}
		if !strings.Contains(errs, "line 2: longer than 1048576 bytes") || strings.Contains(errs, "\x1b") {
			t.Errorf("errors %q", errs)
		}
	}
}
