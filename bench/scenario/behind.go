package scenario

import (
	"sync"
	"time"

	"carom/bench/result"
)

// behind keeps how long after they were due messages began to live.
type behind struct {
	mu    sync.Mutex // guards what follows while the play runs
	waits *result.Histogram
}

func (b *behind) record(wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waits.Record(wait)
}
