package result

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// figureBox is a plot with its legend and its numbers, as the page shows it.
type figureBox struct {
	Title, Caption string
	Whole          bool // as wide as the page
	Legend         []legendKey
	Drawings       []drawing
	Bars           *barPlot
	Numbers        numbers
}

// legendKey is a sample of a line and its name.
type legendKey struct {
	Class, Name string
}

// numbers are what a plot draws.
type numbers struct {
	Head []string
	Rows [][]string
}

// shownName is how long a name is on a page.
const shownName = 60

func (g group) label() string {
	if name := plain(g.name, shownName); name != "" {
		return name
	}
	return "without a name"
}

// shownRounds is the name, and how many rounds it had.
func (g group) shownRounds() string {
	if n := len(g.rounds); n > 1 {
		return fmt.Sprintf("%s, %d rounds", g.label(), n)
	}
	return g.label()
}

// drawnCurve is a line of the plot by percentile.
type drawnCurve struct {
	line
	name  string
	count int64
}

// latencyBox is the latency by percentile.
func (c *Comparison) latencyBox() *figureBox {
	var curves []drawnCurve
	for i, g := range c.groups {
		class, name := lineClass(i), g.label()
		if len(c.groups) == 1 {
			name = "latency"
		}
		if ps, count := g.curve(func(r *Result) *Distribution { return &r.Latency }); len(ps) > 0 {
			curves = append(curves, drawnCurve{line{class, ps}, name, count})
		}
	}
	if g := c.groups[0]; len(c.groups) == 1 && g.rounds[0].Load.Mode == "open" {
		if ps, count := g.curve(func(r *Result) *Distribution { return &r.Service }); len(ps) > 0 {
			curves = append(curves, drawnCurve{line{lineClass(1), ps}, "service, from the sending", count})
		}
	}
	if len(curves) == 0 {
		return nil
	}
	p := &plot{id: "latency", title: "Latency by percentile", xTitle: "percentile", yTitle: "latency"}
	x := percentiles{hi: 1}
	box := &figureBox{Title: p.title, Whole: true}
	var about []string
	for _, curve := range curves {
		x.hi = max(x.hi, math.Log10(float64(max(curve.count, 1))))
		p.lines = append(p.lines, curve.line)
		box.Legend = append(box.Legend, legendKey{curve.class, curve.name})
		about = append(about, curve.name+": "+percentilesText(curve.points))
	}
	p.x = x
	lowest, highest := extent(p.lines)
	var isLog bool
	if p.y, isLog = times(lowest, highest); isLog {
		p.yTitle += ", logarithmic"
	}
	p.about = strings.Join(about, ". ")
	if len(curves) <= 2 {
		for _, at := range []float64{100, 99, 50, 99.9, 90, 99.99} { // those first whose labels must find room
			for _, point := range curves[0].points {
				if point.x == at {
					p.dots = append(p.dots, dot{class: curves[0].class, label: percentileName(at) + " " + brief(Micros(point.y)), x: at, y: point.y})
				}
			}
		}
	}
	box.Numbers.Head = []string{"percentile"}
	for _, curve := range curves {
		box.Numbers.Head = append(box.Numbers.Head, curve.name)
	}
	byP := map[float64]int{}
	var at []float64
	for i, curve := range curves {
		for _, point := range curve.points {
			row, ok := byP[point.x]
			if !ok {
				row = len(box.Numbers.Rows)
				byP[point.x] = row
				at = append(at, point.x)
				box.Numbers.Rows = append(box.Numbers.Rows, append([]string{percentileName(point.x)}, dashes(len(curves))...))
			}
			box.Numbers.Rows[row][i+1] = withSpread(point, Micros)
		}
	}
	sortRows(box.Numbers.Rows, at)
	for i, row := range box.Numbers.Rows {
		text := row[0]
		for n, cell := range row[1:] {
			text += "\n" + curves[n].name + ": " + cell
		}
		p.tips = append(p.tips, tip{at[i], text})
	}
	box.Drawings = p.draw(wholeSizes)
	box.Caption = c.captionOf("What share of the requests took no longer; each step to the right is a tenth of the requests before it.", p.lines)
	return box
}

// sortRows sorts rows, and what they are sorted by.
func sortRows(rows [][]string, by []float64) {
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(by[a], by[b]) })
	oldRows, oldBy := slices.Clone(rows), slices.Clone(by)
	for i, o := range order {
		rows[i], by[i] = oldRows[o], oldBy[o]
	}
}

func dashes(n int) []string { return slices.Repeat([]string{"–"}, n) }

// withSpread shows a figure and the ends of its rounds.
func withSpread(p point, show func(float64) string) string {
	switch {
	case math.IsNaN(p.y):
		return "–"
	case math.IsNaN(p.lo) || p.lo == p.hi:
		return show(p.y)
	}
	return show(p.y) + " (" + show(p.lo) + "–" + show(p.hi) + ")"
}

// percentilesText tells a curve to those who do not see it.
func percentilesText(ps []point) string {
	var parts []string
	for _, p := range ps {
		if slices.Contains(Named, p.x) {
			parts = append(parts, percentileName(p.x)+" "+Micros(p.y))
		}
	}
	return strings.Join(parts, ", ")
}

// captionOf explains what the lines of several rounds are.
func (c *Comparison) captionOf(text string, ls []line) string {
	if c.single() {
		return text
	}
	text += " Lines are medians of the rounds"
	if slices.ContainsFunc(ls, func(l line) bool {
		return slices.ContainsFunc(l.points, func(p point) bool { return !math.IsNaN(p.lo) })
	}) {
		text += "; the areas around them reach from the lowest to the highest"
	}
	return text + "."
}

// withoutBand drops the spread: areas that lie upon each other hide the lines.
func withoutBand(ps []point) []point {
	for i := range ps {
		ps[i].lo, ps[i].hi = math.NaN(), math.NaN()
	}
	return ps
}

// overTime is a line of a plot over time, before it is drawn.
type overTime struct {
	name string
	line
}

// timeBox draws lines over time. It is nil if they hold nothing.
func (c *Comparison) timeBox(id, title, yTitle, caption string, ls []overTime, show func(float64) string, latency bool) *figureBox {
	ls = slices.DeleteFunc(ls, func(l overTime) bool {
		return !slices.ContainsFunc(l.points, func(p point) bool { return !math.IsNaN(p.y) })
	})
	if len(ls) == 0 {
		return nil
	}
	p := &plot{id: id, title: title, xTitle: "time since the beginning", yTitle: yTitle, marks: c.stepEnds()}
	box := &figureBox{Title: title}
	box.Numbers.Head = []string{"until"}
	var about []string
	var longest []point
	for _, l := range ls {
		p.lines = append(p.lines, l.line)
		box.Legend = append(box.Legend, legendKey{l.class, l.name})
		box.Numbers.Head = append(box.Numbers.Head, l.name)
		if len(l.points) > len(longest) {
			longest = l.points
		}
		var ys []float64
		for _, q := range l.points {
			if !math.IsNaN(q.y) {
				ys = append(ys, q.y)
			}
		}
		s := spreadOf(ys)
		about = append(about, fmt.Sprintf("%s: median %s, from %s to %s", l.name, show(s.Median), show(s.Min), show(s.Max)))
	}
	p.about = strings.Join(about, ". ")
	for i, at := range longest {
		row := []string{clock(tenth(at.x))}
		text := row[0]
		for _, l := range ls {
			cell := "–"
			if i < len(l.points) {
				cell = withSpread(l.points[i], show)
			}
			row = append(row, cell)
			text += "\n" + l.name + ": " + cell
		}
		box.Numbers.Rows = append(box.Numbers.Rows, row)
		p.tips = append(p.tips, tip{at.x, text})
	}
	end := 0.0
	for _, l := range ls {
		end = max(end, l.points[len(l.points)-1].x)
	}
	p.x = linear{hi: max(end, leastShown), label: clock, steps: timeSteps}
	box.Caption = c.captionOf(caption, p.lines)
	lowest, highest := extent(p.lines)
	if latency {
		var isLog bool
		if p.y, isLog = times(lowest, highest); isLog {
			p.yTitle += ", logarithmic"
		}
	} else {
		p.y = linearTo(highest, func(v float64) string { return brief(show(v)) })
	}
	box.Drawings = p.draw(halfSizes)
	return box
}

// stepEnds are the times at which one result's steps follow each other.
func (c *Comparison) stepEnds() (ends []float64) {
	steps := c.groups[0].rounds[0].Steps
	if len(c.all()) > 1 || len(steps) < 2 || len(steps) > pageRows {
		return nil
	}
	at := 0.0
	for _, s := range steps[:len(steps)-1] {
		at += s.Seconds
		ends = append(ends, at)
	}
	return ends
}

// figureOver is one figure of a bucket.
type figureOver struct {
	name string
	of   func(bucket) float64
}

var (
	p50Over     = figureOver{"p50", func(b bucket) float64 { return b.p50 }}
	p99Over     = figureOver{"p99", func(b bucket) float64 { return b.p99 }}
	maxOver     = figureOver{"max", func(b bucket) float64 { return b.max }}
	harnessOver = figureOver{"harness", func(b bucket) float64 { return b.harness }}
	serverOver  = figureOver{"server", func(b bucket) float64 { return b.server }}
	memoryOver  = figureOver{"server", func(b bucket) float64 { return b.memory }}
	itemsOver   = figureOver{"items", func(b bucket) float64 { return b.items }}
	wantedOver  = figureOver{"wanted", func(b bucket) float64 { return nanIfZero(b.wanted) }}
	answerOver  = figureOver{"answered", func(b bucket) float64 { return b.requests }}
	failedOver  = figureOver{"failed", func(b bucket) float64 { return b.failed }}
)

func nanIfZero(v float64) float64 {
	if v == 0 {
		return math.NaN()
	}
	return v
}

// timeBoxes are the plots over time: of one name several figures in one plot, of several names one figure in each.
func (c *Comparison) timeBoxes() (boxes []*figureBox) {
	size := 1
	for _, g := range c.groups {
		for _, r := range g.rounds {
			size = max(size, bucketSize(len(r.Series)))
		}
	}
	per := "Each point is a second."
	if size > 1 {
		per = fmt.Sprintf("Each point stands for %d seconds: mean rates, the median of p50, the highest p99 and maximum.", size)
	}
	add := func(box *figureBox) {
		if box != nil {
			boxes = append(boxes, box)
		}
	}
	of := func(figures ...figureOver) (ls []overTime) {
		for i, f := range figures {
			g := c.groups[0]
			ls = append(ls, overTime{f.name, line{lineClass(i), g.over(size, f.of)}})
		}
		return ls
	}
	across := func(f figureOver) (ls []overTime) {
		for i, g := range c.groups {
			ls = append(ls, overTime{g.label(), line{lineClass(i), withoutBand(g.over(size, f.of))}})
		}
		return ls
	}
	if len(c.groups) == 1 {
		rates := []figureOver{answerOver, wantedOver}
		if c.groups[0].failed() > 0 {
			rates = append(rates, failedOver)
		}
		if r := c.groups[0].rounds[0]; r.Items != r.Requests {
			rates = append(rates, itemsOver)
		}
		add(c.timeBox("rate", "Requests over time", "a second", per, of(rates...), three, false))
		add(c.timeBox("times", "Latency over time", "latency", per, of(p50Over, p99Over, maxOver), Micros, true))
		add(c.timeBox("cpu", "CPU over time", "cores busy", per, of(serverOver, harnessOver), three, false))
		add(c.timeBox("memory", "Server's memory over time", "resident", per, of(memoryOver), Bytes, false))
		return boxes
	}
	add(c.timeBox("rate", "Items a second over time", "a second", per, across(itemsOver), three, false))
	add(c.timeBox("p50", "p50 over time", "latency", per, across(p50Over), Micros, true))
	add(c.timeBox("p99", "p99 over time", "latency", per, across(p99Over), Micros, true))
	add(c.timeBox("max", "Longest latency over time", "latency", per, across(maxOver), Micros, true))
	add(c.timeBox("server", "Server's CPU over time", "cores busy", per, across(serverOver), three, false))
	add(c.timeBox("harness", "Harness's CPU over time", "cores busy", per, across(harnessOver), three, false))
	add(c.timeBox("memory", "Server's memory over time", "resident", per, across(memoryOver), Bytes, false))
	return boxes
}

func (g group) failed() (n int64) {
	for _, r := range g.rounds {
		n += r.Failed
	}
	return n
}

// searchBox draws the tries of a search.
func searchBox(id, title string, r *Result) *figureBox {
	box := &figureBox{Title: title, Caption: capital(r.searchText()) + ". A dot is a try that held the bound, a cross one that did not. " + capital(triesAbout) + "."}
	box.Numbers.Head = tryHead
	p := &plot{id: id, title: title, xTitle: "requests a second wanted", yTitle: "measured"}
	highest, about := 0.0, []string{}
	var measured line
	for i, t := range r.Search {
		box.Numbers.Rows = append(box.Numbers.Rows, t.cells())
		if i >= maxBuckets {
			continue
		}
		highest = max(highest, t.Wanted)
		measured.points = append(measured.points, point{t.Wanted, t.Measured, math.NaN(), math.NaN()})
		p.dots = append(p.dots, dot{class: pick(t.Held, "c2", "c4"), x: t.Wanted, y: t.Measured, cross: !t.Held})
		p.tips = append(p.tips, tip{t.Wanted, fmt.Sprintf("%s/s wanted, %s/s reached: %s, %s", three(t.Wanted), three(t.Reached), Micros(t.Measured), pick(t.Held, "held", "not held"))})
		about = append(about, fmt.Sprintf("%s/s: %s, %s", three(t.Wanted), Micros(t.Measured), pick(t.Held, "held", "not held")))
	}
	p.about = strings.Join(about, ". ")
	p.x = linearTo(highest, func(v float64) string { return brief(three(v)) })
	if bound, ok := boundOf(r.Search[0].Bound); ok {
		box.Legend = []legendKey{{"c0 d1", "bound, " + plain(r.Search[0].Bound, 40)}}
		end := p.x.(linear).hi
		l := line{"c0 d1", []point{{0, bound, math.NaN(), math.NaN()}, {end, bound, math.NaN(), math.NaN()}}}
		p.lines = append(p.lines, l)
	}
	slices.SortStableFunc(p.tips, func(a, b tip) int { return cmp.Compare(a.x, b.x) })
	lowest, top := extent(append(slices.Clone(p.lines), measured))
	var isLog bool
	if p.y, isLog = times(lowest, top); isLog {
		p.yTitle += ", logarithmic"
	}
	box.Drawings = p.draw(halfSizes)
	return box
}

// boundOf is the time of a bound such as p99<10ms, in microseconds.
func boundOf(text string) (float64, bool) {
	_, limit, ok := strings.Cut(text, "<")
	d, err := time.ParseDuration(strings.TrimSpace(limit))
	return float64(d) / 1000, ok && err == nil && d > 0
}
