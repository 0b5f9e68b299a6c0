package scenario

import (
	"sync"
	"time"

	"carom/bench/result"
)

// latency counts times while the play runs.
type latency struct {
	mu    sync.Mutex // guards times
	times *result.Histogram
}

func newLatency() *latency { return &latency{times: result.NewHistogram()} }

func (l *latency) record(took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.times.Record(took)
}

func (l *latency) distribution() (result.Distribution, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.times.Distribution()
}
