package pipeline

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/pipeline/bot"
)

// Rules are the request rules that hold, and how the last try to replace them went.
type Rules struct {
	bot.Summary
	LoadedAt time.Time
	// FailedAt and Err are of the last reload, if that failed; the rules that were there before it stay.
	FailedAt time.Time
	Err      error
}

// rulesState is guarded by the Acceptor's rulesMu.
type rulesState struct {
	loadedAt, failedAt time.Time
	err                error
}

// Rules tells which rules hold.
func (a *Acceptor) Rules() Rules {
	a.rulesMu.Lock()
	defer a.rulesMu.Unlock()
	return a.describeRules()
}

func (a *Acceptor) describeRules() Rules {
	s := a.rulesState
	return Rules{Summary: a.rules.Load().Summary(), LoadedAt: s.loadedAt, FailedAt: s.failedAt, Err: s.err}
}

// ReloadRules reads the rules anew and judges every later hit by them. If they can't be read, those that hold stay, and
// the error says why: of a broken file it is a *bot.FileError.
func (a *Acceptor) ReloadRules() (Rules, error) {
	a.rulesMu.Lock() // reloads come one after the other
	defer a.rulesMu.Unlock()
	rules, err := bot.Load(a.rulesDir)
	if err != nil {
		a.rulesState.failedAt, a.rulesState.err = time.Now(), err
		a.metrics.rules.failed()
		a.log.Error("rules not reloaded: the old ones stay", rulesFailure(a.rulesDir, err)...)
		return a.describeRules(), err
	}
	a.useRules(rules)
	return a.describeRules(), nil
}

// useRules makes rules hold. The caller has rulesMu, or nobody else the Acceptor.
func (a *Acceptor) useRules(rules *bot.Rules) {
	a.rules.Store(rules)
	a.rulesState = rulesState{loadedAt: time.Now()}
	a.metrics.rules.loaded(a.rulesState.loadedAt)
	s := rules.Summary()
	a.log.Info("rules", zap.String("folder", s.Folder), zap.String("hash", s.Hash))
}

func rulesFailure(dir string, err error) []zap.Field {
	fields := []zap.Field{zap.String("folder", dir), zap.Error(err)}
	var broken *bot.FileError
	if errors.As(err, &broken) {
		fields = append(fields, zap.String("file", broken.File), zap.Int("line", broken.Line))
	}
	return fields
}

// rulesMetrics are those of reloads.
type rulesMetrics struct {
	reloads  *prometheus.CounterVec
	loadedAt prometheus.Gauge
	broken   prometheus.Gauge
}

func newRulesMetrics(reg prometheus.Registerer) rulesMetrics {
	m := rulesMetrics{
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "carom_pipeline_rules_loads_total",
			Help: "How often the request rules were read, by result: ok or failed.",
		}, []string{"result"}),
		loadedAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "carom_pipeline_rules_loaded_timestamp_seconds",
			Help: "When the request rules that hold were read.",
		}),
		broken: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "carom_pipeline_rules_broken",
			Help: "1 if the last try to read the request rules failed, so that older ones hold; 0 otherwise.",
		}),
	}
	m.reloads.WithLabelValues("ok")
	m.reloads.WithLabelValues("failed")
	if reg != nil {
		reg.MustRegister(m.reloads, m.loadedAt, m.broken)
	}
	return m
}

func (m *rulesMetrics) loaded(at time.Time) {
	m.reloads.WithLabelValues("ok").Inc()
	m.loadedAt.Set(float64(at.UnixMilli()) / 1000)
	m.broken.Set(0)
}

func (m *rulesMetrics) failed() {
	m.reloads.WithLabelValues("failed").Inc()
	m.broken.Set(1)
}
