package machine

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestUsageOfAProcessAndItsChildren(t *testing.T) {
	own, err := processUsage(os.Getpid())
	if err != nil || own.rss < 1<<20 || own.processes < 1 {
		t.Fatalf("%+v, %v", own, err)
	}
	// A shell that waits for a child of its own, which says that it is there.
	cmd := exec.Command("sh", "-c", "sh -c 'echo; read _'; exit 0")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if u, err := processUsage(cmd.Process.Pid); err != nil || u.processes != 2 || u.rss == 0 {
		t.Errorf("%+v, %v: want 2 processes", u, err)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := processUsage(cmd.Process.Pid); err == nil {
		t.Error("a process that has ended is measured")
	}
	if _, err := NewMeter(cmd.Process.Pid); err == nil {
		t.Error("its meter begins")
	}
}

func TestParseStat(t *testing.T) {
	const rest = " 7 123 123 0 -1 4194560 1000 0 0 0 11 22 33 44 20 0 9 0 100 0 5"
	for _, name := range []string{"node", "a b", "x) S 1 (", ""} {
		u, err := parseStat([]byte("42 (" + name + ") S" + rest + "\n"))
		if want := (usage{cpu: (11 + 22 + 33 + 44) * 10 * time.Millisecond, rss: 5 * int64(os.Getpagesize()), processes: 1}); err != nil || u != want {
			t.Errorf("a process named %q: %+v, %v, want %+v", name, u, err, want)
		}
	}
	for _, text := range []string{"", "42", "42 (x) S 7", "42 (x", "42 (x) S" + rest[:len(rest)-1] + "a"} {
		if u, err := parseStat([]byte(text)); err == nil {
			t.Errorf("%q: %+v", text, u)
		}
	}
}
