package inbound

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are counted under labels of a fixed few values each.
type metrics struct {
	accepted   prometheus.Counter
	closed     *prometheus.CounterVec // by reason
	recipients *prometheus.CounterVec // by result: the role of the address, or why it was refused
	mails      *prometheus.CounterVec // by result
	events     *prometheus.CounterVec // by kind
	ignored    *prometheus.CounterVec // by reason
	handshakes *prometheus.CounterVec // by result
	reloads    *prometheus.CounterVec // by result
	injected   prometheus.Counter
	panics     prometheus.Counter

	// What nearly every mail counts is looked up once.
	taken  prometheus.Counter
	byRole [toOperator + 1]prometheus.Counter    // of recipients
	ofKind [math.MaxUint8 + 1]prometheus.Counter // of events
}

func newMetrics(reg prometheus.Registerer, s *Server) *metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "carom", Subsystem: "inbound", Name: name, Help: help})
		reg.MustRegister(c)
		return c
	}
	vector := func(name, label, help string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "carom", Subsystem: "inbound", Name: name, Help: help}, []string{label})
		reg.MustRegister(c)
		return c
	}
	gauge := func(name, help string, value func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "carom", Subsystem: "inbound", Name: name, Help: help}, value))
	}
	gauge("open_connections", "Connections that are open.", s.openConnections)
	gauge("mail_memory_bytes", "Memory that mails being read take.", func() float64 {
		return float64(s.options.MaxMemoryBytes - s.budget.left.Load())
	})
	m := &metrics{
		accepted:   counter("connections_total", "Connections accepted."),
		closed:     vector("connections_closed_total", "reason", "Connections that didn't end with QUIT, by reason."),
		recipients: vector("recipients_total", "result", "Recipients, by what the address is for or why it was refused."),
		mails:      vector("mails_total", "result", "Mails, by what became of them."),
		events:     vector("events_total", "kind", "Facts that mails told, by kind."),
		ignored:    vector("ignored_facts_total", "reason", "Facts that made no event, by reason."),
		handshakes: vector("tls_handshakes_total", "result", "TLS handshakes, by result."),
		reloads:    vector("certificate_reloads_total", "result", "Changes of the certificate's files, by result."),
		injected:   counter("tls_injections_total", "Connections with plaintext sent behind STARTTLS, which was thrown away."),
		panics:     counter("panics_total", "Faults of ours that a mail or a client provoked."),
	}
	m.taken = m.mails.WithLabelValues("taken")
	for r := toReturnPath; r <= toOperator; r++ {
		m.byRole[r] = m.recipients.WithLabelValues(r.String())
	}
	for _, kind := range kinds {
		m.ofKind[kind] = m.events.WithLabelValues(kind.String())
	}
	return m
}

// refusals names the replies that refuse mails.
var refusals = map[*reply]string{
	replyTooBig: "too_big", replyNoMemory: "no_memory", replyCutShort: "cut_short", replyIdle: "timeout", replyStopping: "stopping",
	replyMailboxFull: "operator_full",
}

// refused counts a mail that was not taken.
func (m *metrics) refused(r *reply) {
	result, ok := refusals[r]
	if !ok {
		result = "bad_chunk"
	}
	m.mails.WithLabelValues(result).Inc()
}
