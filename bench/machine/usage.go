package machine

import (
	"context"
	"sync"
	"time"

	"carom/bench/result"
)

// Usage is what a harness and the node that it measures use at the same time, through all of the node's lives.
type Usage struct {
	began time.Time

	mu      sync.Mutex // guards what follows
	harness *Meter
	node    *Meter    // nil: its process is not known
	away    bool      // the node was killed, and is not there again
	ended   time.Time // zero: not yet
}

// NewUsage begins to measure; pid is the node's, 0 if it is not known.
func NewUsage(pid int) (*Usage, error) {
	u := &Usage{began: time.Now()}
	var err error
	if u.harness, err = NewMeter(0); err == nil && pid != 0 {
		u.node, err = NewMeter(pid)
	}
	return u, err
}

// sampleEvery is how often Watch looks: a shorter peak of the memory may be missed.
const sampleEvery = time.Second / 2

// Watch looks at both from time to time, until ctx ends: the most memory that it sees is their peak.
func (u *Usage) Watch(ctx context.Context) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			u.mu.Lock()
			u.sample()
			u.mu.Unlock()
		}
	}
}

// sample looks at both as long as the measurement lasts; the caller holds the lock.
func (u *Usage) sample() {
	if !u.ended.IsZero() {
		return
	}
	u.harness.Sample()
	if u.node != nil && !u.away {
		u.node.Sample()
	}
}

// Died ends a life of the node, and comes before what kills it. Born begins the next.
func (u *Usage) Died() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sample()
	u.away = true
}

// Born begins the next life of the node, if its process was known.
func (u *Usage) Born(pid int) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.away = false
	if u.node == nil {
		return nil
	}
	return u.node.follow(pid)
}

// Stop ends the measurement, if it has not ended.
func (u *Usage) Stop() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ended.IsZero() {
		u.sample()
		u.ended = time.Now()
	}
}

// Totals are what both have used until the measurement ended, which it does now at the latest, for so many items. The
// node's are nil if its process is not known.
func (u *Usage) Totals(items int64) (harness result.CPU, node *result.CPU) {
	u.Stop()
	u.mu.Lock()
	defer u.mu.Unlock()
	lasted := u.ended.Sub(u.began)
	if u.node != nil {
		c := u.node.total(lasted, items)
		node = &c
	}
	return u.harness.total(lasted, items), node
}
