package score

import (
	"fmt"
	"strconv"
	"strings"
)

// maxPoints bounds the points of a curve: more than anyone would draw.
const maxPoints = 100

// point is one corner of a curve: at this rate, so many points of score.
type point struct{ rate, points float64 }

// curve is piecewise linear through its points, and constant before the first and after the last.
type curve []point

// at returns the curve's height at rate.
func (c curve) at(rate float64) float64 {
	for i, p := range c {
		if rate > p.rate {
			continue
		}
		if i == 0 || rate == p.rate {
			return p.points
		}
		from := c[i-1]
		return from.points + (rate-from.rate)*(p.points-from.points)/(p.rate-from.rate)
	}
	return c[len(c)-1].points
}

// highest returns the most that the curve gives.
func (c curve) highest() float64 {
	most := c[0].points
	for _, p := range c {
		most = max(most, p.points)
	}
	return most
}

// direction says which way a curve must run: more replies never cost points, more bounces never bring any. Without
// that the ends of the intervals would not be the ends of the score.
type direction int

const (
	rising  direction = 1
	falling direction = -1
)

// parseCurve reads points of the form "rate:points", for example "0.03:20" for 20 points at 3 %.
func parseCurve(texts []string, d direction) (curve, error) {
	if len(texts) == 0 || len(texts) > maxPoints {
		return nil, fmt.Errorf("%d points: want 1 to %d", len(texts), maxPoints)
	}
	c := make(curve, 0, len(texts))
	for _, text := range texts {
		p, err := parsePoint(text)
		if err != nil {
			return nil, err
		}
		if len(c) > 0 {
			last := c[len(c)-1]
			if p.rate <= last.rate {
				return nil, fmt.Errorf("%q: want a rate above %v, that of the point before", text, last.rate)
			}
			if (p.points-last.points)*float64(d) < 0 {
				return nil, fmt.Errorf("%q: want %s", text, wanted(d, last.points))
			}
		}
		c = append(c, p)
	}
	return c, nil
}

func wanted(d direction, points float64) string {
	if d == rising {
		return fmt.Sprintf("at least %v points, those of the point before", points)
	}
	return fmt.Sprintf("at most %v points, those of the point before", points)
}

func parsePoint(text string) (point, error) {
	left, right, ok := strings.Cut(text, ":")
	rate, errRate := strconv.ParseFloat(strings.TrimSpace(left), 64)
	points, errPoints := strconv.ParseFloat(strings.TrimSpace(right), 64)
	// The comparisons are written so that NaN fails them.
	if !ok || errRate != nil || errPoints != nil || !(rate >= 0 && rate <= 1) || !(points >= 0 && points <= 100) {
		return point{}, fmt.Errorf("%q: want rate:points with a rate of 0 to 1 and 0 to 100 points", text)
	}
	return point{rate, points}, nil
}
