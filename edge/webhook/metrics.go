package webhook

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The results of a request.
const (
	resultDelivered   = "delivered"
	resultGone        = "gone"        // 410
	resultRefused     = "refused"     // another answer than 2xx
	resultTimeout     = "timeout"     // no answer in time
	resultUnreachable = "unreachable" // no connection, or it broke
	resultForbidden   = "forbidden"   // no public address
	resultUnsigned    = "unsigned"    // the secret can't be opened
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  prometheus.Histogram
	events   prometheus.Counter
	missed   prometheus.Counter
	foreign  prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, h *Hooks) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "carom_webhook_requests_total", Help: "Requests to servers of webhooks, by result: delivered, gone, refused, timeout, unreachable, forbidden (no public address) or unsigned.",
		}, []string{"result"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "carom_webhook_request_seconds", Help: "Time from a request to the end of its answer.",
			Buckets: prometheus.ExponentialBuckets(0.005, 4, 7),
		}),
		events: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_webhook_events_total", Help: "Events that servers of webhooks have taken.",
		}),
		missed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_webhook_missed_total", Help: "Records that were trimmed before a webhook came to look at them, whoever's they were.",
		}),
		foreign: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_webhook_foreign_total", Help: "Records that are no events, and webhooks that can't be read, which were passed over.",
		}),
	}
	if reg == nil {
		return m
	}
	reg.MustRegister(m.requests, m.seconds, m.events, m.missed, m.foreign,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "carom_webhook_failing_seconds", Help: "How long the webhook that has failed longest fails on this node; 0: none does.",
		}, func() float64 { return h.failing(time.Now()).Seconds() }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "carom_webhook_behind_count", Help: "How many records, whoever's they are, the webhook has not come to on this node that is furthest behind.",
		}, func() float64 { return float64(h.behind()) }))
	for _, s := range []string{Active, Paused, Disabled} {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "carom_webhook_hooks_count", Help: "Webhooks, by state: active, paused (until somebody resumes it) or disabled (by its server).",
			ConstLabels: prometheus.Labels{"state": s},
		}, func() float64 { return float64(h.count(s)) }))
	}
	return m
}
