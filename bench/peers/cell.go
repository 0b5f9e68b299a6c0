package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	benchmachine "carom/bench/machine"
)

// cell is one peer, measured once.
type cell struct {
	Round       int    `json:"round"` // from 1 on
	Peer        string `json:"peer"`
	Protocol    string `json:"protocol"`
	Connections int    `json:"connections"`
	measure
	ServerCPU time.Duration `json:"server_cpu_ns"`
	Asked     int64         `json:"asked"`          // answers since the server started, those of the check and the warm-up too
	Kept      *int64        `json:"kept,omitempty"` // records that lay in its folder after the stop
	// With -calm: how long it waited, and whether calm came.
	Waited time.Duration `json:"waited_ns,omitempty"`
	Calm   bool          `json:"calm,omitempty"`
	Error  string        `json:"error,omitempty"`
}

// serverEach is the server's CPU time for an answer, in microseconds.
func (c *cell) serverEach() float64 { return micros(c.ServerCPU) / float64(c.Answered) }

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// bench is what all cells have in common.
type bench struct {
	tools    tools
	minter   *minter
	loads    map[string]load // by protocol
	dir      string
	warmup   time.Duration
	duration time.Duration
	cores    int
	calm     calm
	settle   func() // what happens between two cells: the disk is left in peace
}

// run measures a peer. What goes wrong stands in the cell: others go on without it.
func (b *bench) run(ctx context.Context, p *peer, round, connections int) cell {
	c := cell{Round: round, Peer: p.name, Protocol: p.protocol, Connections: connections}
	if err := b.measure(ctx, p, &c); err != nil {
		c.Error = err.Error()
	}
	return c
}

func (b *bench) measure(ctx context.Context, p *peer, c *cell) (err error) {
	at := place{cores: b.cores, tools: &b.tools}
	if at.dir, err = os.MkdirTemp(b.dir, p.name+"-"); err != nil {
		return err
	}
	// Others than root's own processes must get in: nginx's workers, smtp-sink.
	if err := os.Chmod(at.dir, 0o755); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, os.RemoveAll(at.dir))
		b.settle()
	}()
	if at.addr, err = freeAddr(); err != nil {
		return err
	}
	s, err := start(ctx, p, &at)
	if err != nil {
		return err
	}
	err = b.load(ctx, p, s, &at, c)
	if err := errors.Join(err, s.stop()); err != nil {
		return err
	}
	if p.kept == nil {
		return nil
	}
	kept, err := p.kept(&at)
	if err != nil {
		return fmt.Errorf("count what was kept: %w", err)
	}
	c.Kept = &kept
	return checkKept(c)
}

// checkIndex is the number of the message that the check asks for; no load gets that far.
const checkIndex = 9_999_999_999

func (b *bench) load(ctx context.Context, p *peer, s *server, at *place, c *cell) error {
	if err := check(p, at.addr, b.minter, checkIndex); err != nil {
		return fmt.Errorf("check: %w%s", err, s.lastWords())
	}
	c.Asked = 1
	j := job{addr: at.addr, name: p.name, server: s.cmd.Process.Pid, connections: c.Connections, duration: b.warmup, warmup: true, dir: at.dir}
	warm, err := b.loads[p.protocol].run(ctx, j)
	if err != nil {
		return fmt.Errorf("warm up: %w", errors.Join(err, s.alive()))
	}
	if c.Calm, c.Waited, err = b.calm.wait(ctx); err != nil {
		return err
	}
	before, _, err := benchmachine.Used(s.cmd.Process.Pid)
	if err != nil {
		return err
	}
	j.duration, j.warmup = b.duration, false
	if c.measure, err = b.loads[p.protocol].run(ctx, j); err != nil {
		return fmt.Errorf("measure: %w", errors.Join(err, s.alive()))
	}
	after, _, err := benchmachine.Used(s.cmd.Process.Pid)
	if err != nil {
		return err
	}
	c.ServerCPU = after - before
	c.Asked += warm.Answered + c.Answered
	c.Cut += warm.Cut
	if failed := warm.Failed + c.Failed; failed > 0 {
		return fmt.Errorf("%d requests failed", failed)
	}
	return s.alive()
}

// checkKept compares what a server kept with what it answered.
func checkKept(c *cell) error {
	if most := c.Asked + c.Cut; *c.Kept < c.Asked || *c.Kept > most {
		return fmt.Errorf("kept %d records of %d requests that it answered (and at most %d that it heard)", *c.Kept, c.Asked, most)
	}
	return nil
}

// newDir makes the folder in which the peers run.
func newDir(parent string) (string, error) {
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(parent, "run-")
	if err != nil {
		return "", err
	}
	return filepath.Abs(dir)
}
