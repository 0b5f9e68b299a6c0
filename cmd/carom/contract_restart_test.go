package main

import (
	"bytes"
	"encoding/json"
	"net/url"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// checkRestart stops the server, reads its folder, starts it again, and finds everything as it was.
func (w *world) checkRestart(t *testing.T, asOf ...time.Time) {
	t.Helper()
	before := w.told(nil, 1000)
	live := w.dumps(t, "--api", "http://"+w.api)
	if n := len(before); live["refined"] != n {
		t.Errorf("carom events --refined: %d lines, the API tells %d events", live["refined"], n)
	}
	if code := w.stop(); code != exitDone {
		t.Errorf("stopped with exit code %d:\n%s", code, w.output)
	}
	if w.fleet == nil { // of which no node's folder holds everything
		stopped := w.dumps(t, "--data", filepath.Join(w.dir, "data"))
		for what, n := range live {
			if n == 0 || stopped[what] != n {
				t.Errorf("carom events, %s: %d lines from the running server, %d from its folder", what, n, stopped[what])
			}
		}
	}
	w.serve()
	if after := w.told(nil, 1000); !w.same(before, after) {
		t.Errorf("%d events before the restart, %d after it, or others", len(before), len(after))
	}
	middle := len(before) / 2
	if rest := w.told(url.Values{"after": {before[middle].Cursor}}, 1000); !w.same(before[middle+1:], rest) {
		t.Error("a cursor of before the restart leads elsewhere")
	}
	// A click that waits to be judged outlives the process, which dies of kill -9 this time.
	l := w.set("waiting", 1)[0]
	w.click(l, 0, person)
	w.kill()
	w.serve()
	w.checkEvents(t)
	w.checkScores(t, asOf...)
}

// dumps counts the lines that `carom events` prints, which must be JSON.
func (w *world) dumps(t *testing.T, from ...string) map[string]int {
	t.Helper()
	count := make(map[string]int)
	for what, flags := range map[string][]string{"journal": nil, "refined": {"--refined"}} {
		stdout, stderr, code := carom(t, nil, slices.Concat([]string{"events"}, from, flags)...)
		if code != exitDone {
			t.Errorf("carom events %v %v: exit code %d, %s", from, flags, code, stderr)
		}
		for line := range bytes.Lines([]byte(stdout)) {
			if count[what]++; !json.Valid(line) {
				t.Errorf("no JSON: %q", line)
			}
		}
	}
	return count
}
