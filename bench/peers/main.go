package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == serveWord {
		exit(runServe(os.Args[2:]))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(runMain(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func exit(err error) {
	switch {
	case err == nil:
		os.Exit(0)
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, "bench-peers:", err)
	var usage usageError
	if errors.As(err, &usage) {
		os.Exit(2)
	}
	os.Exit(1)
}

func runMain(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	o, err := readOptions(args, progress)
	if err != nil {
		return err
	}
	peers, unknown := choose(everyPeer(), o.Peers)
	if len(unknown) > 0 {
		return usageError{fmt.Errorf("-peers: there is no %v: want some of %s", unknown, names(everyPeer()))}
	}
	if err := raiseFiles(); err != nil {
		return fmt.Errorf("raise the number of open files: %w", err)
	}
	dir, err := newDir(o.Dir)
	if err != nil {
		return fmt.Errorf("make the folder of the run: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b, err := newBench(ctx, dir, &o, peers)
	if err != nil {
		return err
	}
	r := outcome{Format: outcomeFormat, Began: time.Now().UTC().Truncate(time.Second), Options: o}
	if r.Machine, err = readMachine(dir); err != nil {
		return err
	}
	fmt.Fprintf(progress, "%s, %d cores, %s, append and fdatasync of 4 KiB: %.0f µs\n", r.Machine.CPU, r.Machine.Cores, r.Machine.System, r.Machine.Sync)
	b.rounds(ctx, &o, peers, &r, progress)
	r.finish(peers)
	if len(r.Rows) == 0 {
		return errors.Join(writeFailures(progress, &r), ctx.Err(), errors.New("nothing could be measured"))
	}
	fmt.Fprintln(progress)
	return errors.Join(writeTables(out, &r), r.writeFiles(&o, progress), ctx.Err())
}

// rounds measures every peer at every number of connections, as many times as it is told, or until ctx is done.
func (b *bench) rounds(ctx context.Context, o *options, peers []peer, r *outcome, progress io.Writer) {
	began, cells := time.Now(), 0
	for round := range o.Rounds {
		cells += len(plan(peers, o, round))
	}
	done := 0
	for round := range o.Rounds {
		for _, step := range plan(peers, o, round) {
			if ctx.Err() != nil {
				return
			}
			c := b.run(ctx, step.peer, round+1, step.connections)
			if ctx.Err() != nil {
				return // it was cut short
			}
			r.Cells = append(r.Cells, c)
			done++
			left := time.Duration(float64(time.Since(began)) / float64(done) * float64(cells-done))
			fmt.Fprintf(progress, "%3d of %d, %s left: round %d, %s, %d connections: %s\n",
				done, cells, left.Round(time.Second), c.Round, c.Peer, c.Connections, c.sum())
		}
	}
}

// sum tells a cell in some words.
func (c *cell) sum() string {
	if c.Error != "" {
		first, _, _ := strings.Cut(c.Error, "\n")
		return "left out: " + first
	}
	text := fmt.Sprintf("%.0f/s", c.rate())
	if c.P99 > 0 {
		text += ", p99 " + millis(c.P99)
	}
	return text
}

// step is a cell to come.
type step struct {
	peer        *peer
	connections int
}

// plan returns the steps of a round: number by number, so that the peers of a pair follow each other closely.
func plan(peers []peer, o *options, round int) []step {
	var steps []step
	for _, part := range []struct {
		protocol    string
		connections []int
	}{{overHTTP, o.Connections}, {overSMTP, o.Sessions}} {
		var over []peer
		for _, p := range peers {
			if p.protocol == part.protocol {
				over = append(over, p)
			}
		}
		for _, n := range part.connections {
			ordered := order(over, round)
			for i := range ordered {
				steps = append(steps, step{&ordered[i], n})
			}
		}
	}
	return steps
}

// newBench finds the programs and prepares the loads.
func newBench(ctx context.Context, dir string, o *options, peers []peer) (*bench, error) {
	b := &bench{
		dir: dir, loads: map[string]load{}, cores: runtime.NumCPU(),
		settle: unix.Sync, // see doc.go
		calm:   calm{dir: dir, sync: o.Calm, cores: runtime.NumCPU()},
		warmup: time.Duration(o.Warmup) * time.Second, duration: time.Duration(o.Seconds) * time.Second,
	}
	b.tools.keys = filepath.Join(dir, "keys.yaml")
	var err error
	if b.tools.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if b.tools.carom, err = filepath.Abs(o.Carom); err != nil {
		return nil, err
	}
	if b.tools.haraka, err = filepath.Abs(o.Haraka); err != nil {
		return nil, err
	}
	if said, err := exec.CommandContext(ctx, b.tools.carom, "keys", "new", "--out", b.tools.keys).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make keys with -carom %s: %w: %s: build it with make build", o.Carom, err, said)
	}
	if b.minter, err = newMinter(b.tools.keys); err != nil {
		return nil, err
	}
	return b, b.prepare(o, peers)
}
