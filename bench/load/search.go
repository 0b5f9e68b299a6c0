package load

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"carom/bench/result"
)

// Bound is what a rate must keep: so many per cent of the latencies lie below a time, and nothing fails.
type Bound struct {
	Percent float64 // 100: all
	Below   time.Duration
}

var boundForm = regexp.MustCompile(`^\s*(?:p(\d{1,3}(?:\.\d{1,4})?)|(max))\s*<\s*(\S+)\s*$`)

// ParseBound reads a bound as people write it: p99<10ms, p99.9<1s, max<50ms.
func ParseBound(text string) (Bound, error) {
	fail := fmt.Errorf("%q: want a percentile from p50 to p99.99, or max, and a time: p99<10ms, p99.9<1s, max<50ms", text)
	m := boundForm.FindStringSubmatch(text)
	if m == nil {
		return Bound{}, fail
	}
	b := Bound{Percent: 100}
	var err error
	if m[2] == "" {
		if b.Percent, err = strconv.ParseFloat(m[1], 64); err != nil || b.Percent < 50 || b.Percent > 99.99 {
			return Bound{}, fail
		}
	}
	if b.Below, err = time.ParseDuration(m[3]); err != nil || b.Below < time.Microsecond || b.Below > time.Hour {
		return Bound{}, fail
	}
	return b, nil
}

// String is the bound as ParseBound reads it.
func (b Bound) String() string {
	return b.percentile() + "<" + b.Below.String()
}

// percentile is the name of what is bounded: p99, max.
func (b Bound) percentile() string {
	if b.Percent == 100 {
		return "max"
	}
	return fmt.Sprintf("p%g", b.Percent)
}

// Bounds of a search.
const (
	firstRate  = 1000 // where a search begins if nothing is said
	lowestRate = 1
	// resolution is how much the lowest rate that failed may be above the highest that held.
	resolution = 1.05
	maxTries   = 40
)

// From where on a rate that broke the bound may be the harness's doing.
const (
	lateOfBound = 0.5 // of the bound, by which the harness itself was late
	lateOfAll   = 0.5 // of the requests, which found a free connection: of fewer, their lateness is not that of most
	harnessHalf = 0.5 // of the CPU that it and the server used
	scarceCPU   = 0.5 // of the machine, which both used: of less, whoever wanted more could have it
)

// ErrUnconfirmed says that the rate which a search has found did not hold when it was measured once more.
var ErrUnconfirmed = errors.New("find a rate: unconfirmed")

// Find searches the highest rate that keeps a bound: it doubles the rate of the plan's only stage until the bound
// breaks, then halves what lies between, down to the resolution, each step as long as that stage. The result is that of
// the highest rate that held, measured once more, with all the steps; when ctx ends before that, that of the step that
// held. Its notes tell what may have broken the bound at the next rate above, if that was not the server. With
// ErrUnconfirmed there is a result, too.
func Find(ctx context.Context, p Plan, b Bound, newClient func(i int) (Client, error), o Observer) (*result.Result, error) {
	f := finder{bound: b, observer: o, measure: func(rate float64) (*result.Result, error) {
		step := p
		step.Stages = []Stage{{From: rate, To: rate, Duration: p.duration()}}
		return Run(ctx, step, newClient, o)
	}}
	begin := p.Stages[0].From
	if begin <= 0 {
		begin = firstRate
	}
	return f.find(ctx, begin)
}

// finder is one search.
type finder struct {
	bound    Bound
	measure  func(rate float64) (*result.Result, error)
	observer Observer
	tries    []result.Try
	best     *result.Result // of the highest rate that held; nil: none yet
	broke    []string       // why the lowest rate that broke the bound may have, if that was not the server
}

var errEnded = errors.New("find a rate: ended")

// try measures a rate and reports whether it held. A step that was cut short tells nothing.
func (f *finder) try(ctx context.Context, rate float64) (*result.Result, bool, error) {
	res, err := f.measure(rate)
	if ctx.Err() != nil {
		return nil, false, errEnded
	}
	if err != nil {
		return nil, false, err
	}
	if res.Requests == 0 && res.Failed == 0 {
		text := fmt.Sprintf("at %g a second a step has no request: measure longer steps", rate)
		return nil, false, fmt.Errorf("find a rate: %s", strings.Join(append([]string{text}, f.broke...), "; "))
	}
	t := result.Try{Wanted: rate, Bound: f.bound.String(), Failed: res.Failed}
	for d, micros := range map[*result.Distribution]*float64{&res.Latency: &t.Measured, &res.Lateness: &t.Lateness} {
		h, err := d.Histogram()
		if err != nil {
			return nil, false, err
		}
		*micros = inMicros(h.At(f.bound.Percent))
	}
	t.Harness, _ = res.HarnessShare()
	if res.Seconds > 0 {
		t.Reached = float64(res.Requests) / res.Seconds
	}
	t.Held = res.Requests > 0 && t.Failed == 0 && t.Measured < inMicros(f.bound.Below)
	f.tries = append(f.tries, t)
	if f.observer != nil {
		f.observer.Tried(t)
	}
	if t.Held {
		f.best = res
	}
	return res, t.Held, nil
}

func (f *finder) find(ctx context.Context, rate float64) (*result.Result, error) {
	res, err := f.search(ctx, rate)
	if !errors.Is(err, errEnded) {
		return res, err
	}
	if f.best == nil {
		return nil, fmt.Errorf("%w after %d steps, none of which kept %s", err, len(f.tries), f.bound)
	}
	f.best.Search = f.tries
	f.best.Notes = append(f.best.Notes, fmt.Sprintf("the search was ended after %d steps: this is the highest rate that had held by then", len(f.tries)))
	f.best.Notes = append(f.best.Notes, f.broke...)
	return f.best, nil
}

func (f *finder) search(ctx context.Context, rate float64) (*result.Result, error) {
	var held, failed float64 // the highest and the lowest; 0: none yet
	for len(f.tries) < maxTries && (held == 0 || failed == 0 || failed > held*resolution) {
		res, ok, err := f.try(ctx, rate)
		if err != nil {
			return nil, err
		}
		// Nothing came too late, and nothing was right: at a lower rate that is no other.
		if res.Requests == 0 && res.Latency.Count == 0 && res.Failed > 0 {
			return nil, fmt.Errorf("find a rate: at %g a second nothing was answered as it should be: %s", rate, mostFrequent(res.Errors))
		}
		if ok {
			held = rate
		} else {
			failed, f.broke = rate, f.blame(res)
		}
		switch {
		case failed == 0:
			rate = held * 2
		case held == 0:
			rate = failed / 2
		default:
			rate = (held + failed) / 2
		}
		if rate < lowestRate || rate > maxRate {
			break
		}
	}
	if held == 0 {
		text := fmt.Sprintf("none keeps %s: at %g a second it was %s, with %d failures", f.bound, f.last().Wanted, told(f.last()), f.last().Failed)
		return nil, fmt.Errorf("find a rate: %s", strings.Join(append([]string{text}, f.broke...), "; "))
	}
	res, ok, err := f.try(ctx, held)
	if err != nil {
		return nil, err
	}
	res.Search = f.tries
	res.Notes = append(res.Notes, f.broke...)
	if !ok {
		text := fmt.Sprintf("%g a second kept %s in the search and not when measured once more: %s, %d failures", held, f.bound, told(f.last()), f.last().Failed)
		res.Notes = append(append(res.Notes, text+": measure longer steps"), f.blame(res)...)
		return res, fmt.Errorf("%w: %s", ErrUnconfirmed, text)
	}
	return res, nil
}

func (f *finder) last() *result.Try { return &f.tries[len(f.tries)-1] }

// blame is a note if the harness may be why the last try broke the bound. It has no say in whether a rate held: a server is
// slower, too, on a machine that makes the harness late.
func (f *finder) blame(res *result.Result) []string {
	t := f.last()
	var signs []string
	if t.Lateness >= lateOfBound*inMicros(f.bound.Below) && float64(res.Lateness.Count) >= lateOfAll*float64(res.Latency.Count) {
		signs = append(signs, fmt.Sprintf("it sent late by %s itself (%s)", result.Micros(t.Lateness), f.bound.percentile()))
	}
	if t.Harness >= harnessHalf && res.Harness.Share+res.Server.Share >= scarceCPU {
		signs = append(signs, fmt.Sprintf("it used %.0f %% of the CPU that it and the server used", 100*t.Harness))
	}
	if threads, busy := busy(res); busy {
		signs = append(signs, fmt.Sprintf("it used %.2f of the %d cores that it may use", res.Harness.Cores, threads))
	}
	if len(signs) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("at %g a second, which broke %s, the harness and not the server may be the limit: %s", t.Wanted, f.bound, strings.Join(signs, ", and "))}
}

func told(t *result.Try) time.Duration {
	return time.Duration(t.Measured * float64(time.Microsecond)).Round(time.Microsecond)
}

// mostFrequent is the failure that came most often.
func mostFrequent(counts map[string]int64) (text string) {
	for t, n := range counts {
		if n > counts[text] || n == counts[text] && t < text {
			text = t
		}
	}
	return text
}
