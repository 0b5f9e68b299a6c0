package suppress

import (
	"github.com/prometheus/client_golang/prometheus"

	"carom/pipeline/event"
)

// Why a fact was passed over.
const (
	skipRepeated = "repeated" // its origin was passed
	skipRejected = "rejected" // it can't be read
	skipTrimmed  = "trimmed"  // the log lost it before it was read
	skipNameless = "nameless" // it is about no message, or no address
	skipFull     = "full"     // too much waits for a recipient
	skipNobody   = "nobody"   // it waited, and nobody registered its message
)

type metrics struct {
	facts     *prometheus.CounterVec
	skipped   *prometheus.CounterVec
	decisions *prometheus.CounterVec
	published prometheus.Counter
	waves     prometheus.Counter
	told      prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, lag func() int64) *metrics {
	m := &metrics{
		facts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "carom_suppress_facts_total", Help: "Facts about addresses that were heard, by kind.",
		}, []string{"kind"}),
		skipped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "carom_suppress_skipped_total", Help: "Facts about addresses that changed nothing, by reason: repeated, rejected (not readable), trimmed (lost), nameless (no message or address), full (too many wait), nobody (waited in vain for a recipient).",
		}, []string{"reason"}),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "carom_suppress_decisions_total", Help: "Orders that were decided, by operation and outcome: ok, or the rule that refused.",
		}, []string{"op", "outcome"}),
		published: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_suppress_published_total", Help: "Records written to the log of suppressions.",
		}),
		waves: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_suppress_waves_total", Help: "Times that a mailbox provider's hard bounces began to wait in quarantine.",
		}),
		told: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_suppress_told_total", Help: "Inquiries and alerts that were journaled.",
		}),
	}
	for _, k := range []event.Kind{event.Bounce, event.Complaint, event.Unsubscribe, event.Order} {
		m.facts.WithLabelValues(k.String())
	}
	for _, reason := range []string{skipRepeated, skipRejected, skipTrimmed, skipNameless, skipFull, skipNobody} {
		m.skipped.WithLabelValues(reason)
	}
	if reg != nil {
		reg.MustRegister(m.facts, m.skipped, m.decisions, m.published, m.waves, m.told, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "carom_suppress_lag_records", Help: "Facts about addresses that were not heard yet.",
		}, func() float64 { return float64(lag()) }))
	}
	return m
}

type bookMetrics struct{ records, foreign prometheus.Counter }

func newBookMetrics(reg prometheus.Registerer, b *Book) *bookMetrics {
	m := &bookMetrics{
		records: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_suppress_book_records_total", Help: "Records of the log of suppressions that this node has read.",
		}),
		foreign: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_suppress_book_foreign_total", Help: "Records of the log of suppressions that are none of ours and were skipped.",
		}),
	}
	if reg != nil {
		reg.MustRegister(m.records, m.foreign, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "carom_suppress_book_entries_count", Help: "Addresses that the filter in this node's memory knows, whether they are suppressed or were.",
		}, func() float64 { return float64(b.known.count()) }))
	}
	return m
}
