package load

import (
	"sort"
	"sync/atomic"
	"time"

	"carom/bench/result"
)

// step counts what became of one of several stages of an open loop. All goroutines count in the same place: there may be
// a thousand of them, and a histogram for each shard would be too much.
type step struct {
	stage      Stage
	begin, end time.Duration // as the schedule's times

	latency  histogram    // of the requests that were due in it
	failed   atomic.Int64 // of those
	answered atomic.Int64 // while it lasted, whenever they were due
}

// newSteps makes a step of each stage. Those of a closed loop, and one alone, tell nothing more than the whole.
func newSteps(p *Plan) (all []*step) {
	if len(p.Stages) < 2 || p.Closed() {
		return nil
	}
	begin := p.Warmup
	for _, s := range p.Stages {
		all = append(all, &step{stage: s, begin: begin, end: begin + s.Duration})
		begin += s.Duration
	}
	return all
}

// stepAt is the step that a time lies in; behind the end it is the last one.
func (r *recorder) stepAt(t time.Duration) *step {
	i := sort.Search(len(r.steps)-1, func(i int) bool { return t < r.steps[i].end })
	return r.steps[i]
}

// countStep counts one request, if there are steps.
func (r *recorder) countStep(start, done time.Duration, err error) {
	if len(r.steps) == 0 {
		return
	}
	due := r.stepAt(start)
	if err == nil || timedOut(err) {
		due.latency.record(done - start)
	}
	if err != nil {
		due.failed.Add(1)
		return
	}
	r.stepAt(done).answered.Add(1)
}

// stepResults are the figures of the steps that began before the end. The last of them lasts until the last answer, as the
// whole does.
func (r *recorder) stepResults(end, last time.Duration) (all []result.Step, err error) {
	for i, s := range r.steps {
		if s.begin >= end {
			break
		}
		until, answered := s.end, s.answered.Load()
		if i == len(r.steps)-1 || until >= end {
			until = max(end, last)
			for _, never := range r.steps[i+1:] { // where the last answers of a load that was ended early were counted
				answered += never.answered.Load()
			}
		}
		one := result.Step{Stage: s.stage.told(), Failed: s.failed.Load()}
		one.Seconds = (until - s.begin).Seconds()
		one.Reached = float64(answered) / one.Seconds
		counted := make([]int64, buckets)
		s.latency.addTo(counted)
		if one.Latency, err = histogramOf(counted, nil).Distribution(); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}
