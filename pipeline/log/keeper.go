package log

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/pipeline/event"
)

// Kept is a log that a Keeper trims.
type Kept struct {
	Name string
	Log  interface {
		Bounds() (oldest, next int64)
		Retain(r Retention, now event.Millis, passed int64) (oldest int64, trimmed bool, err error)
	}
	Retention Retention
	// Passed is the offset before which no stage needs a record any more, not even after a crash.
	Passed func() int64
}

// keepEvery is how often a Keeper looks.
const keepEvery = time.Minute

// Keeper trims logs by their age and size, as far as their readers have passed them.
type Keeper struct {
	logs    []Kept
	log     *zap.Logger
	trimmed *prometheus.CounterVec
}

// NewKeeper returns a keeper of logs, each of a name of its own. It starts nothing. reg may be nil.
func NewKeeper(logs []Kept, logger *zap.Logger, reg prometheus.Registerer) *Keeper {
	k := &Keeper{logs: logs, log: logger.Named("keeper"), trimmed: shared(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carom_log_trims_total", Help: "Times that a log was trimmed by its age or size.",
	}, []string{"log"}))}
	for _, l := range logs {
		k.trimmed.WithLabelValues(l.Name)
	}
	return k
}

// Run trims now and then until ctx is done, which is no error, or something fails.
func (k *Keeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	for {
		if err := k.keep(event.Now()); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (k *Keeper) keep(now event.Millis) error {
	for _, l := range k.logs {
		oldest, trimmed, err := l.Log.Retain(l.Retention, now, l.Passed())
		if err != nil {
			return fmt.Errorf("keep %s: %w", l.Name, err)
		}
		if trimmed {
			k.trimmed.WithLabelValues(l.Name).Inc()
			k.log.Debug("trimmed", zap.String("log", l.Name), zap.Int64("oldest", oldest))
		}
	}
	return nil
}
