package score

import "math"

// Rate is a share of counted things, as a fraction, with its 95 % confidence interval.
// 0 <= Low <= Value <= High <= 1.
type Rate struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// z is the two-sided 95 % quantile of the normal distribution.
const z = 1.959963984540054

// Wilson returns k of n with the Wilson score interval (E. B. Wilson, "Probable inference, the law of succession,
// and statistical inference", 1927), which unlike the textbook interval stays within 0 and 1 and means something for
// small n and for 0 of n. 0 of 0 is the value 0 with the interval 0 to 1. A k outside 0 to n is taken as the nearer end.
func Wilson(k, n int64) Rate {
	if n <= 0 {
		return Rate{High: 1}
	}
	k = max(0, min(k, n))
	size := float64(n)
	p := float64(k) / size
	center := p + z*z/(2*size)
	half := z * math.Sqrt(p*(1-p)/size+z*z/(4*size*size))
	scale := 1 + z*z/size
	r := Rate{Value: p, Low: (center - half) / scale, High: (center + half) / scale}
	// On paper the interval of 0 of n begins at 0 and that of n of n ends at 1, in floating point only nearly.
	if k == 0 {
		r.Low = 0
	}
	if k == n {
		r.High = 1
	}
	return r
}
