package load

import (
	"os/exec"
	"testing"
	"time"
)

func TestRunWithoutItsServer(t *testing.T) {
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	p := Plan{Clients: 1, Stages: constant(1, time.Second), Timeout: time.Second, ServerPID: gone.Process.Pid}
	if _, err := Run(t.Context(), p, taking(0), nil); err == nil {
		t.Error("a load of a server that isn't there is made")
	}
}

// A server that does nothing leaves all CPU to the harness, which each step tells.
func TestFindTellsTheHarnessShare(t *testing.T) {
	cmd := exec.Command("sh", "-c", "echo; read _")
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
	defer func() { in.Close(); _ = cmd.Wait() }()
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	o := &notebook{}
	p := Plan{Clients: 4, Stages: constant(4, 10*time.Millisecond), Timeout: time.Second, ServerPID: cmd.Process.Pid}
	_, err = Find(t.Context(), p, Bound{Percent: 100, Below: time.Microsecond}, taking(time.Millisecond), o)
	if err == nil {
		t.Error("an answer comes within a microsecond")
	}
	if len(o.tries) == 0 {
		t.Error("no step was made")
	}
	for _, try := range o.tries {
		if try.Harness != 1 {
			t.Errorf("%+v: want the harness to have used all", try)
		}
	}
}
