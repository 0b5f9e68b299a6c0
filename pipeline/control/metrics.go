package control

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	records prometheus.Counter
	foreign prometheus.Counter
	full    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, t *Table) *metrics {
	m := &metrics{
		records: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_control_records_total", Help: "Records of the log of controls that were read.",
		}),
		foreign: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_control_foreign_total", Help: "Records of the log of controls that are none of ours and were skipped.",
		}),
		full: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_control_full_total", Help: "Entries that another node let in and this one has no room for.",
		}),
	}
	if reg == nil {
		return m
	}
	reg.MustRegister(m.records, m.foreign, m.full)
	for _, k := range []Kind{Denied, Self, Webhook} {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "carom_control_entries_count", Help: "Entries that hold on this node, by kind.",
			ConstLabels: prometheus.Labels{"kind": k.String()},
		}, func() float64 { return float64(t.len(k)) }))
	}
	return m
}
