package kafka

import "github.com/prometheus/client_golang/prometheus"

// clientMetrics count what the client meets.
type clientMetrics struct {
	connections prometheus.Counter
	errors      *prometheus.CounterVec
}

func newClientMetrics(reg prometheus.Registerer) *clientMetrics {
	m := &clientMetrics{
		connections: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_kafka_connections_total", Help: "Connections made to brokers.",
		}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "carom_kafka_setting_errors_total", Help: "Requests that failed, by the setting that does not fit the cluster; brokers: it could not be reached.",
		}, []string{"setting"}),
	}
	reg.MustRegister(m.connections, m.errors)
	return m
}
