package load

import (
	"fmt"
	"runtime"
	"time"

	"carom/bench/result"
)

// What a reader must be told of.
const (
	lateStart   = time.Millisecond // p99 of the harness's own delay
	busyHarness = 0.8              // of the threads that the harness may use
	busyMachine = 0.95
)

// notes are what a reader must know to trust the figures.
func (r *runner) notes(res *result.Result, s *sums) (notes []string) {
	say := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if r.cut.Load() {
		text := ""
		if n := r.unanswered(s); n > 0 {
			text = fmt.Sprintf(": %d requests were due or under way, and count nowhere", n)
		}
		say("ended early, after %.1f of %.1f seconds%s", (r.stopped - r.plan.Warmup).Seconds(), r.plan.duration().Seconds(), text)
	}
	if r.hung {
		say("some connections did not come back within their timeout")
	}
	if late := histogramOf(s.lateness, nil).At(99); late > lateStart {
		say("requests started late although a connection was free, by %s at the 99th percentile: the harness or its machine is at its limit", late.Round(10*time.Microsecond))
	}
	if threads, busy := busy(res); busy {
		say("the harness used %.2f of the %d cores that it may use: it may be what bounds the rate", res.Harness.Cores, threads)
	}
	if res.Server != nil {
		if busy := res.Harness.Share + res.Server.Share; busy > busyMachine {
			say("harness and server together used %.0f %% of the machine: they took CPU time from each other", 100*busy)
		}
		if err := r.server.Err(); err != nil {
			say("the server's process could not be measured until the end: %v", err)
		}
	}
	if !r.plan.Closed() && s.last > r.end()+afterEnd/10 {
		say("the last answer came %s after the last request was due", (s.last - r.end()).Round(time.Millisecond))
	}
	return notes
}

// busy reports whether the harness may be at its limit, of so many threads.
func busy(res *result.Result) (threads int, busy bool) {
	threads = min(runtime.GOMAXPROCS(0), res.Machine.Cores)
	return threads, res.Harness.Cores > busyHarness*float64(threads)
}

// unanswered is how many requests of a load that was ended early had no answer by then.
func (r *runner) unanswered(s *sums) int64 {
	if r.plan.Closed() {
		return r.lost.Load()
	}
	return r.schedule.before(r.stopped) - r.schedule.before(r.plan.Warmup) - s.requests - s.failed
}
