package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	benchload "carom/bench/load"
	"carom/bench/result"

	"github.com/spf13/cobra"
)

// loadFlags are the flags that all commands share which make load: bench http, smtp and api.
type loadFlags struct {
	plan     benchload.Plan
	rate     string
	duration time.Duration
	find     string
	bound    *benchload.Bound // what find says
	name     string
	json     string
	html     string
	threads  int
	dir      string
}

func (f *loadFlags) add(cmd *cobra.Command, connections int) {
	flags := cmd.Flags()
	flags.IntVar(&f.plan.Clients, "connections", connections, "how many connections the requests are made on")
	flags.StringVar(&f.rate, "rate", "", "requests a second: 1000; a ramp, 1000..5000; steps with figures of their own, 1000,2000,4000; left out, each connection asks again as soon as it is answered")
	flags.DurationVar(&f.duration, "duration", 10*time.Second, "how long is measured: the steps of --rate share it; with --find-rate, at each rate that is tried")
	flags.DurationVar(&f.plan.Warmup, "warmup", 2*time.Second, "how long the first rate goes on before that, which counts nowhere")
	flags.DurationVar(&f.plan.Timeout, "timeout", 10*time.Second, "how long an answer may take")
	flags.StringVar(&f.find, "find-rate", "", "search the highest rate that keeps a bound on latency, to within 5 %, and at which nothing fails: p99<10ms, p99.9<1s, max<50ms; --rate is where it begins")
	flags.StringVar(&f.name, "name", "", "what the result is called where several are compared")
	flags.StringVar(&f.json, "json", "", "write the result as JSON to this file; - is standard output")
	flags.StringVar(&f.html, "html", "", "write the result as a page with plots to this file; - is standard output")
	flags.IntVar(&f.threads, "threads", max(runtime.NumCPU()/4, 1), "how many of the machine's cores the harness may use at once")
	flags.IntVar(&f.plan.ServerPID, "server-pid", 0, "process id of the server on this machine: its CPU time and memory, with its children, are told too (on Linux)")
	addDir(flags, &f.dir)
	cmd.Long += loadLong
}

// loadLong ends the help of all commands that make load.
const loadLong = `

The harness's own CPU time is told with every result, and should stay well below that of the server; that of a node which
is started here is told, too. Both are measured on Linux only. A node's figures depend on the disk that its folder is on
(--dir): the result says how long a synced write takes there. Ctrl-C ends a load early: what was measured by then is the
result.

The exit code is 0 if there is a result with at least one right answer, however many failed: how many is in the result. It
is 1 if no request was answered as it should be, if --find-rate finds no rate or the one that it found does not hold when it
is measured once more, or if nothing could be measured or a file not be written; 2 if the flags are wrong.`

// check reads what the flags say, before anything is started; own says that a node of its own will be.
func (f *loadFlags) check(own bool) (err error) {
	if own && f.plan.ServerPID != 0 {
		return usageError{errors.New("--server-pid: want a target: the node that is started by this command is measured anyway")}
	}
	if err := checkDir(f.dir, own, "target"); err != nil {
		return usageError{err}
	}
	if f.plan.Stages, err = benchload.ParseRate(f.rate, f.duration); err != nil {
		return usageError{fmt.Errorf("--rate: %w", err)}
	}
	if f.find != "" {
		bound, err := benchload.ParseBound(f.find)
		if err != nil {
			return usageError{fmt.Errorf("--find-rate: %w", err)}
		}
		if len(f.plan.Stages) > 1 || f.plan.Stages[0].From != f.plan.Stages[0].To {
			return usageError{fmt.Errorf("--rate: %q: --find-rate begins at one rate", f.rate)}
		}
		f.bound = &bound
	}
	if err := f.plan.Validate(); err != nil {
		return usageError{fmt.Errorf("--%w", err)} // the parts of a plan are called as the flags
	}
	if f.threads < 1 || f.threads > maxThreads {
		return usageError{fmt.Errorf("--threads: %d: want 1 to %d", f.threads, maxThreads)}
	}
	if f.json == "-" && f.html == "-" {
		return usageError{errors.New("--json - and --html - both print: give one of them a file")}
	}
	if f.plan.ServerPID < 0 {
		return usageError{fmt.Errorf("--server-pid: %d: want a process id", f.plan.ServerPID)}
	}
	return nil
}

const maxThreads = 1024

// harnessGC lets the harness's heap, which is small, grow before it is swept: the sweeps would cost the server's time.
const harnessGC = 400

// measured says what a result is of.
type measured struct {
	kind    string            // http, smtp, api
	target  string            // URL, or host and port
	node    *childNode        // that was started to be measured; nil: the target is somebody else's
	options map[string]string // settings that the figures depend on, by flag
	notes   func() []string   // what else a reader must know, when all is over; nil: nothing
}

// run makes the load, shows how it goes, and writes what came of it. Failures are no error as long as
// something is right: the result tells them.
func (f *loadFlags) run(cmd *cobra.Command, m measured, newClient func(i int) (benchload.Client, error)) error {
	// With one thread the scheduler wakes no other to look for work: requests then start earlier and cost half as much at
	// low rates. A node must never run so; the harness syncs nothing to disk.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(f.threads))
	defer debug.SetGCPercent(debug.SetGCPercent(harnessGC))
	plan, progress := f.plan, newLoadProgress(cmd.ErrOrStderr())
	if m.node != nil {
		plan.ServerPID = m.node.pid()
	}
	progress.begin(&plan, f.bound, m.target)
	r, err := f.measure(cmd.Context(), plan, newClient, progress)
	if err != nil && !errors.Is(err, benchload.ErrUnconfirmed) {
		return err
	}
	r.Kind, r.Target, r.Options, r.Name = m.kind, label(m.target), make(map[string]string), label(cmp.Or(f.name, m.target))
	for option, value := range m.options {
		r.Options[option] = label(value)
	}
	r.Machine.Carom = version()
	if m.node != nil {
		r.Machine.Disk = m.node.disk
		r.Notes = noteMemory(r.Notes, m.node.disk)
	}
	if m.notes != nil {
		r.Notes = append(r.Notes, m.notes()...)
	}
	switch {
	case r.Requests == 0 && r.Failed == 0:
		err = errors.New("no request was answered")
	case r.Requests == 0:
		err = errors.New("no request was answered as it should be: the result's errors say why")
	case err != nil:
		err = fmt.Errorf("%w: give it longer steps with --duration", err)
	}
	page := func(w io.Writer) error { return result.WritePage(w, r) }
	return errors.Join(writeOutput(cmd.OutOrStdout(), r.WriteTable, outputForm{"html", f.html, page}, outputForm{"json", f.json, r.Write}), err)
}

func (f *loadFlags) measure(ctx context.Context, plan benchload.Plan, newClient func(i int) (benchload.Client, error), o benchload.Observer) (*result.Result, error) {
	if f.bound != nil {
		return benchload.Find(ctx, plan, *f.bound, newClient, o)
	}
	return benchload.Run(ctx, plan, newClient, o)
}

// maxLabel is how many bytes of a URL or a name a result keeps.
const maxLabel = 1000

// label makes a text from the command line fit for a result.
func label(text string) string {
	text = strings.ToValidUTF8(text, "?")
	if len(text) > maxLabel {
		text = strings.ToValidUTF8(text[:maxLabel], "") + "…"
	}
	return text
}
