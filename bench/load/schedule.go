package load

import (
	"math"
	"time"
)

// schedule knows when each request of an open loop should start. Request i, from 0, starts when the rate's integral
// reaches i, so the first one starts at once and stages join without a gap. Times count from the beginning of the
// warm-up.
type schedule struct {
	spans []span
	warm  time.Duration // the end of the warm-up
}

type span struct {
	begin, length float64 // seconds
	from, slope   float64 // requests a second, and their growth
	first         float64 // how many requests come before it
}

// fraction of a request that the sums of floating-point numbers may be off.
const fraction = 1e-6

func newSchedule(p *Plan) *schedule {
	s := &schedule{warm: p.Warmup}
	var begin, count float64
	add := func(stage Stage) {
		length := stage.Duration.Seconds()
		if length == 0 {
			return
		}
		s.spans = append(s.spans, span{begin: begin, length: length, from: stage.From, slope: (stage.To - stage.From) / length, first: count})
		begin += length
		count += (stage.From + stage.To) / 2 * length
	}
	first := p.Stages[0].From
	add(Stage{From: first, To: first, Duration: p.Warmup})
	for _, stage := range p.Stages {
		add(stage)
	}
	return s
}

// count is how many requests should have started before t; a broken one is one that is under way.
func (s *schedule) count(t time.Duration) (n float64) {
	for _, sp := range s.spans {
		at := min(t.Seconds()-sp.begin, sp.length)
		if at <= 0 {
			break
		}
		n = sp.first + at*(sp.from+sp.slope*at/2)
	}
	return n
}

// before is how many requests should have started before t.
func (s *schedule) before(t time.Duration) int64 { return int64(math.Ceil(s.count(t) - fraction)) }

// cursor walks through the requests of a schedule, in order.
type cursor struct {
	*schedule
	i    int64 // the next request
	span int   // the one that it belongs to
	last time.Duration
}

// peek returns when the next request should start; ok is false behind the last one.
func (c *cursor) peek() (start time.Duration, ok bool) {
	n := float64(c.i) + fraction
	for {
		if c.span == len(c.spans) {
			return 0, false
		}
		sp := &c.spans[c.span]
		if n < sp.first+sp.length*(sp.from+sp.slope*sp.length/2) {
			// The root of from t + slope t²/2 = n, in the form that does not lose digits when one of both is 0.
			n = max(float64(c.i)-sp.first, 0)
			at := 0.0
			if n > 0 {
				at = 2 * n / (sp.from + math.Sqrt(max(sp.from*sp.from+2*sp.slope*n, 0)))
			}
			// Rounding must not let time run back where spans meet.
			return max(time.Duration((sp.begin+min(at, sp.length))*float64(time.Second)), c.last), true
		}
		c.span++
	}
}

// take moves on to the next request; start is what peek said.
func (c *cursor) take(start time.Duration) {
	c.i++
	c.last = start
}
