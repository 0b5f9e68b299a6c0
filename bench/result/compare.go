package result

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Bounds of a comparison.
const (
	MaxCompared = 24  // names
	MaxResults  = 500 // rounds of all names together
)

// minRounds is from how many rounds on a difference may be called one: of two rounds each, one in three comparisons
// of the same thing with itself finds spreads that do not overlap, of three one in ten, of five one in 126.
const minRounds = 3

// Comparison is several results beside each other; those of one name are rounds of one thing.
type Comparison struct {
	Format   int        `json:"format"`
	Compared []Compared `json:"compared"` // in the order of their first rounds; ratios are to the first
	Warnings []string   `json:"warnings"` // in what the results differ that should be the same

	groups []group
}

// Compared is what one name came to.
type Compared struct {
	Name    string   `json:"name"`
	Rounds  int      `json:"rounds"`
	Failed  int64    `json:"failed"` // of all rounds
	Figures []Figure `json:"figures"`
}

// Figure is one figure over all rounds.
type Figure struct {
	Key string `json:"figure"` // rate_per_s, p99_us ...
	Spread
	Ratio *Ratio `json:"ratio,omitempty"` // to the first
}

// Spread is the median of some figures and their ends.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Ratio is how many times the first's figure a figure is. Where both have the same number of rounds, it is made round by
// round, so that a machine that was slower for a while does not count; otherwise its ends are those of the extremes.
type Ratio struct {
	Spread
	Verdict Verdict `json:"verdict"`
	Chance  float64 `json:"chance,omitempty"` // of such a verdict, if both were the same thing
}

// Verdict says whether a figure differs from the first's.
type Verdict string

// The verdicts.
const (
	Higher Verdict = "higher"
	Lower  Verdict = "lower"
	Same   Verdict = "no difference"  // the spreads overlap
	Few    Verdict = "too few rounds" // fewer than three of either
)

// group is the rounds of one name.
type group struct {
	name   string
	rounds []*Result
}

// figure is one thing that results are compared by.
type figure struct {
	key, title, brief string

	better Verdict // what a reader hopes for
	show   func(float64) string
	of     func(*Result) (v float64, ok bool)
}

var figures = slices.Concat(
	[]figure{{"rate_per_s", "items a second", "items/s", Higher, three, func(r *Result) (float64, bool) { return r.Rate, true }}},
	percentileFigures(50, 90, 99, 99.9, 100),
	[]figure{
		{"server_us_per_item", "server's CPU an item", "server/item", Lower, Micros, func(r *Result) (float64, bool) { return ofServer(r, func(u *CPU) float64 { return u.PerItem }) }},
		{"server_rss_bytes", "server's memory at its peak", "server RSS", Lower, Bytes, func(r *Result) (float64, bool) {
			return ofServer(r, func(u *CPU) float64 { return float64(u.PeakRSS) })
		}},
		{"harness_share", "harness's share of the machine", "harness", "", percent, func(r *Result) (float64, bool) { return r.Harness.Share, r.Harness.Share > 0 }},
	},
)

func percentileFigures(ps ...float64) (fs []figure) {
	for _, p := range ps {
		key := "p" + strconv.FormatFloat(p, 'f', -1, 64) + "_us"
		if p == 100 {
			key = "max_us"
		}
		fs = append(fs, figure{key, "latency, " + percentileName(p), percentileName(p), Lower, Micros, func(r *Result) (float64, bool) { return r.Latency.At(p) }})
	}
	return fs
}

func ofServer(r *Result, of func(*CPU) float64) (float64, bool) {
	if r.Server == nil {
		return 0, false
	}
	v := of(r.Server)
	return v, v > 0
}

// Compare puts results beside each other.
func Compare(results []*Result) (*Comparison, error) {
	switch {
	case len(results) == 0:
		return nil, fmt.Errorf("compare: there is no result")
	case len(results) > MaxResults:
		return nil, fmt.Errorf("compare: %d results, %d at most", len(results), MaxResults)
	}
	c := &Comparison{Format: Format, Warnings: []string{}}
	for _, r := range results {
		i := slices.IndexFunc(c.groups, func(g group) bool { return g.name == r.Name })
		if i < 0 {
			if i = len(c.groups); i == MaxCompared {
				return nil, fmt.Errorf("compare: more than %d names; rounds of one thing have the same --name", MaxCompared)
			}
			c.groups = append(c.groups, group{name: r.Name})
		}
		c.groups[i].rounds = append(c.groups[i].rounds, r)
	}
	for i, g := range c.groups {
		x := Compared{Name: g.name, Rounds: len(g.rounds)}
		for _, r := range g.rounds {
			x.Failed += r.Failed
		}
		for _, f := range figures {
			values, ok := g.values(f)
			if !ok {
				continue
			}
			out := Figure{Key: f.key, Spread: spreadOf(values)}
			if first, ok := c.groups[0].values(f); ok && i > 0 {
				out.Ratio = ratioOf(first, values)
			}
			x.Figures = append(x.Figures, out)
		}
		c.Compared = append(c.Compared, x)
	}
	c.warn()
	return c, nil
}

// figure returns the figure of a key.
func (x *Compared) figure(key string) *Figure {
	for i := range x.Figures {
		if x.Figures[i].Key == key {
			return &x.Figures[i]
		}
	}
	return nil
}

// values are the figures of all rounds; not of some.
func (g group) values(f figure) (vs []float64, ok bool) {
	for _, r := range g.rounds {
		v, ok := f.of(r)
		if !ok {
			return nil, false
		}
		vs = append(vs, v)
	}
	return vs, true
}

func spreadOf(values []float64) Spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return Spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1]}
}

// negligible is a difference that a table's two digits do not show, however small the spreads are.
const negligible = 0.005

// leastDivisor is less than any figure of a real measurement.
const leastDivisor = 1e-6

// ratioOf is nil if the first's figure is nothing to divide by.
func ratioOf(first, values []float64) *Ratio {
	a, b := spreadOf(first), spreadOf(values)
	if a.Min < leastDivisor {
		return nil
	}
	r := &Ratio{Verdict: Same}
	if len(first) == len(values) {
		ratios := make([]float64, len(values))
		for i := range values {
			ratios[i] = values[i] / first[i]
		}
		r.Spread = spreadOf(ratios)
	} else {
		r.Spread = Spread{b.Median / a.Median, b.Min / a.Max, b.Max / a.Min}
	}
	switch {
	case min(len(first), len(values)) < minRounds:
		r.Verdict = Few
	case math.Abs(r.Median-1) < negligible:
	case b.Min > a.Max:
		r.Verdict = Higher
	case b.Max < a.Min:
		r.Verdict = Lower
	}
	if r.Verdict == Higher || r.Verdict == Lower {
		r.Chance = chance(len(first), len(values))
	}
	return r
}

// chance is how probable it is that all of n figures lie on one side of all of m figures of the same distribution:
// 2 of the (n+m)!/(n! m!) orders.
func chance(n, m int) float64 {
	c := 2.0
	for i := 1; i <= n; i++ {
		c *= float64(i) / float64(m+i)
	}
	return c
}

// warn tells in what results differ that makes their figures no comparison of what is measured.
func (c *Comparison) warn() {
	all := slices.Concat(mapSlice(c.groups, func(g group) []*Result { return g.rounds })...)
	for _, x := range []struct {
		what     string
		of       func(*Result) string
		optional bool // not every result has it, which makes none different
	}{
		{what: "kinds", of: func(r *Result) string { return r.Kind }},
		{what: "loads", of: func(r *Result) string { return r.Load.String() }},
		{what: "machines", of: func(r *Result) string {
			return fmt.Sprintf("%s, %d cores, %s", r.Machine.CPU, r.Machine.Cores, r.Machine.System)
		}},
		{what: "harnesses", of: func(r *Result) string { return r.Machine.Carom }},
		{what: "file systems", optional: true, of: func(r *Result) string {
			if r.Machine.Disk == nil { // the server was somebody else's
				return ""
			}
			return r.Machine.Disk.FileSystem
		}},
	} {
		seen := []string{}
		for _, r := range all {
			v := plain(x.of(r), 120)
			if v == "" {
				if x.optional {
					continue
				}
				v = "unknown"
			}
			if !slices.Contains(seen, v) {
				seen = append(seen, v)
			}
		}
		if n := len(seen); n > 1 {
			if n > 4 {
				seen = append(seen[:3], fmt.Sprintf("%d more", n-3))
			}
			c.Warnings = append(c.Warnings, "different "+x.what+": "+strings.Join(seen, "; "))
		}
	}
	for _, g := range c.groups {
		if n := slices.IndexFunc(g.rounds, func(r *Result) bool { return r.Failed > 0 && r.Failed*100 >= r.Requests }); n >= 0 {
			c.Warnings = append(c.Warnings, fmt.Sprintf("%s: a hundredth or more of a round's requests failed", plain(g.name, 60)))
		}
	}
}

func mapSlice[A, B any](from []A, f func(A) B) []B {
	to := make([]B, len(from))
	for i, a := range from {
		to[i] = f(a)
	}
	return to
}

// String says what was asked for: open loop, 5,000/s for 30 s, 64 connections.
func (l *Load) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s loop", plain(l.Mode, 10))
	total := 0.0
	for _, s := range l.Stages {
		total += s.Seconds
	}
	switch {
	case len(l.Stages) == 0:
	case l.Mode == "closed":
		fmt.Fprintf(&b, ", as fast as answers come, for %s", seconds(total))
	default:
		const shown = 8
		for i, s := range l.Stages {
			if i == shown {
				fmt.Fprintf(&b, ", and %d stages more", len(l.Stages)-shown)
				break
			}
			b.WriteString(", " + s.String())
		}
	}
	fmt.Fprintf(&b, ", %s", plural(int64(l.Connections), "connection"))
	return b.String()
}

// String is the stage in words.
func (s *Stage) String() string {
	rate := rateText(s.From)
	if s.To != s.From {
		rate += " to " + rateText(s.To)
	}
	return fmt.Sprintf("%s/s for %s", rate, seconds(s.Seconds))
}

// rateText shows a rate that was asked for.
func rateText(v float64) string {
	if v == math.Trunc(v) {
		return Count(int64(v))
	}
	return three(v)
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Count(n) + " " + noun + "s"
}

// WriteJSON writes the comparison as one line.
func (c *Comparison) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(c)
}
