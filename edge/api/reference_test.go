package api

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// Every member of every object that is answered or taken stands in REFERENCE.md. That each of them is in openapi.yaml is what
// contractCheck finds, in all answers of all tests.
func TestReferenceHasTheMembers(t *testing.T) {
	page, err := os.ReadFile("REFERENCE.md")
	must(t, err)
	said := make(map[string]bool)
	for _, word := range regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_-]*`).FindAllString(string(page), -1) {
		said[word] = true
	}
	members := 0
	var look func(place string, v any)
	look = func(place string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name := range at[map[string]any](v, "properties") {
				if members++; !said[name] {
					t.Errorf("%s: the member %s is not described", place, name)
				}
			}
			for name, e := range v {
				look(place+"/"+name, e)
			}
		case []any:
			for _, e := range v {
				look(place, e)
			}
		}
	}
	look("", contractOnce().root)
	if members < 300 {
		t.Errorf("only %d members", members)
	}
}

// Every path has its place in REFERENCE.md, and every example there works.
func TestReference(t *testing.T) {
	page, err := os.ReadFile("REFERENCE.md")
	must(t, err)
	w := newWorld(t, nil)
	for _, r := range w.server.routes() {
		if r.pattern != "/" && !strings.Contains(string(page), r.pattern) {
			t.Errorf("%s is not described", r.pattern)
		}
	}
	shell, err := exec.LookPath("sh")
	if _, curlErr := exec.LookPath("curl"); err != nil || curlErr != nil {
		t.Skip("no sh or no curl to run the examples with")
	}
	examples := 0
	for _, block := range strings.Split(string(page), "```sh\n")[1:] {
		script, _, _ := strings.Cut(block, "```")
		if strings.HasPrefix(script, "carom ") { // which cmd/carom tests
			continue
		}
		script = strings.ReplaceAll(script, "localhost:8081", w.server.Addr().String())
		script = strings.ReplaceAll(script, "curl -sN", "curl -sN -m 1")
		for _, c := range []string{"m-1", "m-2"} { // registered by an example before
			if strings.Contains(script, "v1/messages/"+c) {
				w.await(func() bool { return w.get("/v1/messages/"+c).StatusCode == 200 })
			}
		}
		out, err := exec.Command(shell, "-c", script).CombinedOutput()
		examples++
		switch {
		case strings.Contains(script, "-m 1"): // ends by its time limit
			if !strings.Contains(string(out), ": events") {
				t.Errorf("%s: %s", script, out)
			}
		case err != nil:
			t.Errorf("%s: %v: %s", script, err, out)
		case strings.Count(string(out), `"type":"`+problemType) != strings.Count(script, `{"sender":"alice"}`): // the one bad line
			t.Errorf("%s: %s", script, out)
		}
	}
	if examples < 10 {
		t.Errorf("only %d examples", examples)
	}
}
