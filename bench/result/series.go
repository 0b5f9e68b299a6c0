package result

import (
	"math"
	"slices"
)

// maxBuckets is how many points a line over time has at most; longer measurements have longer buckets.
const maxBuckets = 120

// bucket is some seconds of a measurement; what is not known is NaN.
type bucket struct {
	at                              float64 // its end
	wanted, requests, items, failed float64 // a second
	p50, p99, max                   float64 // median of the seconds' medians, highest p99, longest
	harness, server                 float64 // cores
	memory                          float64
}

// bucketSize is how many points of a series make a bucket.
func bucketSize(points int) int {
	for _, n := range timeSteps {
		if points <= int(n)*maxBuckets {
			return int(n)
		}
	}
	return points/maxBuckets + 1
}

// buckets sums up each n points.
func buckets(series []Point, n int) (bs []bucket) {
	from := 0.0
	for points := range slices.Chunk(series, n) {
		b := bucketOf(points, points[len(points)-1].At-from)
		from = b.at
		bs = append(bs, b)
	}
	return bs
}

func bucketOf(points []Point, seconds float64) bucket {
	b := bucket{at: points[len(points)-1].At, p99: math.NaN(), max: math.NaN(), memory: math.NaN()}
	if seconds < 1e-3 {
		seconds = float64(len(points)) // a file that says so of no time at all
	}
	var p50s []float64
	hasServer := false
	for _, p := range points {
		b.wanted += p.Wanted / float64(len(points))
		b.requests += float64(p.Requests) / seconds
		b.items += float64(p.Items) / seconds
		b.failed += float64(p.Failed) / seconds
		b.harness += p.Harness / float64(len(points))
		b.server += p.Server / float64(len(points))
		hasServer = hasServer || p.Server > 0 || p.Memory > 0
		if p.Memory > 0 {
			b.memory = higher(b.memory, float64(p.Memory))
		}
		if p.Requests > 0 && p.Max > 0 { // a second without an answer has no latency
			p50s = append(p50s, p.P50)
			b.p99, b.max = higher(b.p99, p.P99), higher(b.max, p.Max)
		}
	}
	b.p50 = math.NaN()
	if len(p50s) > 0 {
		b.p50 = spreadOf(p50s).Median
	}
	if !hasServer {
		b.server = math.NaN()
	}
	return b
}

// higher is the maximum of those that are known.
func higher(a, b float64) float64 {
	if math.IsNaN(a) {
		return b
	}
	return max(a, b)
}

// over is one figure of a group over time: the median of its rounds, and their ends if there are several.
func (g group) over(size int, of func(bucket) float64) (ps []point) {
	var rounds [][]bucket
	for _, r := range g.rounds {
		rounds = append(rounds, buckets(r.Series, size))
	}
	for i := 0; ; i++ {
		var at float64
		var values []float64
		there := false
		for _, bs := range rounds {
			if i >= len(bs) {
				continue
			}
			there, at = true, max(at, bs[i].at)
			if v := of(bs[i]); !math.IsNaN(v) {
				values = append(values, v)
			}
		}
		if !there {
			return ps
		}
		p := point{x: at, y: math.NaN(), lo: math.NaN(), hi: math.NaN()}
		if len(values) > 0 {
			s := spreadOf(values)
			p.y = s.Median
			if len(g.rounds) > 1 {
				p.lo, p.hi = s.Min, s.Max
			}
		}
		ps = append(ps, p)
	}
}

// curve is the latency of a group by percentile: those that all rounds have.
func (g group) curve(of func(*Result) *Distribution) (ps []point, count int64) {
	count = math.MaxInt64
	for _, p := range of(g.rounds[0]).Percentiles {
		var values []float64
		for _, r := range g.rounds {
			if v, ok := of(r).At(p.P); ok {
				values = append(values, v)
			}
		}
		if len(values) < len(g.rounds) {
			continue
		}
		s := spreadOf(values)
		q := point{x: p.P, y: s.Median, lo: math.NaN(), hi: math.NaN()}
		if len(g.rounds) > 1 {
			q.lo, q.hi = s.Min, s.Max
		}
		ps = append(ps, q)
	}
	for _, r := range g.rounds {
		count = min(count, of(r).Count)
	}
	return ps, count
}
