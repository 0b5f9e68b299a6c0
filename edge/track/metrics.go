package track

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"carom/edge/ref"
)

// metrics of the HTTP edge.
type metrics struct {
	requests    *prometheus.CounterVec
	answers     [routes][len(statuses)]prometheus.Counter // requests, by route and place in statuses
	seconds     [routes]prometheus.Observer
	badTokens   *prometheus.CounterVec
	unrecorded  *prometheus.CounterVec
	connections prometheus.Gauge
	refusals    *prometheus.CounterVec
	panics      prometheus.Counter
	slow        prometheus.Counter
}

// route is what a request asks for.
type route int

const (
	routeOther route = iota // or none: the request was broken
	routeOpen
	routeClick
	routeUnsubscribe
	routeSelf
	routes // how many there are
)

var routeNames = [routes]string{"other", "open", "click", "unsubscribe", "self"}

// statuses are all that are ever sent.
var statuses = [...]int{200, 302, 400, 404, 405, 408, 413, 431, 500, 503}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "carom_track_requests_total",
			Help: "Requests answered, by route and status.",
		}, []string{"route", "status"}),
		badTokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "carom_track_bad_tokens_total",
			Help: "Requests whose token did not open, by route and reason.",
		}, []string{"route", "reason"}),
		unrecorded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "carom_track_unrecorded_total",
			Help: "Opens, clicks and unsubscribes that could not be recorded, by reason. Readers of the first two got their answer.",
		}, []string{"reason"}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "carom_track_connections",
			Help: "Open connections.",
		}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "carom_track_refused_connections_total",
			Help: "Connections refused, because there were too many in total or of one client.",
		}, []string{"reason"}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_track_panics_total",
			Help: "Requests that hit a bug.",
		}),
		slow: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_track_slow_readers_total",
			Help: "Answers that a client had no room for at once.",
		}),
	}
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "carom_track_request_seconds",
		Help:    "How long requests took from the end of their reception to the answer, by route.",
		Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 11), // 100 µs to 1 s
	}, []string{"route"})
	for r := range m.answers {
		for i, status := range statuses {
			m.answers[r][i] = m.requests.WithLabelValues(routeNames[r], strconv.Itoa(status))
		}
		m.seconds[r] = seconds.WithLabelValues(routeNames[r])
	}
	if reg != nil {
		reg.MustRegister(m.requests, seconds, m.badTokens, m.unrecorded, m.connections, m.refusals, m.panics, m.slow)
	}
	return m
}

// answered counts an answer.
func (m *metrics) answered(r route, status int) {
	for i, s := range statuses {
		if s == status {
			m.answers[r][i].Inc()
			return
		}
	}
	panic("BUG: track: status " + strconv.Itoa(status) + " is not in the list of statuses")
}

func (m *metrics) refused(reason string) { m.refusals.WithLabelValues(reason).Inc() }

// badToken counts a token that did not open.
func (m *metrics) badToken(r route, err error) {
	m.badTokens.WithLabelValues(routeNames[r], tokenReason(err)).Inc()
}

func tokenReason(err error) string {
	for _, r := range [...]struct {
		err    error
		reason string
	}{
		{ref.ErrMalformed, "malformed"},
		{ref.ErrVersion, "version"},
		{ref.ErrUnknownKey, "unknown_key"},
		{ref.ErrRetired, "retired"},
		{ref.ErrForged, "forged"},
		{ref.ErrInvalid, "invalid"},
		{ref.ErrURL, "url"},
	} {
		if errors.Is(err, r.err) {
			return r.reason
		}
	}
	return "other"
}

// notRecorded counts an event that the Sink could not record.
func (m *metrics) notRecorded(err error) { m.unrecorded.WithLabelValues(sinkReason(err)).Inc() }

// sinkReason asks the Sink's error for its reason. Only those that are known become labels, because labels must be few.
func sinkReason(err error) string {
	var r interface{ Reason() string }
	if errors.As(err, &r) {
		switch reason := r.Reason(); reason {
		case "shed", "full", "stalled", "closed", "too_large", "read_only":
			return reason
		}
	}
	return "error"
}
