package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/pprof/profile"
)

// stages tells what the CPU of a node with all roles goes to, while as many events as it can take go from the sockets to the
// scores.
func stages(ctx context.Context, o *options, out, _ io.Writer) (err error) {
	dir := filepath.Join(o.dir, "node")
	if _, err := makeFolder(dir); err != nil {
		return err
	}
	n, err := startNode(ctx, o.carom, dir, "", "CAROM_TEST_PROFILES="+o.dir)
	if err != nil {
		return err
	}
	defer func() { _ = n.kill() }()
	p, err := newPlatform(n, "stages")
	if err != nil {
		return err
	}
	rate, err := p.find(ctx, o.seconds)
	if err != nil {
		return errors.Join(err, p.failures())
	}
	if failed := p.failures(); failed != nil {
		fmt.Fprintln(out, failed)
	}
	if err := errors.Join(p.complete(ctx, out), n.stop()); err != nil {
		return err
	}
	written, err := filepath.Glob(filepath.Join(o.dir, "*.pprof"))
	if err != nil || len(written) != 1 {
		return errors.Join(fmt.Errorf("the node has written %d profiles, not one", len(written)), err)
	}
	cpu, err := readProfile(written[0])
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%.0f events/s from socket to score, of them %.0f %% registrations, %.0f %% opens, %.1f %% clicks, %.1f %% bounces\n\n", rate,
		p.part(p.registered.Load()), p.part(p.opened.Load()), p.part(p.clicked.Load()), p.part(p.bounced.Load()))
	printShares(out, cpu, p.events())
	kept := o.out + ".pprof"
	if err := keep(written[0], kept); err != nil {
		return fmt.Errorf("keep the profile: %w", err)
	}
	fmt.Fprintf(out, "\nits profile: go tool pprof -http=: %s\n", kept)
	return nil
}

// keep copies a file of the run, whose folder may be on another disk than what is kept.
func keep(file, kept string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(kept), 0o755); err != nil {
		return err
	}
	return os.WriteFile(kept, b, 0o644)
}

// part is how many per cent of all events n are.
func (p *platform) part(n int64) float64 { return 100 * float64(n) / float64(p.events()) }

// share is the CPU time of a stage.
type share struct {
	stage string
	cpu   time.Duration
}

// stageOf maps functions to stages, by how their names begin. Of two that fit, the last counts. What fits none is a helper of
// its caller.
var stageOf = []struct{ prefix, stage string }{
	{"carom/edge/track.", "track: requests, tokens, answers"},
	{"carom/edge/inbound.", "inbound: SMTP"},
	{"carom/edge/report.", "inbound: reading reports"},
	{"carom/edge/mailbox.", "inbound: reading reports"},
	{"carom/edge/api.", "api: registrations"},
	{"carom/pipeline.", "accept: verdicts at once, repeats"},
	{"carom/pipeline/journal.", "journal"},
	{"carom/pipeline/refine.", "refine"},
	{"carom/pipeline/judge.", "refine"},
	{"carom/pipeline/burst.", "refine"},
	{"carom/pipeline/rollup.", "rollup"},
	{"carom/pipeline/suppress.", "suppress"},
	{"github.com/cockroachdb/pebble", "stores: flushes and compactions"},
	{"github.com/cockroachdb/pebble/v2/record.", "stores: logs"},
	{"runtime.gcBgMarkWorker", "garbage collection"},
	{"runtime.bgsweep", "garbage collection"},
	{"runtime.bgscavenge", "garbage collection"},
	{"runtime.mcall", "scheduling"},
	{"runtime.mstart", "scheduling"},
}

const otherStage = "all else"

// readProfile adds up a CPU profile by stage: that of the innermost function that belongs to one, but Pebble's own only
// where nobody else called it.
func readProfile(file string) ([]share, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := profile.Parse(f)
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	value := slices.IndexFunc(p.SampleType, func(t *profile.ValueType) bool { return t.Type == "cpu" })
	if value < 0 {
		return nil, errors.New("read profile: it has no CPU times")
	}
	sums := map[string]time.Duration{}
	for _, s := range p.Sample {
		sums[stage(s)] += time.Duration(s.Value[value])
	}
	shares := make([]share, 0, len(sums))
	for name, cpu := range sums {
		shares = append(shares, share{name, cpu})
	}
	slices.SortFunc(shares, func(a, b share) int { return int(b.cpu - a.cpu) })
	return shares, nil
}

// stage returns whose a sample is.
func stage(s *profile.Sample) string {
	found := otherStage
	for _, location := range s.Location { // from the innermost
		for _, line := range location.Line {
			if line.Function == nil {
				continue
			}
			for _, candidate := range stageOf {
				if !strings.HasPrefix(line.Function.Name, candidate.prefix) {
					continue
				}
				if strings.HasPrefix(candidate.prefix, "carom/") {
					return candidate.stage
				}
				found = candidate.stage
			}
		}
	}
	return found
}

func printShares(out io.Writer, shares []share, events int64) {
	var all time.Duration
	for _, s := range shares {
		all += s.cpu
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "µs of CPU an event\tshare\t\t")
	for _, s := range append(shares, share{"all", all}) {
		fmt.Fprintf(w, "%.1f\t%.1f %%\t\t%s\n", float64(s.cpu.Microseconds())/float64(events), 100*float64(s.cpu)/float64(all), s.stage)
	}
	_ = w.Flush()
}
