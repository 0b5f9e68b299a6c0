package journal

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are counted once a batch; only what is refused is counted one by one.
type metrics struct {
	reg     prometheus.Registerer
	all     []prometheus.Collector
	records prometheus.Counter
	bytes   prometheus.Counter
	seconds prometheus.Histogram
	sizes   prometheus.Histogram
	trimmed prometheus.Counter
	refusal [classes][len(reasons)]prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, j *Journal) *metrics {
	m := &metrics{reg: reg}
	m.records = m.counter("carom_journal_records_total", "Records written.")
	m.bytes = m.counter("carom_journal_written_bytes_total", "Bytes of batches written.")
	m.trimmed = m.counter("carom_journal_trimmed_bytes_total", "Bytes of batches trimmed.")
	m.seconds = m.histogram("carom_journal_commit_seconds", "Time from taking a batch until it was on disk.",
		prometheus.ExponentialBuckets(0.0001, 2, 17))
	m.sizes = m.histogram("carom_journal_batch_records", "Records in a batch.", prometheus.ExponentialBuckets(1, 2, 14))

	refusals := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carom_journal_refused_total", Help: "Appends that were not recorded.",
	}, []string{"class", "reason"})
	m.all = append(m.all, refusals)
	for c := range classes {
		for i, reason := range reasons {
			m.refusal[c][i] = refusals.WithLabelValues(c.String(), reason.name)
		}
	}

	m.gauge("carom_journal_size_bytes", "Bytes of batches kept.", nil, func() float64 { return float64(j.size()) })
	m.gauge("carom_journal_capacity_bytes", "Bytes of batches that may be kept: max_bytes, or less if the disk is short.", nil,
		func() float64 { return float64(j.capacity.Load()) })
	m.gauge("carom_journal_level", "0 fine, 1 unready, 2 to 5 shedding, 6 full.", nil,
		func() float64 { return float64(j.levelNow.Load()) })
	m.gauge("carom_journal_relaxed", "1 if durability is relaxed.", nil, func() float64 {
		if j.opts.Durability == Sync {
			return 0
		}
		return 1
	})
	for name, passed := range j.readers {
		m.gauge("carom_journal_reader_lag_records", "Records on disk that the reader has not passed.",
			prometheus.Labels{"reader": name}, func() float64 { return float64(max(0, j.synced.Load()-passed.Load())) })
	}
	if reg != nil {
		reg.MustRegister(m.all...)
	}
	return m
}

func (m *metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	m.all = append(m.all, c)
	return c
}

func (m *metrics) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	m.all = append(m.all, h)
	return h
}

func (m *metrics) gauge(name, help string, labels prometheus.Labels, value func() float64) {
	m.all = append(m.all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels}, value))
}

func (m *metrics) committed(records, bytes int, took time.Duration) {
	m.records.Add(float64(records))
	m.bytes.Add(float64(bytes))
	m.seconds.Observe(took.Seconds())
	m.sizes.Observe(float64(records))
}

// reasons are the reasons of refusals; the last stands for every other error.
var reasons = [...]struct {
	name string
	err  error
}{
	{"shed", ErrShed},
	{"full", ErrFull},
	{"stalled", ErrStalled},
	{"closed", ErrClosed},
	{"too_large", ErrTooLarge},
	{"read_only", ErrReadOnly},
	{"failed", nil},
}

func (m *metrics) refused(c Class, err error) {
	for i, reason := range reasons {
		if reason.err == nil || errors.Is(err, reason.err) {
			m.refusal[c][i].Inc()
			return
		}
	}
}

func (m *metrics) unregister() {
	if m.reg == nil {
		return
	}
	for _, c := range m.all {
		m.reg.Unregister(c)
	}
}
