package pipeline

import (
	"github.com/prometheus/client_golang/prometheus"

	"carom/pipeline/event"
)

// metrics of Accept. What it could not record is counted where it was answered.
type metrics struct {
	accepted  acceptedCounters
	repeats   [kinds]prometheus.Counter // of opens and clicks
	untracked prometheus.Counter
	denied    prometheus.Counter
	rules     rulesMetrics
}

// How many kinds and verdicts there are.
const (
	kinds    = int(event.Alert) + 1
	verdicts = int(event.Unknown) + 1
)

// acceptedCounters are the counters of a vector, so that a hit needs no look-up by label. Only hits are judged; the
// other kinds have the counter of NoVerdict alone.
type acceptedCounters [kinds][verdicts]prometheus.Counter

func (c *acceptedCounters) of(ev *event.Event) prometheus.Counter {
	byVerdict := &c[0]
	if int(ev.Kind) < kinds {
		byVerdict = &c[ev.Kind]
	}
	if v := int(ev.Actor.Verdict); v < verdicts && byVerdict[v] != nil {
		return byVerdict[v]
	}
	return byVerdict[event.NoVerdict]
}

func newMetrics(reg prometheus.Registerer) *metrics {
	accepted := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carom_pipeline_accepted_total",
		Help: "Events that were journaled, by kind and verdict (none where there is nothing to judge).",
	}, []string{"kind", "verdict"})
	repeats := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carom_pipeline_repeats_total",
		Help: "Opens and clicks that were not journaled, because the same was recorded a moment before.",
	}, []string{"kind"})
	m := &metrics{
		rules: newRulesMetrics(reg),
		untracked: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_pipeline_untracked_total",
			Help: "Opens and clicks that were not journaled, because their message is not tracked.",
		}),
	}
	m.denied = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "carom_pipeline_denied_total",
		Help: "Opens and clicks that were not journaled, because their contact is denied.",
	})
	for k := range m.accepted {
		kind := event.Kind(k)
		m.accepted[k][event.NoVerdict] = accepted.WithLabelValues(labelOf(kind.String()), labelOf(""))
		if kind != event.Open && kind != event.Click {
			continue
		}
		for v := int(event.Human); v < verdicts; v++ {
			m.accepted[k][v] = accepted.WithLabelValues(kind.String(), event.Verdict(v).String())
		}
		m.repeats[k] = repeats.WithLabelValues(kind.String())
	}
	if reg != nil {
		reg.MustRegister(accepted, repeats, m.untracked, m.denied)
	}
	return m
}

// labelOf names what has no name.
func labelOf(name string) string {
	if name == "" {
		return "none"
	}
	return name
}
