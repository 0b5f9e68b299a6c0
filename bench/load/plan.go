package load

import "time"

// Plan says what load is made.
type Plan struct {
	Clients int
	// Stages follow each other. In a closed loop, where every client asks again as soon as it is answered, rates are 0.
	Stages []Stage
	// Warmup comes before the first stage, at its first rate, and counts nowhere.
	Warmup time.Duration
	// Timeout of one request.
	Timeout time.Duration
}

// Stage is a time at a rate that grows evenly from From to To requests a second; a constant one has both the same.
type Stage struct {
	From, To float64
	Duration time.Duration
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
