package result

import (
	"math"
	"slices"
	"strings"
)

// scale maps figures to 0..1 of an axis.
type scale interface {
	at(v float64) float64
	ticks(n int) []tick // some n of them
}

// tick is a labelled place of an axis.
type tick struct {
	value float64
	label string
}

// linear runs from 0.
type linear struct {
	hi    float64
	label func(float64) string
	steps []float64 // between ticks, ascending; nil for 1, 2, 5, 10 ...
}

func (s linear) at(v float64) float64 { return v / s.hi }

func (s linear) ticks(n int) (ts []tick) {
	step := s.step(n)
	// Multiplied, not added up: 0.1 has no exact form.
	for i := 0; ; i++ {
		v := float64(i) * step
		if v > s.hi*1.0001 || i > maxTicks {
			return ts
		}
		ts = append(ts, tick{v, s.label(v)})
	}
}

// maxTicks is a bound that no axis comes near.
const maxTicks = 40

func (s linear) step(n int) float64 {
	least := s.hi / float64(max(n, 1))
	if i := slices.IndexFunc(s.steps, func(v float64) bool { return v >= least }); i >= 0 {
		return s.steps[i]
	}
	return roundUp(least)
}

// roundUp goes to the next of 1, 2, 5, 10, 20 ...
func roundUp(v float64) float64 {
	decade := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*decade >= v*0.9999 {
			return m * decade
		}
	}
	return 10 * decade
}

// leastShown is less than any figure that is worth an axis.
const leastShown = 1e-3

// linearTo is a scale that the highest figure fits below.
func linearTo(highest float64, label func(float64) string) linear {
	if !(highest > leastShown) {
		highest = 1
	}
	step := roundUp(highest / 5)
	return linear{hi: math.Ceil(highest/step*0.9999) * step, label: label}
}

// logarithmic runs from lo to hi, both above 0.
type logarithmic struct {
	lo, hi float64
	label  func(float64) string
}

func (s logarithmic) at(v float64) float64 {
	return math.Log10(max(v, s.lo)/s.lo) / math.Log10(s.hi/s.lo)
}

func (s logarithmic) ticks(n int) (ts []tick) {
	within := []float64{1}
	decades := math.Log10(s.hi / s.lo)
	if decades*3 <= float64(n)+2 {
		within = []float64{1, 2, 5}
	}
	skip := max(1, int(math.Ceil(decades/float64(max(n, 1)))))
	for e := int(math.Floor(math.Log10(s.lo))); e <= int(math.Ceil(math.Log10(s.hi))); e += skip {
		for _, m := range within {
			if v := m * math.Pow(10, float64(e)); v >= s.lo*0.9999 && v <= s.hi*1.0001 && len(ts) < maxTicks {
				ts = append(ts, tick{v, s.label(v)})
			}
		}
	}
	return ts
}

// logTo is a scale around some figures above 0.
func logTo(lowest, highest float64, label func(float64) string) logarithmic {
	hi := roundUp(highest)
	lo := roundUp(lowest)
	if lo > lowest*1.0001 {
		lo = roundUp(lo / 2.6) // 10 -> 5, 5 -> 2, 2 -> 1
	}
	if hi <= lo {
		hi = 10 * lo
	}
	return logarithmic{lo, hi, label}
}

// logFrom is how many times the lowest the highest figure must be for a logarithmic scale.
const logFrom = 20

// times is a scale of latencies, logarithmic if they are far apart.
func times(lowest, highest float64) (s scale, isLog bool) {
	label := func(v float64) string { return brief(Micros(v)) }
	if lowest = max(lowest, leastShown); highest > logFrom*lowest {
		return logTo(lowest, highest, label), true
	}
	return linearTo(highest, label), false
}

// percentiles parts 90, 99, 99.9 and so on evenly: it is logarithmic in what lies beyond.
type percentiles struct{ hi float64 } // the decimal logarithm of a count

func (s percentiles) at(p float64) float64 {
	if p >= 100 {
		return 1
	}
	return min(-math.Log10(1-p/100)/s.hi, 1)
}

func (s percentiles) ticks(int) []tick {
	ts := []tick{{0, "0"}}
	if s.hi > 0.5 {
		ts = append(ts, tick{50, "50"})
	}
	for e := 1; float64(e) <= s.hi && e <= 12; e++ {
		p := 100 - math.Pow(10, float64(2-e))
		label := "90"
		if e > 1 {
			label = "99"
		}
		if e > 2 {
			label += "." + strings.Repeat("9", e-2)
		}
		ts = append(ts, tick{p, label})
	}
	return ts
}

// timeSteps part an axis of seconds.
var timeSteps = []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400}

// clock labels seconds of a measurement.
func clock(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 3600 && math.Mod(v, 1800) == 0:
		return short(v/3600) + " h"
	case v >= 120 && math.Mod(v, 60) == 0:
		return short(v/60) + " min"
	}
	return brief(three(v) + " s")
}

// brief drops the zeros that a table has for the sake of its alignment: 1.50 ms -> 1.5 ms.
func brief(text string) string {
	number, unit, _ := strings.Cut(text, " ")
	if strings.ContainsRune(number, '.') {
		number = strings.TrimRight(strings.TrimRight(number, "0"), ".")
	}
	if unit == "" {
		return number
	}
	return number + " " + unit
}
