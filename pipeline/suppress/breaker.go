package suppress

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/score"
)

// hoursKept is how many hours of a provider are kept: those of its past, and of the longest window.
const hoursKept = (breakerPastDays + 1) * 24

// providerHours is what is counted of a mailbox provider, in all accounts.
type providerHours struct {
	Hours []hour `json:"hours"` // ascending
	// Wave is the hour in which the breaker opened, Hot the last in which its condition held; 0: it is closed.
	Wave int32 `json:"wave,omitempty"`
	Hot  int32 `json:"hot,omitempty"`
	// Told are the accounts that got their alert of this wave, as hashes.
	Told []uint64 `json:"told,omitempty"`
	Due  bool     `json:"due,omitempty"`

	dirty bool
}

// hour is a whole hour since 1970.
type hour struct {
	Hour int32 `json:"h"`
	Sent int64 `json:"s,omitempty"`
	Hard int64 `json:"b,omitempty"`
	Wave bool  `json:"w,omitempty"` // it is no past to compare with
}

const (
	hourMillis = event.Millis(time.Hour / time.Millisecond)
	// maxTold bounds the accounts that are told of one wave.
	maxTold = 10_000
)

func hourOf(at event.Millis) int32 { return int32(at / hourMillis) }

// at returns the counts of an hour; nil if it is too long ago.
func (h *providerHours) at(n int32) *hour {
	i, ok := slices.BinarySearchFunc(h.Hours, n, func(h hour, n int32) int { return int(h.Hour - n) })
	if ok {
		return &h.Hours[i]
	}
	if last := len(h.Hours) - 1; last >= 0 && h.Hours[last].Hour-n >= hoursKept {
		return nil
	}
	h.Hours = slices.Insert(h.Hours, i, hour{Hour: n})
	oldest := h.Hours[len(h.Hours)-1].Hour - hoursKept
	first := 0
	for h.Hours[first].Hour <= oldest {
		first++
	}
	h.Hours = slices.Delete(h.Hours, 0, first)
	return &h.Hours[i-first]
}

// shares are what the breaker compares.
type shares struct {
	sent, hard         int64 // within the window
	pastSent, pastHard int64
	pastDays           int
}

// around sums up the window that ends with an hour, and the past before it.
func (h *providerHours) around(n int32, o *Options) (s shares) {
	window := int32(o.BreakerWindow / time.Hour)
	day := int32(-1)
	for _, c := range h.Hours {
		switch {
		case c.Hour > n || c.Hour <= n-window-breakerPastDays*24:
		case c.Hour > n-window:
			s.sent += c.Sent
			s.hard += c.Hard
		case !c.Wave:
			s.pastSent += c.Sent
			s.pastHard += c.Hard
			if c.Sent > 0 && c.Hour/24 != day {
				day = c.Hour / 24
				s.pastDays++
			}
		}
	}
	return s
}

// trips reports whether the breaker opens.
func (s *shares) trips(o *Options) bool {
	return s.hard >= int64(o.BreakerHard) && s.sent >= int64(o.BreakerSent) && s.leaps(o)
}

// leaps reports whether the window's share leaps far beyond the past's. It is what keeps the breaker open, however few
// are sent: most stop sending in a wave, and what then bounces is no better believed.
func (s *shares) leaps(o *Options) bool {
	if s.pastSent < int64(o.BreakerPast) || s.pastDays < o.BreakerDays {
		return false
	}
	now := score.Wilson(s.hard, max(s.sent, s.hard))
	past := score.Wilson(s.pastHard, max(s.pastSent, s.pastHard))
	return now.Low >= o.BreakerShare && now.Low >= o.BreakerLeap*past.High
}

func (p *Partition) providerKey(provider string) []byte {
	return kv.AppendName(p.table(tableProvider), provider)
}

// maxProviders bounds the providers that are kept in memory between two steps.
const maxProviders = 1024

// loadProvider returns what is counted of a provider, as the step has it.
func (p *Partition) loadProvider(provider string) (*providerHours, error) {
	if h := p.providers[provider]; h != nil {
		return h, nil
	}
	h := &providerHours{}
	if _, err := p.getJSON(p.providerKey(provider), h); err != nil {
		return nil, err
	}
	p.providers[provider] = h
	return h, nil
}

// keepProvider has what was loaded written at the end of the step.
func (p *Partition) keepProvider(provider string, h *providerHours) error {
	h.dirty = true
	if h.Due {
		return nil
	}
	h.Due = true
	return p.due(p.at.time.Add(hoursKept*time.Hour), dueProvider, []byte(provider))
}

// writeProviders ends the step: a wave of bounces writes its provider once.
func (p *Partition) writeProviders() error {
	for _, provider := range slices.Sorted(maps.Keys(p.providers)) {
		if h := p.providers[provider]; h.dirty {
			h.dirty = false
			if err := p.set(p.providerKey(provider), encode(h)); err != nil {
				return err
			}
		}
	}
	if len(p.providers) > maxProviders {
		clear(p.providers)
	}
	return nil
}

// breaker counts a hard bounce and reports whether it came in a wave that nobody believes.
func (p *Partition) breaker(e *entry, b *bounce) (bool, error) {
	if p.o.BreakerHard == 0 || b.Provider == "" {
		return false, nil
	}
	h, err := p.loadProvider(b.Provider)
	if err != nil {
		return false, err
	}
	n := hourOf(b.Time)
	if c := h.at(n); c != nil {
		c.Hard++
	}
	s := h.around(n, &p.o)
	window := int32(p.o.BreakerWindow / time.Hour)
	open := h.Wave != 0 && n > h.Wave-window && n <= h.Hot+window
	if open && s.leaps(&p.o) || s.trips(&p.o) {
		open = true
		if h.Wave == 0 || n > h.Hot+window {
			h.Wave, h.Told = n, nil
			p.metrics.waves.Inc()
			p.logger.Warn("a mailbox provider rejects far more than it used to: its hard bounces wait in quarantine",
				zap.String("provider", b.Provider), zap.Int64("sent", s.sent), zap.Int64("hard", s.hard))
		}
		h.Hot = max(h.Hot, n)
	}
	if open {
		for i := range h.Hours {
			if c := &h.Hours[i]; c.Hour > n-window && c.Hour <= n {
				c.Wave = true
			}
		}
		if err := p.alert(e.account, b.Provider, h, &s); err != nil {
			return false, err
		}
	}
	return open, p.keepProvider(b.Provider, h)
}

// AlertRule is the rule of the alert that a wave of bounces gives.
const AlertRule = "bounce_wave"

// alert tells an account of a wave, once.
func (p *Partition) alert(account, provider string, h *providerHours, s *shares) error {
	since := (event.Millis(h.Wave) * hourMillis).Time().Format(time.RFC3339)
	id := event.AlertID(account, "", AlertRule, provider+" "+since)
	hash := uint64(0)
	for _, b := range id[:8] {
		hash = hash<<8 | uint64(b)
	}
	i, told := slices.BinarySearch(h.Told, hash)
	if told || len(h.Told) >= maxTold {
		return nil
	}
	h.Told = slices.Insert(h.Told, i, hash)
	return p.tell(&event.Event{
		Kind: event.Alert, Time: p.at.time, Key: event.Key(id), KnownBy: event.ByKey, Ref: event.Ref{Account: account},
		Body: encode(Alert{
			Rule: AlertRule, Account: account, Provider: provider, Since: since, Sent: s.sent, Bounced: s.hard,
			Value: score.Wilson(s.hard, max(s.sent, s.hard)).Value, Threshold: p.o.BreakerShare,
			Text: "hard bounces of this provider wait in quarantine: see /v1/suppressions/confirm and /v1/suppressions/revert",
		}),
	})
}

// Alert is the body of an event of kind alert that tells of a wave.
type Alert struct {
	Rule      string  `json:"rule"`
	Account   string  `json:"account"`
	Provider  string  `json:"provider"`
	Since     string  `json:"since"`
	Sent      int64   `json:"sent"`
	Bounced   int64   `json:"bounced"`
	Value     float64 `json:"value"`
	Threshold float64 `json:"threshold"`
	Text      string  `json:"text"`
}

// wireVolume is what a volume fact says.
type wireVolume struct {
	Hours []struct {
		Hour time.Time        `json:"hour"`
		Sent map[string]int64 `json:"sent"`
	} `json:"hours"`
}

// volume counts what was sent to each provider.
func (p *Partition) volume(f *event.AddressFact) error {
	var v wireVolume
	if err := json.Unmarshal(f.Body, &v); err != nil {
		p.metrics.skipped.WithLabelValues(skipRejected).Inc()
		return nil
	}
	type count struct {
		provider string
		hour     int32
		sent     int64
	}
	var counts []count
	for _, h := range v.Hours {
		for provider, sent := range h.Sent {
			if sent > 0 && provider != "" && len(provider) <= maxText && h.Hour.Unix() > 0 {
				counts = append(counts, count{provider, hourOf(event.FromTime(h.Hour)), sent})
			}
		}
	}
	slices.SortFunc(counts, func(x, y count) int {
		if c := strings.Compare(x.provider, y.provider); c != 0 {
			return c
		}
		return int(x.hour - y.hour)
	})
	for len(counts) > 0 {
		provider := counts[0].provider
		h, err := p.loadProvider(provider)
		if err != nil {
			return err
		}
		for ; len(counts) > 0 && counts[0].provider == provider; counts = counts[1:] {
			if c := h.at(counts[0].hour); c != nil {
				c.Sent += counts[0].sent
			}
		}
		if err := p.keepProvider(provider, h); err != nil {
			return err
		}
	}
	return nil
}
