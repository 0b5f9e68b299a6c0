package scenario

import (
	"context"
	"runtime"
	"sync"
	"time"

	"carom/bench/machine"
	"carom/bench/result"
)

// usage is what the harness and the node use, through all of the node's lives.
type usage struct {
	mu      sync.Mutex // guards what follows
	harness *machine.Meter
	server  *machine.Meter // nil: not known, or just killed
	past    result.CPU     // of lives that are over
	began   time.Time
}

// newUsage begins to measure; pid is the node's, 0 if it is not known.
func newUsage(pid int) (*usage, error) {
	u := &usage{began: time.Now()}
	var err error
	if u.harness, err = machine.NewMeter(0); err != nil || pid == 0 {
		return u, err
	}
	u.server, err = machine.NewMeter(pid)
	return u, err
}

// watch looks at both from time to time, until ctx ends.
func (u *usage) watch(ctx context.Context) {
	for pause(ctx, time.Second/2) == nil {
		u.mu.Lock()
		u.harness.Sample()
		if u.server != nil {
			u.server.Sample()
		}
		u.mu.Unlock()
	}
}

// died ends a life of the node, and born begins the next.
func (u *usage) died() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.server == nil {
		return
	}
	life := u.server.Total(0, 0)
	u.past.Seconds += life.Seconds
	u.past.PeakRSS = max(u.past.PeakRSS, life.PeakRSS)
	u.server = nil
}

func (u *usage) born(pid int) (err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.server, err = machine.NewMeter(pid)
	return err
}

// totals are what both have used for so many facts.
func (u *usage) totals(facts int64) (harness result.CPU, server *result.CPU) {
	u.mu.Lock()
	defer u.mu.Unlock()
	lasted := time.Since(u.began)
	harness = u.harness.Total(lasted, facts)
	if u.server == nil {
		return harness, nil
	}
	s := u.server.Total(lasted, facts)
	s.Seconds += u.past.Seconds
	s.PeakRSS = max(s.PeakRSS, u.past.PeakRSS)
	s.Cores = s.Seconds / lasted.Seconds()
	s.Share = s.Cores / float64(runtime.NumCPU())
	s.PerItem = s.Seconds * 1e6 / float64(max(facts, 1))
	return harness, &s
}
