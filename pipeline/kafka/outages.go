package kafka

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// repeatAfter is how often a failure that lasts is logged.
const repeatAfter = time.Minute

// outages tell of failures for all of a client, whoever meets them: of each cause when it begins, and then once a
// minute at most. A worker has a hundred readers and writers, and all of them miss the same broker.
type outages struct {
	log *zap.Logger

	mu      sync.Mutex // guards what follows
	failing map[any]struct{}
	told    map[string]time.Time // by cause
	open    bool                 // something was told, and not yet that it is over
}

func newOutages(log *zap.Logger) *outages {
	return &outages{log: log, failing: make(map[any]struct{}), told: make(map[string]time.Time)}
}

// failed notes that who fails, a pointer, and calls tell unless others told of the cause already.
func (o *outages) failed(who any, cause string, tell func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failing[who] = struct{}{}
	if last, ok := o.told[cause]; ok && time.Since(last) < repeatAfter {
		return
	}
	o.told[cause], o.open = time.Now(), true
	tell()
}

// passed: what who failed with is over.
func (o *outages) passed(who any) {
	if o.leave(who) {
		o.log.Info("Kafka is back")
	}
}

// leave: who no longer tries. It reports whether who was the last that failed of an outage that was told of.
func (o *outages) leave(who any) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, was := o.failing[who]; !was {
		return false
	}
	delete(o.failing, who)
	last := o.open && len(o.failing) == 0
	if last {
		o.open = false
	}
	return last
}
