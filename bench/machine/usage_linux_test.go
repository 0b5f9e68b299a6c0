package machine

import (
	"bufio"
	"fmt"
	"io"
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
	cmd, in, _ := shell(t, "sh -c 'echo; read _'; exit 0")
	if u, err := processUsage(cmd.Process.Pid); err != nil || u.processes != 2 || u.rss == 0 {
		t.Errorf("%+v, %v: want 2 processes", u, err)
	}
	_ = in.Close()
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

// shell starts a shell, and waits for the first line that it says.
func shell(t *testing.T, script string) (cmd *exec.Cmd, in io.WriteCloser, out *bufio.Reader) {
	t.Helper()
	cmd = exec.Command("sh", "-c", script)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() }) // it ends with its input
	out = bufio.NewReader(pipe)
	if _, err := out.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return cmd, in, out
}

// What a node used counts through all of its lives, and not what its next process had used before it was ready.
func TestUsageOfANodeThatIsKilled(t *testing.T) {
	const busy = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo; "
	first, in, out := shell(t, "echo; read _; "+busy+"read _")
	u, err := NewUsage(first.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, "\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := out.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	u.Died()
	life := u.node.last.cpu - u.node.began.cpu
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	second, _, _ := shell(t, busy+"read _")
	start, _, err := Used(second.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Born(second.Process.Pid); err != nil {
		t.Fatal(err)
	}
	_, c := u.Totals(10)
	if life == 0 || start == 0 || c == nil || c.Seconds < life.Seconds() || c.Seconds >= (life+start).Seconds() {
		t.Errorf("%+v after a life of %v, and a start that took %v", c, life, start)
	}
	if c.Process != fmt.Sprintf("%d sh", second.Process.Pid) || c.PerItem <= 0 {
		t.Errorf("%+v, want it by item, of process %d", c, second.Process.Pid)
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
