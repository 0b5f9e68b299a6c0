package load

import (
	"context"
	"time"

	"carom/bench/result"
)

// How long the end may take.
const (
	afterEnd  = time.Second     // in which clients work off what was due in an open loop
	afterCut  = time.Second     // for the last answers of a load that was ended early
	afterStop = 5 * time.Second // for clients to come back when their connections are closed
)

// watch tells each second, until all clients are gone, and ends the load: first no new requests, then no more waiting for
// answers.
func (r *runner) watch(ctx context.Context, gone <-chan struct{}, d *dispatcher, stop func()) {
	w := watcher{runner: r, before: r.recorder.sum(false)}
	if r.plan.Warmup == 0 {
		w.begin(0)
	}
	// Seconds count from the end of the warm-up, whose own first one may be shorter.
	w.next = r.plan.Warmup % time.Second
	if w.next == 0 {
		w.next = time.Second
	}
	tick := time.NewTimer(w.next)
	defer tick.Stop()
	over := time.NewTimer(r.end() + afterEnd)
	defer over.Stop()
	ended := ctx.Done()
	for waiting, closing := true, false; ; {
		select {
		case <-gone:
			w.last()
			return
		case <-tick.C:
			w.second()
			tick.Reset(max(w.next-r.now(), 0))
		case <-ended:
			ended = nil
			r.stopped = r.now()
			r.cut.Store(true)
			r.stopping.Store(true)
			d.stop()
			over.Reset(min(r.plan.Timeout, afterCut))
			waiting = false
		case <-over.C:
			switch {
			case waiting:
				waiting = false
				d.stop()
				now := r.now()
				d.left(func(start time.Duration, n int64) { r.recorder.unsent(start, now, n) })
				over.Reset(r.plan.Timeout + afterEnd)
			case !closing:
				closing = true
				stop()
				r.closeClients()
				over.Reset(afterStop)
			default:
				r.hung = true
				w.last()
				return
			}
		}
	}
}

// watcher makes the series.
type watcher struct {
	*runner
	before *sums
	at     time.Duration // of before
	next   time.Duration // when the second ends
}

// begin is the end of the warm-up.
func (w *watcher) begin(now time.Duration) {
	w.harness.Restart()
	if w.server != nil {
		w.server.Restart()
	}
	w.before, w.at = w.recorder.sum(false), now
}

// second tells what went on since the last one.
func (w *watcher) second() {
	now := w.now()
	p, sum := w.point(now)
	warm := now <= w.plan.Warmup || w.next <= w.plan.Warmup
	if w.observer != nil {
		w.observer.Second(p, sum.warm-w.before.warm)
	}
	if !warm {
		w.series = append(w.series, p)
	}
	w.before, w.at = sum, now
	if w.next == w.plan.Warmup {
		w.begin(now)
	}
	for w.next <= now {
		w.next += time.Second
	}
}

// last tells what is left when all is over, if it is much of a second.
func (w *watcher) last() {
	if now := w.now(); now-w.at > time.Second/2 && now > w.plan.Warmup {
		p, _ := w.point(now)
		w.series = append(w.series, p)
	}
}

func (w *watcher) point(now time.Duration) (result.Point, *sums) {
	s := w.recorder.sum(false)
	length := max((now - w.at).Seconds(), 1e-9)
	harness, _ := w.harness.Sample()
	p := result.Point{
		At: (now - w.plan.Warmup).Seconds(), Wanted: (w.schedule.count(now) - w.schedule.count(w.at)) / length,
		Requests: s.requests - w.before.requests, Items: s.items - w.before.items, Failed: s.failed - w.before.failed,
		Harness: harness.Seconds() / length,
	}
	h := histogramOf(s.latency, w.before.latency)
	p.P50, p.P99, p.Max = inMicros(h.At(50)), inMicros(h.At(99)), inMicros(h.Max())
	if w.server != nil {
		server, rss := w.server.Sample()
		p.Server, p.Memory = server.Seconds()/length, rss
	}
	return p, s
}

func inMicros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
