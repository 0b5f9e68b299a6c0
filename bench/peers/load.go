package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"carom/bench/result"
)

// load asks a server over and over, each client again as soon as it is answered.
type load interface {
	// make runs the load and returns what came of it. Its error names what it said.
	run(ctx context.Context, j job) (measure, error)
}

// job is one run of a load.
type job struct {
	addr        string
	name        string // of the peer
	server      int    // its process id
	connections int
	duration    time.Duration
	warmup      bool   // comes before the run that counts, against the same server
	dir         string // where it may leave files
}

// measure is what came of a run.
type measure struct {
	Answered int64         `json:"answered"` // rightly
	Failed   int64         `json:"failed"`
	Cut      int64         `json:"cut"` // at most so many were asked and their answers not waited for
	Seconds  float64       `json:"seconds"`
	P50      float64       `json:"p50_us,omitempty"` // latency; 0 if the load doesn't tell
	P99      float64       `json:"p99_us,omitempty"`
	CPU      time.Duration `json:"harness_cpu_ns"` // user and system

	detail *result.Result // of our own harness
}

func (m *measure) rate() float64 { return float64(m.Answered) / m.Seconds }

// command runs a load's command to its end.
func command(ctx context.Context, name string, args ...string) (out []byte, cpu time.Duration, err error) {
	cmd := exec.CommandContext(ctx, name, args...)
	// An interrupt from the terminal is for the measuring process, which then ends what it started.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err = cmd.Output()
	if err != nil {
		const most = 500
		text := bytes.TrimSpace(append(said.Bytes(), out...))
		return nil, 0, fmt.Errorf("%s: %w: %s", name, err, text[max(0, len(text)-most):])
	}
	return out, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}
