package main

import (
	"os"
	"testing"
)

func TestParseStat(t *testing.T) {
	const rest = " 7 123 123 0 -1 4194560 1000 0 0 0 11 22 33 44 20 0 9 0 100 0 0"
	for _, name := range []string{"node", "a b", "x) S 1 (", ""} {
		got, err := parseStat([]byte("42 (" + name + ") S" + rest + "\n"))
		if want := (procStat{pid: 42, parent: 7, ticks: 11 + 22 + 33 + 44}); err != nil || got != want {
			t.Errorf("a process named %q: %+v, %v, want %+v", name, got, err, want)
		}
	}
	for _, text := range []string{"", "42", "42 (x) S 7", "42 (x", "x (x) S" + rest, "42 )x( S" + rest, "42 (x) S a" + rest} {
		if got, err := parseStat([]byte(text)); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

func TestCPUOf(t *testing.T) {
	// The process that started the test has used some, and so has this one, which is among its children.
	if used, err := cpuOf(os.Getppid()); err != nil || used <= 0 {
		t.Errorf("%v, %v", used, err)
	}
	if _, err := cpuOf(1 << 30); err == nil {
		t.Error("a process that is not there has used CPU")
	}
}
