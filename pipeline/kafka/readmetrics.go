package kafka

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// readMetrics are those of a reader. Readers of one partition share them.
type readMetrics struct {
	records prometheus.Counter
	bytes   prometheus.Counter
	errors  prometheus.Counter
	lag     prometheus.Gauge
}

func newReadMetrics(reg prometheus.Registerer, kind string, partition int32) *readMetrics {
	number := strconv.Itoa(int(partition))
	counter := func(name, help string) prometheus.Counter {
		return sharedMetric(reg, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"topic", "partition"})).WithLabelValues(kind, number)
	}
	return &readMetrics{
		records: counter("carom_kafka_read_records_total", "Records read from topics."),
		bytes:   counter("carom_kafka_read_bytes_total", "Bytes of record batches fetched, compressed as they are."),
		errors:  counter("carom_kafka_read_errors_total", "Tries to read that failed; each is made again."),
		lag: sharedMetric(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "carom_kafka_read_lag_records", Help: "Offsets between the last record read and the end of the partition.",
		}, []string{"topic", "partition"})).WithLabelValues(kind, number),
	}
}

// groupMetrics are those of a group.
type groupMetrics struct {
	commits prometheus.Counter
	errors  prometheus.Counter
}

func newGroupMetrics(reg prometheus.Registerer, stage string) *groupMetrics {
	counter := func(name, help string) prometheus.Counter {
		return sharedMetric(reg, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"stage"})).WithLabelValues(stage)
	}
	return &groupMetrics{
		commits: counter("carom_kafka_group_commits_total", "Requests that committed offsets of a group."),
		errors:  counter("carom_kafka_group_errors_total", "Requests about offsets of a group that failed; each is made again."),
	}
}

// sharedMetric registers c, or returns the one that is registered already. reg may be nil.
func sharedMetric[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	if reg == nil {
		return c
	}
	err := reg.Register(c)
	var twice prometheus.AlreadyRegisteredError
	if errors.As(err, &twice) {
		return twice.ExistingCollector.(C)
	}
	if err != nil {
		panic("BUG: kafka: " + err.Error())
	}
	return c
}
