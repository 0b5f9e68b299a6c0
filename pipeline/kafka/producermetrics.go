package kafka

import "github.com/prometheus/client_golang/prometheus"

// producerMetrics count what is written, by topic without its prefix.
type producerMetrics struct {
	records *prometheus.CounterVec
	batches *prometheus.CounterVec
	bytes   *prometheus.CounterVec
	sent    *prometheus.CounterVec
	errors  *prometheus.CounterVec
	splits  prometheus.Counter
	failing prometheus.Gauge
	byTopic map[string]topicCounters
}

// topicCounters are those of one topic, so that they need not be looked up for each batch.
type topicCounters struct{ records, batches, bytes, sent prometheus.Counter }

func newProducerMetrics(reg prometheus.Registerer) *producerMetrics {
	counter := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	m := &producerMetrics{
		records: counter("carom_kafka_produced_records_total", "Records that brokers have acknowledged.", "topic"),
		batches: counter("carom_kafka_produced_batches_total", "Batches that brokers have acknowledged.", "topic"),
		bytes:   counter("carom_kafka_produced_bytes_total", "Bytes of records that brokers have acknowledged, before compression.", "topic"),
		sent:    counter("carom_kafka_sent_bytes_total", "Bytes of batches that brokers have acknowledged, as they were sent.", "topic"),
		errors:  counter("carom_kafka_produce_errors_total", "Batches that were not acknowledged and are sent again, by cause: the setting to blame (brokers: can't be reached), or broker_ and the number of its error.", "cause"),
		splits: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_kafka_split_batches_total", Help: "Batches that were too large for a topic and were divided.",
		}),
		failing: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "carom_kafka_failing_partitions", Help: "Partitions whose last batch was not acknowledged.",
		}),
		byTopic: make(map[string]topicCounters, len(topicKinds)),
	}
	for _, kind := range topicKinds {
		m.byTopic[kind] = topicCounters{
			m.records.WithLabelValues(kind), m.batches.WithLabelValues(kind), m.bytes.WithLabelValues(kind), m.sent.WithLabelValues(kind),
		}
	}
	reg.MustRegister(m.records, m.batches, m.bytes, m.sent, m.errors, m.splits, m.failing)
	return m
}

func (m *producerMetrics) acknowledged(kind string, b *parcel) {
	c := m.byTopic[kind]
	c.records.Add(float64(b.count))
	c.batches.Inc()
	c.bytes.Add(float64(b.unpacked))
	c.sent.Add(float64(len(b.packed)))
}
