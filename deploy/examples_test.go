package deploy_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"carom/pipeline/event"
)

// The example in Go prints and counts each event once, though half of them come twice, and though it is stopped in the
// middle and what comes then begins with a repeat.
func TestBrokerExampleGo(t *testing.T) {
	tp := newTopic(t, broker(t))
	program := build(t, "./examples/go")
	file := filepath.Join(t.TempDir(), "state")
	events := stream(t, 120)
	args := []string{"--brokers", tp.broker, "--prefix", tp.prefix, "--state", file}

	tp.publish(t, events[:60]...)
	tp.publish(t, events[20:60]...)
	first := start(t, program, args...)
	lines := first.read(t, 60)
	lines = append(lines, first.stop(t)...)

	tp.publish(t, events[40:60]...)
	tp.publish(t, events[20:]...)
	lines = append(lines, output(t, program, append(args, "--once")...)...)
	wantEachOnce(t, lines, events)
	if more := output(t, program, append(args, "--once")...); len(more) > 0 {
		t.Errorf("with nothing new it printed %q", more)
	}

	state := document(t, file)
	counts := map[string]string{}
	for kind, n := range state["counts"].(map[string]any) {
		counts[kind] = n.(json.Number).String()
	}
	if want := map[string]string{"sent": "60", "click": "60"}; !maps.Equal(counts, want) {
		t.Errorf("it counted %v, want %v", counts, want)
	}
	wantForeignRefused(t, tp, exec.Command(program, append(args, "--once")...))
}

// Killed without warning it prints some again, but counts each once.
func TestBrokerExampleGoKilled(t *testing.T) {
	tp := newTopic(t, broker(t))
	program := build(t, "./examples/go")
	file := filepath.Join(t.TempDir(), "state")
	events := stream(t, 80)
	args := []string{"--brokers", tp.broker, "--prefix", tp.prefix, "--state", file}
	tp.publish(t, events[:40]...)
	first := start(t, program, args...)
	first.read(t, 10)
	if err := first.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.cmd.Wait() // killed
	tp.publish(t, events[10:]...)
	output(t, program, append(args, "--once")...)
	if counts := document(t, file)["counts"].(map[string]any); counts["sent"] != json.Number("40") || counts["click"] != json.Number("40") {
		t.Errorf("it counted %v, want 40 and 40", counts)
	}
}

// The same of the example with kcat.
func TestBrokerExampleKcat(t *testing.T) {
	tp := newTopic(t, broker(t))
	if _, err := exec.LookPath("kcat"); err != nil {
		t.Fatal("kcat isn't installed: 'make test-kafka' installs it")
	}
	file := filepath.Join(t.TempDir(), "state")
	events := stream(t, 120)
	args := []string{tp.broker, tp.name, file}

	tp.publish(t, events[:60]...)
	tp.publish(t, events[20:60]...)
	lines := output(t, "examples/kcat/consume.sh", args...)
	wantEachOnce(t, lines, events[:60])

	tp.publish(t, events[40:60]...)
	tp.publish(t, events[20:]...)
	lines = append(lines, output(t, "examples/kcat/consume.sh", args...)...)
	wantEachOnce(t, lines, events)
	if more := output(t, "examples/kcat/consume.sh", args...); len(more) > 0 {
		t.Errorf("with nothing new it printed %q", more)
	}

	// What retention took is told, not passed over.
	good := readFile(t, file)
	gone := strings.ReplaceAll(good, "next 0 ", "next 0 9")
	writeFile(t, file, gone)
	if out, err := exec.Command("examples/kcat/consume.sh", args...).CombinedOutput(); err == nil {
		t.Errorf("an offset that is not there is passed over: %s", out)
	}
	if readFile(t, file) != gone {
		t.Error("the state of a run that failed was kept")
	}
	writeFile(t, file, good)
	wantForeignRefused(t, tp, exec.Command("examples/kcat/consume.sh", args...))
}

// wantForeignRefused writes what is no record of ours: it stops a consumer that would drop repeats wrongly.
func wantForeignRefused(t *testing.T, tp *topic, cmd *exec.Cmd) {
	t.Helper()
	foreign := &kgo.Record{Topic: tp.name, Key: []byte("x"), Value: []byte("{}"), Headers: []kgo.RecordHeader{{Key: "not_ce_origin", Value: []byte("1/2/3")}}}
	if err := tp.client.ProduceSync(testContext(t), foreign).FirstErr(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "not a record of Carom") {
		t.Errorf("a foreign record: %v: %s", err, out)
	}
}

// wantEachOnce checks that the lines are the events, each once, and those of a sender in order.
func wantEachOnce(t *testing.T, lines []string, events []event.Refined) {
	t.Helper()
	want, got := map[string][]string{}, map[string][]string{}
	for i := range events {
		want[events[i].Sender] = append(want[events[i].Sender], string(events[i].AppendJSON(nil)))
	}
	for _, line := range lines {
		var e event.Refined
		if err := e.DecodeJSON([]byte(line)); err != nil {
			t.Fatalf("%v: %q", err, line)
		}
		got[e.Sender] = append(got[e.Sender], line)
	}
	for sender := range want {
		if !slices.Equal(got[sender], want[sender]) {
			t.Errorf("%s: %d events, want %d:\n%s", sender, len(got[sender]), len(want[sender]), strings.Join(got[sender], "\n"))
		}
	}
	if len(lines) != len(events) {
		t.Errorf("%d lines, want %d", len(lines), len(events))
	}
}

func readFile(t testing.TB, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func writeFile(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// build makes a program of one of our packages.
func build(t testing.TB, pkg string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	if out, err := exec.Command("go", "build", "-o", program, pkg).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

// output runs a program to its end and returns the lines that it prints.
func output(t testing.TB, program string, args ...string) []string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(testContext(t), program, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s%s", err, stderr.Bytes(), out)
	}
	return strings.Split(string(out), "\n")[:bytes.Count(out, []byte("\n"))]
}

// process is a program that runs until it is told to stop.
type process struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

func start(t testing.TB, program string, args ...string) *process {
	t.Helper()
	cmd := exec.CommandContext(testContext(t), program, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	return &process{cmd, bufio.NewReader(out)}
}

// read returns the next n lines.
func (p *process) read(t testing.TB, n int) (lines []string) {
	t.Helper()
	for range n {
		line, err := p.out.ReadString('\n')
		if err != nil {
			t.Fatalf("%v after %d lines", err, len(lines))
		}
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	return lines
}

// stop ends it the polite way, and returns what it still printed.
func (p *process) stop(t testing.TB) []string {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(p.out)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("stopped with SIGTERM: %v", err)
	}
	return strings.Split(string(rest), "\n")[:bytes.Count(rest, []byte("\n"))]
}
