package progress

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A log gets a line every fifteen seconds at most, and one at the end.
func TestBarInALog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		b := New(&log, "hits", 200)
		for range 100 {
			time.Sleep(400 * time.Millisecond)
			b.Add(1)
		}
		b.Done()
		want := "hits               █████░░░░░░░░░░░░░░░░░░░░░░░░░     38 of 200\n" +
			"hits               ███████████░░░░░░░░░░░░░░░░░░░     76 of 200\n" +
			"hits               ███████████████░░░░░░░░░░░░░░░    100 of 200\n"
		if log.String() != want {
			t.Errorf("got\n%swant\n%s", log.String(), want)
		}
	})
}

// A terminal gets the line anew at each percent. The null device is as good as one: it takes characters.
func TestBarOnATerminal(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	file, err := os.Create(t.TempDir() + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if !isTerminal(null) || isTerminal(file) || isTerminal(&bytes.Buffer{}) {
		t.Error("a device is no terminal, or a file is one")
	}
	var out bytes.Buffer
	b := &Bar{w: &out, title: "hits", total: 400, live: true, shown: -1}
	for range 400 {
		b.Add(1)
	}
	b.Done()
	if got := strings.Count(out.String(), "\r"); got != 101 || !strings.HasSuffix(out.String(), " 400 of 400\n") {
		t.Errorf("%d lines: %q", got, out.String())
	}
}

// A step without pieces is at its end.
func TestBarOfNothing(t *testing.T) {
	var log bytes.Buffer
	New(&log, "scores", 0).Done()
	if got := log.String(); !strings.HasSuffix(got, "█      0 of 0\n") {
		t.Errorf("%q", got)
	}
}
