package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"carom/bench/machine"
	"carom/bench/result"
)

// Observer watches a measurement. Its methods are called one after the other.
type Observer interface {
	// Second tells what went on in the last second. In the warm-up, which counts nowhere, warm is how many requests were
	// made.
	Second(p result.Point, warm int64)
	// Tried tells a step of a search.
	Tried(t result.Try)
}

// Run makes the load that the plan says and returns what came of it. All clients are made before the first request. When
// ctx ends, so does the load; what was measured until then is the result. It returns an error if nothing could be
// measured.
func Run(ctx context.Context, p Plan, newClient func(i int) (Client, error), o Observer) (*result.Result, error) {
	return run(ctx, p, newClient, o, exactly)
}

func run(ctx context.Context, p Plan, newClient func(i int) (Client, error), o Observer, pacer pacer) (*result.Result, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	r := &runner{plan: p, observer: o, schedule: newSchedule(&p), recorder: newRecorder(p.Warmup, runtime.GOMAXPROCS(0))}
	r.recorder.steps = newSteps(&p)
	defer r.closeClients()
	for i := range p.Clients {
		if ctx.Err() != nil {
			return nil, errors.New("measure: ended before the first request")
		}
		c, err := newClient(i)
		if err != nil {
			return nil, fmt.Errorf("make connection %d of %d: %w", i+1, p.Clients, err)
		}
		r.clients = append(r.clients, c)
		r.tallies = append(r.tallies, r.recorder.client(i))
	}
	if err := r.openMeters(); err != nil {
		return nil, err
	}
	sleep, done, err := pacer()
	if err != nil {
		return nil, err
	}
	r.drive(ctx, sleep)
	done()
	if r.cut.Load() && r.stopped <= p.Warmup {
		return nil, errors.New("measure: ended in the warm-up: nothing was measured")
	}
	return r.result()
}

// runner is one measurement.
type runner struct {
	plan     Plan
	observer Observer
	schedule *schedule
	clients  []Client

	recorder *recorder
	tallies  []*tally // of each client; read when all have ended

	harness, server *machine.Meter // server: nil if unknown

	began    time.Time     // of the warm-up; times count from here
	stopping atomic.Bool   // a closed loop asks no more
	cut      atomic.Bool   // the load was ended before its plan did
	stopped  time.Duration // when that was; the watcher's
	lost     atomic.Int64  // requests under way when the load was ended, of those that would count
	hung     bool          // some clients did not come back
	series   []result.Point
}

func (r *runner) now() time.Duration { return time.Since(r.began) }

// end is when the last request may start.
func (r *runner) end() time.Duration { return r.plan.Warmup + r.plan.duration() }

func (r *runner) openMeters() (err error) {
	if r.harness, err = machine.NewMeter(0); err != nil {
		return err
	}
	if pid := r.plan.ServerPID; pid != 0 {
		r.server, err = machine.NewMeter(pid)
	}
	return err
}

// drive lets the clients work until the plan ends or ctx does.
func (r *runner) drive(ctx context.Context, sleep func(time.Duration)) {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	r.began = time.Now()
	var running, pacing sync.WaitGroup
	defer pacing.Wait()
	d := newDispatcher(r.schedule, len(r.clients), r.now)
	defer d.stop()
	take := func(*turn) order { return r.again() }
	if !r.plan.Closed() {
		take = d.take
		pacing.Go(func() { d.pace(sleep) })
	}
	for i, c := range r.clients {
		running.Go(func() { r.work(work, c, r.tallies[i], take) })
	}
	gone := make(chan struct{})
	go func() { running.Wait(); close(gone) }()
	r.watch(ctx, gone, d, stop)
}

// again is the next request of a closed loop.
func (r *runner) again() order {
	now := r.now()
	return order{start: now, ok: now < r.end() && !r.stopping.Load()}
}

// afterFailure is how long a client of a closed loop rests, which otherwise would do nothing but fail.
const afterFailure = 10 * time.Millisecond

// work is one client's life.
func (r *runner) work(ctx context.Context, c Client, t *tally, take func(*turn) order) {
	closed := r.plan.Closed()
	place := &turn{wake: make(chan order, 1)}
	for {
		o := take(place)
		if !o.ok {
			return
		}
		sent := o.start
		if !closed {
			sent = r.now()
		}
		a := c.Do(ctx)
		done := r.now()
		if a.Err == nil {
			t.count(o, sent, done, &a)
			continue
		}
		if r.cut.Load() {
			if o.start >= r.plan.Warmup {
				r.lost.Add(1)
			}
			return // it failed because we ended it
		}
		t.count(o, sent, done, &a)
		if closed {
			time.Sleep(afterFailure)
		}
	}
}

// result puts together what came of it.
func (r *runner) result() (*result.Result, error) {
	s := r.recorder.sum(true)
	until := r.end()
	if r.cut.Load() {
		until = min(until, r.stopped)
	}
	whole := max(until, s.last) - r.plan.Warmup
	seconds := whole.Seconds()
	if r.plan.Closed() && !r.hung {
		seconds = cmp.Or(r.asked().Seconds(), seconds)
	}
	res := &result.Result{
		Format: result.Format, Began: r.began.Add(r.plan.Warmup), Seconds: max(seconds, 0), Load: r.plan.load(),
		Requests: s.requests, Items: s.items, Bytes: s.bytes, Failed: s.failed, Errors: r.recorder.errs.most(),
		Series: r.series, Machine: machine.Describe(),
	}
	for d, counted := range map[*result.Distribution][]int64{&res.Latency: s.latency, &res.Service: s.service, &res.Lateness: s.lateness} {
		var err error
		if *d, err = histogramOf(counted, nil).Distribution(); err != nil {
			return nil, err
		}
	}
	var err error
	if res.Steps, err = r.recorder.stepResults(until, s.last); err != nil {
		return nil, err
	}
	if seconds > 0 {
		res.Rate = float64(s.items) / seconds
	}
	res.Harness = r.harness.Total(whole, s.items)
	if r.server != nil {
		c := r.server.Total(whole, s.items)
		res.Server = &c
	}
	if !r.hung {
		res.Answers = r.answers()
	}
	res.Notes = r.notes(res, s)
	return res, nil
}

// asked is how long the clients of a closed loop were at it, from the first request that counts to the last answer, on
// the mean: to count from the end of the warm-up to the very last answer would make slow answers look slower, and one that
// hangs all of them.
func (r *runner) asked() (mean time.Duration) {
	n := time.Duration(0)
	for _, t := range r.tallies {
		if t.until > 0 {
			mean += t.until - t.first
			n++
		}
	}
	return mean / max(n, 1)
}

// load tells the plan in a result's words.
func (p *Plan) load() result.Load {
	l := result.Load{Mode: "open", Connections: p.Clients, Warmup: p.Warmup.Seconds(), Timeout: p.Timeout.Seconds()}
	if p.Closed() {
		l.Mode = "closed"
	}
	for _, s := range p.Stages {
		l.Stages = append(l.Stages, s.told())
	}
	return l
}

// told tells a stage in a result's words.
func (s *Stage) told() result.Stage {
	return result.Stage{From: s.From, To: s.To, Seconds: s.Duration.Seconds()}
}

// answers adds up what the clients have counted, the most frequent first.
func (r *runner) answers() (all []result.Answers) {
	for _, t := range r.tallies {
		for _, a := range t.answers {
			same := func(b result.Answers) bool { return a.Kind == b.Kind && a.Code == b.Code }
			if i := slices.IndexFunc(all, same); i >= 0 {
				all[i].Count += a.Count
			} else if len(all) < maxErrors {
				all = append(all, a)
			}
		}
	}
	slices.SortFunc(all, func(a, b result.Answers) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Code, b.Code))
	})
	return all
}

func (r *runner) closeClients() {
	for _, c := range r.clients {
		_ = c.Close() // nothing that it was to say is waited for
	}
}
