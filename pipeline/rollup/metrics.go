package rollup

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Why a record of the log was not counted.
const (
	skipRepeated = "repeated" // its origin was passed
	skipRejected = "rejected" // it can't be read
	skipTrimmed  = "trimmed"  // the log lost it before it was read
)

type metrics struct {
	events  prometheus.Counter
	skipped *prometheus.CounterVec
	steps   prometheus.Counter
	rows    prometheus.Counter
	broken  prometheus.Counter
}

// newMetrics registers the metrics; partitions of one process share them.
func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		events: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_rollup_events_total", Help: "Refined events that were counted.",
		}),
		skipped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "carom_rollup_skipped_total", Help: "Records of the log that were not counted, by reason: repeated, rejected (not readable), trimmed (lost).",
		}, []string{"reason"}),
		steps: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_rollup_steps_total", Help: "Commits.",
		}),
		rows: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_rollup_rows_written_total", Help: "Cohort rows written.",
		}),
		broken: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_rollup_broken_rows_total", Help: "Cohort rows that counted below zero: a defect.",
		}),
	}
	for _, reason := range []string{skipRepeated, skipRejected, skipTrimmed} {
		m.skipped.WithLabelValues(reason)
	}
	if reg != nil {
		m.events = shared(reg, m.events)
		m.skipped = shared(reg, m.skipped)
		m.steps = shared(reg, m.steps)
		m.rows = shared(reg, m.rows)
		m.broken = shared(reg, m.broken)
	}
	return m
}

// shared registers c, or returns what another partition registered before.
func shared[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	err := reg.Register(c)
	var twice prometheus.AlreadyRegisteredError
	if errors.As(err, &twice) {
		return twice.ExistingCollector.(C)
	}
	if err != nil {
		panic("BUG: rollup: " + err.Error())
	}
	return c
}
