package load

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
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
	if b.Percent == 100 {
		return fmt.Sprintf("max<%s", b.Below)
	}
	return fmt.Sprintf("p%g<%s", b.Percent, b.Below)
}

// Bounds of a search.
const (
	firstRate  = 1000 // where a search begins if nothing is said
	lowestRate = 1
	// resolution is how much the lowest rate that failed may be above the highest that held.
	resolution = 1.05
	maxTries   = 40
)

// Find searches the highest rate that keeps a bound: it doubles the rate of the plan's only stage until the bound
// breaks, then halves what lies between, each step as long as that stage. The result is that of the highest rate that
// held, measured once more, with all the steps. When ctx ends before that, there is none.
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
	res, err := f.find(begin)
	if err == nil && ctx.Err() != nil {
		err = fmt.Errorf("find a rate: ended after %d steps", len(f.tries))
	}
	return res, err
}

// finder is one search.
type finder struct {
	bound    Bound
	measure  func(rate float64) (*result.Result, error)
	observer Observer
	tries    []result.Try
}

// try measures a rate and reports whether it held.
func (f *finder) try(rate float64) (*result.Result, bool, error) {
	res, err := f.measure(rate)
	if err != nil {
		return nil, false, err
	}
	latency, err := res.Latency.Histogram()
	if err != nil {
		return nil, false, err
	}
	measured := latency.At(f.bound.Percent)
	t := result.Try{Wanted: rate, Bound: f.bound.String(), Measured: inMicros(measured), Failed: res.Failed}
	if res.Seconds > 0 {
		t.Reached = float64(res.Requests) / res.Seconds
	}
	t.Held = res.Requests > 0 && t.Failed == 0 && measured < f.bound.Below
	f.tries = append(f.tries, t)
	if f.observer != nil {
		f.observer.Tried(t)
	}
	return res, t.Held, nil
}

func (f *finder) find(rate float64) (*result.Result, error) {
	var held, failed float64 // the highest and the lowest; 0: none yet
	for len(f.tries) < maxTries && (held == 0 || failed == 0 || failed > held*resolution) {
		_, ok, err := f.try(rate)
		if err != nil {
			return nil, err
		}
		if ok {
			held = rate
		} else {
			failed = rate
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
		last := f.tries[len(f.tries)-1]
		return nil, fmt.Errorf("find a rate: none keeps %s: at %g a second it was %s, with %d failures", f.bound, last.Wanted, told(last), last.Failed)
	}
	res, ok, err := f.try(held)
	if err != nil {
		return nil, err
	}
	res.Search = f.tries
	if !ok {
		last := f.tries[len(f.tries)-1]
		res.Notes = append(res.Notes, fmt.Sprintf("%g a second kept %s in the search and not when measured once more: %s, %d failures: measure longer steps",
			held, f.bound, told(last), last.Failed))
	}
	return res, nil
}

func told(t result.Try) time.Duration {
	return time.Duration(t.Measured * float64(time.Microsecond)).Round(time.Microsecond)
}
