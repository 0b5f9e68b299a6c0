package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	benchload "carom/bench/load"
	"carom/bench/result"
)

// quietEvery is how often a load's progress is told where nobody watches: in a log.
const quietEvery = 15

// loadProgress shows people how a load goes: a line a second on a terminal.
type loadProgress struct {
	w       io.Writer
	every   int
	seconds int
	server  bool
}

func newLoadProgress(w io.Writer) *loadProgress {
	p := &loadProgress{w: w, every: quietEvery}
	if file, ok := w.(*os.File); ok && isTerminal(file) {
		p.every = 1
	}
	return p
}

func (p *loadProgress) begin(plan *benchload.Plan, bound *benchload.Bound, target string) {
	p.server = plan.ServerPID != 0
	how := "closed loop"
	switch {
	case bound != nil:
		how = "the highest rate with " + bound.String()
	case !plan.Closed():
		var rates []string
		for _, s := range plan.Stages {
			rate := fmt.Sprintf("%g", s.From)
			if s.To != s.From {
				rate += fmt.Sprintf("..%g", s.To)
			}
			rates = append(rates, rate)
		}
		how = strings.Join(rates, ", then ") + " a second"
	}
	fmt.Fprintf(p.w, "%s: %d connections, %s; warm-up %s\n", target, plan.Clients, how, plan.Warmup)
	if p.every == 1 {
		fmt.Fprintf(p.w, "%8s %10s %10s %9s %9s %9s %8s %8s\n", "second", "wanted/s", "done/s", "p50", "p99", "max", "failed", "harness")
	}
}

// Second prints a line.
func (p *loadProgress) Second(s result.Point, warm int64) {
	p.seconds++
	if p.seconds%p.every != 0 {
		return
	}
	second, wanted := fmt.Sprintf("%.0f", s.At), "-"
	if s.Wanted > 0 {
		wanted = fmt.Sprintf("%.0f", s.Wanted)
	}
	if warm > 0 {
		second, s.Requests = "warm-up", warm
	}
	fmt.Fprintf(p.w, "%8s %10s %10d %9s %9s %9s %8d %8.2f", second, wanted, s.Requests, result.Micros(s.P50), result.Micros(s.P99), result.Micros(s.Max), s.Failed, s.Harness)
	if p.server {
		fmt.Fprintf(p.w, " cores, server %.2f and %d MB", s.Server, s.Memory>>20)
	}
	fmt.Fprintln(p.w)
}

// Tried prints a step of a search.
func (p *loadProgress) Tried(t result.Try) {
	verdict := "too much"
	if t.Held {
		verdict = "held"
	}
	fmt.Fprintf(p.w, "%g a second: %s: %s took %s, %.0f a second, %d failed", t.Wanted, verdict, t.Bound, result.Micros(t.Measured), t.Reached, t.Failed)
	if t.Lateness > 0 {
		fmt.Fprintf(p.w, ", sent late by %s", result.Micros(t.Lateness))
	}
	fmt.Fprintln(p.w)
}
