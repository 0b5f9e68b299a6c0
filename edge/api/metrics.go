package api

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count requests by endpoint: the route's pattern, never a path.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	facts    *prometheus.CounterVec
	panics   prometheus.Counter
	limited  *prometheus.CounterVec
	peers    *prometheus.CounterVec
	missed   *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, s *Server) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "carom_api_requests_total", Help: "Requests answered, by endpoint and status; cut: the answer was cut off.",
		}, []string{"endpoint", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "carom_api_request_seconds", Help: "Time from a request's header to the end of its answer, bulks and tails excepted.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 8),
		}, []string{"endpoint"}),
		facts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "carom_api_facts_total", Help: "Objects posted, by endpoint and result: taken, bad (the client's fault) or failed (ours).",
		}, []string{"endpoint", "result"}),
		peers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "carom_api_peer_requests_total", Help: "Requests to other nodes, by their place in kafka.workers and result: ok, unreachable, timeout, busy, refused or bad (an answer that can't be).",
		}, []string{"worker", "result"}),
		missed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "carom_api_tail_missed_total", Help: "Records that readers of live tails were told they missed, by reason: trimmed or behind.",
		}, []string{"reason"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "carom_api_limited_total", Help: "Requests answered 429, by what a token had too many of: requests or lines.",
		}, []string{"what"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_api_panics_total", Help: "Requests that met a bug and were answered 500.",
		}),
	}
	if reg != nil {
		gauge := func(name, help string, value func() int) prometheus.Collector {
			return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
		}
		reg.MustRegister(m.requests, m.seconds, m.facts, m.panics, m.limited, m.peers, m.missed,
			gauge("carom_api_bulks_count", "Bulk requests that run.", func() int { return len(s.bulks) }),
			gauge("carom_api_tails_count", "Live tails that are open.", func() int { return len(s.tails) }))
	}
	return m
}

// The results of a posted object.
const (
	factTaken  = "taken"
	factBad    = "bad"
	factFailed = "failed"
)

func (m *metrics) fact(endpoint, result string, n int) {
	if n > 0 {
		m.facts.WithLabelValues(endpoint, result).Add(float64(n))
	}
}

func (m *metrics) request(endpoint, status string, took time.Duration, timed bool) {
	m.requests.WithLabelValues(endpoint, status).Inc()
	if timed {
		m.seconds.WithLabelValues(endpoint).Observe(took.Seconds())
	}
}
