package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options are the flags of all commands.
type options struct {
	carom       string
	dir         string
	keep        bool
	events      int64
	maxBytes    int64
	rounds      int
	seconds     time.Duration
	connections int
	sizes       string
	messages    int
	minutes     float64
	rate        float64
	out         string
}

const usage = `usage: growth COMMAND [flags]

  edge    rates of the tracking edge on a journal of -events, beside an empty one; then trims it
  start   time to be ready after kill -9, by size of the journal
  stages  what the CPU of a node with all roles goes to, at full rate for -seconds
  soak    memory, disk and latency of a node with all roles over -minutes

flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "growth:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	var o options
	flags := flag.NewFlagSet("growth", flag.ContinueOnError)
	flags.StringVar(&o.carom, "carom", "bin/carom", "the binary that is measured")
	flags.StringVar(&o.dir, "dir", "", "where the folders of the nodes are made; default: a temporary folder")
	flags.BoolVar(&o.keep, "keep", false, "leave the folders there")
	flags.Int64Var(&o.events, "events", 50_000_000, "edge: how many events the full journal holds")
	flags.Int64Var(&o.maxBytes, "max-bytes", 10<<30, "edge: bytes on disk that the full journal may take; fewer events are run if they don't fit")
	flags.IntVar(&o.rounds, "rounds", 6, "edge, start: how often each is measured")
	flags.DurationVar(&o.seconds, "seconds", 10*time.Second, "edge, stages: length of a round")
	flags.IntVar(&o.connections, "connections", 256, "clients that load a node")
	flags.StringVar(&o.sizes, "sizes", "0,1,5,10", "start: sizes of the journal on disk, in GB")
	flags.IntVar(&o.messages, "messages", 0, "start: how many messages refine knows beside the journal, with all roles; 0: the role track alone")
	flags.Float64Var(&o.minutes, "minutes", 60, fmt.Sprintf("soak: how long, %g or more", leastSoak.Minutes()))
	flags.Float64Var(&o.rate, "rate", 0, "soak: events a second, registrations among them; 0: half of what the first minute reaches")
	flags.StringVar(&o.out, "out", "bin/soak", "soak, stages: where samples and profiles go: OUT.csv, OUT.json, OUT.html, OUT.pprof")
	flags.Usage = func() { fmt.Fprint(flags.Output(), usage); flags.PrintDefaults() }
	if len(args) == 0 {
		flags.Usage()
		return errors.New("which command?")
	}
	commands := map[string]func(context.Context, *options, io.Writer, io.Writer) error{"edge": edge, "start": start, "stages": stages, "soak": soak}
	command, ok := commands[args[0]]
	if !ok {
		flags.Usage()
		return fmt.Errorf("command %q: want edge, start, stages or soak", args[0])
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if o.carom, err = filepath.Abs(o.carom); err != nil {
		return err
	}
	if o.dir == "" {
		o.dir = os.TempDir()
	}
	if o.dir, err = os.MkdirTemp(o.dir, "carom-growth-"); err != nil {
		return err
	}
	if !o.keep {
		defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	}
	return command(ctx, &o, out, progress)
}
