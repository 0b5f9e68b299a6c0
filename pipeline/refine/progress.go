package refine

import (
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

const (
	// farBehind is from how many records on the way to the end of the input is reported.
	farBehind = 100_000
	// reportEvery is how often.
	reportEvery = 10 * time.Second
)

// progress reports a way through the input that takes long: a rebuild, or a backlog.
type progress struct {
	log      *zap.Logger
	from, to int64 // offsets; from == to while there is nothing to report
	began    time.Time
	saidAt   time.Time // the last line
	said     int64     // the offset that it spoke of
	left     atomic.Int64
}

// begin starts reporting the way from an offset to another.
func (pr *progress) begin(from, to int64, now time.Time) {
	pr.from, pr.to, pr.began, pr.saidAt, pr.said = from, to, now, now, from
	pr.left.Store(to - from)
	pr.log.Info("catching up", zap.Int64("offset", from), zap.Int64("to", to), zap.Int64("records", to-from))
}

// passed notes that all before an offset is done.
func (pr *progress) passed(offset int64, now time.Time) {
	switch {
	case pr.from == pr.to:
		return
	case offset >= pr.to:
		pr.left.Store(0)
		pr.log.Info("caught up", zap.Int64("offset", offset), zap.Int64("records", offset-pr.from),
			zap.Duration("took", now.Sub(pr.began)), zap.Int64("records-per-second", rate(offset-pr.from, now.Sub(pr.began))))
		pr.from = pr.to
		return
	}
	pr.left.Store(pr.to - offset)
	if now.Sub(pr.saidAt) < reportEvery {
		return
	}
	pr.log.Info("catching up", zap.Int64("offset", offset), zap.Int64("left", pr.to-offset),
		zap.Int64("percent", int64(100*float64(offset-pr.from)/float64(pr.to-pr.from))),
		zap.Int64("records-per-second", rate(offset-pr.said, now.Sub(pr.saidAt))))
	pr.said, pr.saidAt = offset, now
}

// rate returns records a second.
func rate(records int64, took time.Duration) int64 {
	return int64(float64(records) / max(took.Seconds(), 1e-3))
}
