package rollup

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// Why a record of the log was not counted.
const (
	skipRepeated = "repeated" // its origin was passed
	skipRejected = "rejected" // it can't be read
	skipTrimmed  = "trimmed"  // the log lost it before it was read
	skipExpired  = "expired"  // its enrollment is kept no longer
)

type metrics struct {
	events    prometheus.Counter
	skipped   *prometheus.CounterVec
	steps     prometheus.Counter
	rows      prometheus.Counter
	broken    prometheus.Counter
	expired   prometheus.Counter
	published prometheus.Counter
	alerts    prometheus.Counter
}

// newMetrics registers the metrics of one partition. Where those of an earlier Open are registered still, it replaces
// them. reg may be nil.
func newMetrics(reg prometheus.Registerer, partition int32, lag func() int64) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	r := registrar{prometheus.WrapRegistererWith(prometheus.Labels{"partition": strconv.Itoa(int(partition))}, reg)}
	m := &metrics{
		events:    r.counter("events_total", "Refined events that were counted."),
		steps:     r.counter("steps_total", "Commits."),
		rows:      r.counter("rows_written_total", "Cohort rows written."),
		broken:    r.counter("broken_rows_total", "Cohort rows that counted below zero: a defect."),
		expired:   r.counter("expired_enrollments_total", "Enrollments that were kept no longer."),
		published: r.counter("scores_published_total", "Score objects of senders published."),
		alerts:    r.counter("alerts_told_total", "Alerts that were journaled."),
		skipped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "carom_rollup_skipped_total",
			Help: "Records of the log that were not counted, by reason: repeated, rejected (not readable), trimmed (lost), expired (its enrollment is kept no longer).",
		}, []string{"reason"}),
	}
	r.register(m.skipped)
	for _, reason := range []string{skipRepeated, skipRejected, skipTrimmed, skipExpired} {
		m.skipped.WithLabelValues(reason)
	}
	r.register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "carom_rollup_lag_records", Help: "Refined events of the log that were not counted yet.",
	}, func() float64 { return float64(lag()) }))
	return m
}

type registrar struct{ prometheus.Registerer }

func (r registrar) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "carom_rollup_" + name, Help: help})
	r.register(c)
	return c
}

func (r registrar) register(c prometheus.Collector) {
	err := r.Register(c)
	var there prometheus.AlreadyRegisteredError
	if errors.As(err, &there) {
		r.Unregister(c) // it compares by description
		err = r.Register(c)
	}
	if err != nil {
		panic("BUG: rollup metrics: " + err.Error())
	}
}
