package refine

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"carom/pipeline/event"
)

// Why a fact was dropped. Dropping is what deduplication is for; nothing is lost by it.
const (
	dropSeen      = "seen"      // the same record again
	dropRepeat    = "repeat"    // a hit like a recorded one, seconds apart
	dropDuplicate = "duplicate" // the same fact, told again
	dropUntracked = "untracked" // of a message that is not to be tracked
	dropErased    = "erased"    // of a contact, or a message, that was erased
	dropNotSent   = "not_sent"  // a message was registered as not sent: that is no event
)

var dropReasons = []string{dropSeen, dropRepeat, dropDuplicate, dropUntracked, dropErased, dropNotSent}

type metrics struct {
	records     prometheus.Counter
	events      map[event.Kind]prometheus.Counter
	drops       map[string]prometheus.Counter
	rejects     map[string]prometheus.Counter
	conflicts   prometheus.Counter
	addresses   map[event.Kind]prometheus.Counter
	parkedTotal prometheus.Counter
	withheld    prometheus.Counter
	revisions   prometheus.Counter
	restored    prometheus.Counter
	rebuilds    prometheus.Counter
	epochs      prometheus.Counter
	released    prometheus.Counter
	tickErrors  prometheus.Counter
	parked      prometheus.Gauge
	waiting     prometheus.Gauge
	stepSeconds prometheus.Histogram
}

// newMetrics registers the metrics of one partition. Where those of an earlier Open are registered still, it replaces
// them.
func newMetrics(reg prometheus.Registerer, partition int32, lag func() (int64, event.Millis), left func() int64) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	r := registrar{prometheus.WrapRegistererWith(prometheus.Labels{"partition": strconv.Itoa(int(partition))}, reg)}
	m := &metrics{
		records:     r.counter("records_total", "Input records passed."),
		conflicts:   r.counter("conflicts_total", "Facts that told another identity of a message than the known one."),
		parkedTotal: r.counter("parked_total", "Facts parked until their message becomes known."),
		released:    r.counter("released_total", "Parked facts whose message became known."),
		withheld:    r.counter("withheld_total", "Refined events that were not published because the log had them already: those of a rebuild."),
		revisions:   r.counter("revisions_total", "Refined events published again because later evidence changed them."),
		restored:    r.counter("restored_total", "Repeats published after all because the hit that they repeated turned out to be another's."),
		rebuilds:    r.counter("rebuilds_total", "States deleted because the input no longer held what follows them."),
		epochs:      r.counter("expired_epochs_total", "Epochs of messages forgotten because of their age."),
		tickErrors:  r.counter("tick_errors_total", "Ticks that could not be appended."),
		parked:      r.gauge("parked_facts", "Facts that are parked."),
		waiting:     r.gauge("waiting_clicks", "Clicks that wait to be judged."),
		addresses:   make(map[event.Kind]prometheus.Counter),
		events:      make(map[event.Kind]prometheus.Counter),
		drops:       make(map[string]prometheus.Counter),
		rejects:     make(map[string]prometheus.Counter),
		stepSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "carom_refine_step_seconds", Help: "Time to commit a step, seconds.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 12),
		}),
	}
	r.register(m.stepSeconds)
	events := r.vec("events_total", "Refined events published.", "kind")
	for k := event.Sent; k <= event.Alert; k++ {
		m.events[k] = events.WithLabelValues(k.String())
	}
	m.events[event.Erase] = events.WithLabelValues(event.Erase.String())
	addresses := r.vec("addresses_total", "Facts about addresses published.", "kind")
	for _, k := range addressKinds {
		m.addresses[k] = addresses.WithLabelValues(k.String())
	}
	drops := r.vec("dropped_total", "Facts dropped.", "reason")
	for _, reason := range dropReasons {
		m.drops[reason] = drops.WithLabelValues(reason)
	}
	rejects := r.vec("rejects_total", "Facts rejected.", "reason")
	for _, reason := range rejectReasons {
		m.rejects[reason] = rejects.WithLabelValues(reason)
	}
	r.gaugeFunc("lag_records", "Input records not passed yet.", func() float64 {
		records, _ := lag()
		return float64(records)
	})
	r.gaugeFunc("catch_up_records", "Input records that are left of a long way: a rebuild, or a backlog at the start.", func() float64 {
		return float64(left())
	})
	r.gaugeFunc("lag_seconds", "Age in log time of the last record passed, 0 if all are.", func() float64 {
		records, at := lag()
		if records == 0 || at == 0 {
			return 0
		}
		return max(0, float64(event.Now()-at)/1000)
	})
	return m
}

func (m *metrics) event(r *event.Refined) { m.events[r.Kind].Inc() }
func (m *metrics) address(k event.Kind)   { m.addresses[k].Inc() }
func (m *metrics) dropped(reason string)  { m.drops[reason].Inc() }
func (m *metrics) rejected(reason string) { m.rejects[reason].Inc() }

type registrar struct{ prometheus.Registerer }

func (r registrar) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "carom_refine_" + name, Help: help})
	r.register(c)
	return c
}

func (r registrar) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "carom_refine_" + name, Help: help})
	r.register(g)
	return g
}

func (r registrar) gaugeFunc(name, help string, f func() float64) {
	r.register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "carom_refine_" + name, Help: help}, f))
}

func (r registrar) vec(name, help, label string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "carom_refine_" + name, Help: help}, []string{label})
	r.register(v)
	return v
}

func (r registrar) register(c prometheus.Collector) {
	err := r.Register(c)
	var there prometheus.AlreadyRegisteredError
	if errors.As(err, &there) {
		r.Unregister(c) // it compares by description
		err = r.Register(c)
	}
	if err != nil {
		panic("BUG: refine metrics: " + err.Error())
	}
}
