package kafka

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// How long to wait before the n-th try: twice as long each time. What only a change of settings or of the cluster can
// mend is tried more slowly.
const (
	retryFirst, retryMost     = 50 * time.Millisecond, 2 * time.Second
	lastingFirst, lastingMost = time.Second, 30 * time.Second
)

// errUnreadable marks what is not as Kafka's brokers keep it.
var errUnreadable = errors.New("what can't be read")

// tries is one thing that is tried until it succeeds. It is one goroutine's.
type tries struct {
	log     *zap.Logger
	outages *outages
	errors  prometheus.Counter
	doing   string
	place   string // what it reads

	failed int // in a row
}

// done ends an outage.
func (t *tries) done() {
	if t.failed > 0 {
		t.failed = 0
		t.outages.passed(t)
	}
}

// leave gives up.
func (t *tries) leave() { t.outages.leave(t) }

// again waits after an explained failure. It returns false if ctx is done.
func (t *tries) again(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	t.errors.Inc()
	f := failureOf(err)
	cause, first, most := f.cause, retryFirst, retryMost
	if setting := (*SettingError)(nil); errors.As(err, &setting) && !errors.Is(err, ErrUnreachable) {
		first, most = lastingFirst, lastingMost
	}
	if errors.Is(err, errUnreadable) {
		cause, first, most = "unreadable "+t.place, lastingFirst, lastingMost
	}
	t.outages.failed(t, cause, func() {
		t.log.Log(f.level(), "tries until it succeeds", zap.String("doing", t.doing), zap.Error(err))
	})
	delay := min(most, first<<min(t.failed, 10))
	t.failed++
	return wait(ctx, delay/2+rand.N(delay/2)) == nil
}

// wait returns nil after d, or why ctx is done.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
