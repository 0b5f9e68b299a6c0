package log

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// mirrorMetrics are those of the mirror of a partition.
type mirrorMetrics struct {
	records, repeated, foreign, lost prometheus.Counter
	behind                           prometheus.Gauge
}

func newMirrorMetrics(reg prometheus.Registerer, partition int32) *mirrorMetrics {
	number := strconv.Itoa(int(partition))
	label := []string{"partition"}
	skipped := shared(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carom_log_mirror_skipped_total", Help: "Records of the source that were not copied, by reason: repeated (written twice), foreign (none of ours), trimmed (lost before they were copied).",
	}, []string{"partition", "reason"}))
	return &mirrorMetrics{
		records: shared(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "carom_log_mirror_records_total", Help: "Records copied.",
		}, label)).WithLabelValues(number),
		repeated: skipped.WithLabelValues(number, "repeated"),
		foreign:  skipped.WithLabelValues(number, "foreign"),
		lost:     skipped.WithLabelValues(number, "trimmed"),
		behind: shared(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "carom_log_mirror_lag_records", Help: "Offsets between the copy and the end of its source.",
		}, label)).WithLabelValues(number),
	}
}

// shared registers c, or returns the one that another partition has registered. reg may be nil.
func shared[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	if reg == nil {
		return c
	}
	err := reg.Register(c)
	var twice prometheus.AlreadyRegisteredError
	if errors.As(err, &twice) {
		return twice.ExistingCollector.(C)
	}
	if err != nil {
		panic("BUG: log: " + err.Error())
	}
	return c
}
