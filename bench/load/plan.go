package load

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Plan says what load is made.
type Plan struct {
	Clients int
	// Stages follow each other. In a closed loop, where every client asks again as soon as it is answered, rates are 0.
	Stages []Stage
	// Warmup comes before the first stage, at its first rate, and counts nowhere.
	Warmup time.Duration
	// Timeout of one request. The clients are made with it; here it bounds the wait for the last answers.
	Timeout time.Duration
	// ServerPID is the process whose CPU and memory are told, with its children; 0: none.
	ServerPID int
}

// Stage is a time at a rate that grows evenly from From to To requests a second; a constant one has both the same.
type Stage struct {
	From, To float64
	Duration time.Duration
}

// Bounds of a plan.
const (
	maxClients  = 100_000
	maxStages   = 1000
	maxRate     = 10_000_000
	maxDuration = 24 * time.Hour
)

// Validate names the first part that is not allowed.
func (p *Plan) Validate() error {
	if p.Clients < 1 || p.Clients > maxClients {
		return fmt.Errorf("connections: %d: want 1 to %d", p.Clients, maxClients)
	}
	if len(p.Stages) == 0 || len(p.Stages) > maxStages {
		return fmt.Errorf("rate: %d stages: want 1 to %d", len(p.Stages), maxStages)
	}
	var total time.Duration
	for _, s := range p.Stages {
		if s.Duration <= 0 || s.Duration > maxDuration {
			return fmt.Errorf("duration: %s: want more than nothing and at most %s", s.Duration, maxDuration)
		}
		total += s.Duration
		if !(s.From >= 0 && s.From <= maxRate && s.To >= 0 && s.To <= maxRate) {
			return fmt.Errorf("rate: %g..%g: want 0 to %d requests a second", s.From, s.To, maxRate)
		}
	}
	if total > maxDuration {
		return fmt.Errorf("duration: %s: want at most %s", total, maxDuration)
	}
	if p.Warmup < 0 || p.Warmup > maxDuration {
		return fmt.Errorf("warmup: %s: want 0s to %s", p.Warmup, maxDuration)
	}
	if p.Timeout <= 0 || p.Timeout > time.Hour {
		return fmt.Errorf("timeout: %s: want more than nothing and at most 1h", p.Timeout)
	}
	return nil
}

// Closed reports whether the load is a closed loop.
func (p *Plan) Closed() bool {
	for _, s := range p.Stages {
		if s.From > 0 || s.To > 0 {
			return false
		}
	}
	return true
}

// duration is that of all stages, without the warm-up.
func (p *Plan) duration() (d time.Duration) {
	for _, s := range p.Stages {
		d += s.Duration
	}
	return d
}

// ParseRate reads a rate of requests a second, as people write it, that holds for a time: "1000"; "1000..5000", which
// grows evenly; "1000,2000,4000", steps that share the time evenly; or nothing, which is a closed loop.
func ParseRate(text string, d time.Duration) ([]Stage, error) {
	if text == "" {
		return []Stage{{Duration: d}}, nil
	}
	steps := strings.Split(text, ",")
	if len(steps) > maxStages {
		return nil, fmt.Errorf("%d steps: want at most %d", len(steps), maxStages)
	}
	stages := make([]Stage, 0, len(steps))
	for i, step := range steps {
		from, to, ramp := strings.Cut(step, "..")
		if !ramp {
			to = from
		}
		s := Stage{Duration: d*time.Duration(i+1)/time.Duration(len(steps)) - d*time.Duration(i)/time.Duration(len(steps))}
		var errs [2]error
		s.From, errs[0] = strconv.ParseFloat(strings.TrimSpace(from), 64)
		s.To, errs[1] = strconv.ParseFloat(strings.TrimSpace(to), 64)
		if errors.Join(errs[:]...) != nil || !(s.From >= 0 && s.To >= 0 && s.From+s.To > 0 && s.From <= maxRate && s.To <= maxRate) {
			return nil, fmt.Errorf("%q: want requests a second, up to %d: 1000, a ramp 1000..5000, or steps 1000,2000,4000", text, maxRate)
		}
		stages = append(stages, s)
	}
	return stages, nil
}
