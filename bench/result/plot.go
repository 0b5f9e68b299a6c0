package result

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// plot is what is drawn, in figures. draw makes it a drawing of a size.
type plot struct {
	id, title, about string // about says what is to be seen, for those who do not see it too
	x, y             scale
	xTitle, yTitle   string
	marks            []float64 // of the x axis
	lines            []line
	dots             []dot
	tips             []tip // what each place of the x axis says when it is pointed at
}

// point of a line. With several rounds, lo and hi are the ends of its spread.
type point struct{ x, y, lo, hi float64 }

// line is drawn in the style of a class.
type line struct {
	class  string
	points []point
}

// dot is a single figure.
type dot struct {
	class, label string
	x, y         float64
	cross        bool
}

// tip is a text for the places around x.
type tip struct {
	x    float64
	text string
}

// drawing is a plot in a size, in the units of its viewBox: what the template writes.
type drawing struct {
	ID, Title, About    string
	Class               string // which screens it is for
	W, H                int
	Left, Right         float64
	Top, Bottom         float64
	XTicks, YTicks      []drawnTick
	XTitle, YTitle      string
	Marks               []float64
	Bands, Lines        []drawnPath
	Dots                []drawnDot
	Tips                []drawnTip
	XTitleAt, TickLabel float64
	Deep                float64 // from the top to the bottom
}

type drawnTick struct {
	At    float64
	Label string
	End   bool // at the right end: the label ends there
}

type drawnPath struct{ Class, D string }

type drawnDot struct {
	Class, Label  string
	X, Y          float64
	TextX, TextY  float64
	Anchor, Cross string
}

type drawnTip struct {
	X, W float64
	Text string
}

// size is one of those that a plot is drawn in.
type size struct {
	class string
	w, h  int
	tips  bool
}

// Sizes. Text keeps its height on a phone because a plot is drawn once more for it, not scaled.
var (
	wholeSizes = []size{{"wide", 1000, 380, true}, {"narrow", 340, 300, false}}
	halfSizes  = []size{{"wide", 500, 280, true}, {"narrow", 340, 260, false}}
)

// Room around a plot for its labels.
const (
	roomLeft   = 66
	roomRight  = 14
	roomTop    = 28
	roomBottom = 44
)

func (p *plot) draw(sizes []size) (ds []drawing) {
	for _, s := range sizes {
		ds = append(ds, p.drawAs(s))
	}
	return ds
}

func (p *plot) drawAs(s size) drawing {
	d := drawing{
		ID: p.id + "-" + s.class, Title: p.title, About: p.about, Class: s.class, W: s.w, H: s.h,
		Left: roomLeft, Right: float64(s.w - roomRight), Top: roomTop, Bottom: float64(s.h - roomBottom), XTitle: p.xTitle, YTitle: p.yTitle,
	}
	d.XTitleAt, d.TickLabel, d.Deep = d.Bottom+36, d.Bottom+17, d.Bottom-d.Top
	x := func(v float64) float64 { return d.Left + p.x.at(v)*(d.Right-d.Left) }
	y := func(v float64) float64 { return d.Bottom - p.y.at(v)*(d.Bottom-d.Top) }
	last := math.Inf(-1)
	for _, t := range p.x.ticks((s.w - roomLeft) / 80) {
		at := tenth(x(t.value))
		half := 7 * float64(len(t.label)) / 2
		end := at+half > float64(s.w) // no room to stand in the middle
		left := at - half
		if end {
			left -= half
		}
		if left < last { // its label would run into the one before
			continue
		}
		last = at + half + 8
		d.XTicks = append(d.XTicks, drawnTick{at, t.label, end})
	}
	for _, t := range p.y.ticks(max(3, (s.h-roomTop-roomBottom)/34)) {
		d.YTicks = append(d.YTicks, drawnTick{At: tenth(y(t.value)), Label: t.label})
	}
	for _, m := range p.marks {
		d.Marks = append(d.Marks, tenth(x(m)))
	}
	for _, l := range p.lines {
		if band := bandPath(l.points, x, y); band != "" {
			d.Bands = append(d.Bands, drawnPath{l.class, band})
		}
	}
	for _, l := range p.lines {
		d.Lines = append(d.Lines, drawnPath{l.class, linePath(l.points, x, y)})
	}
	d.mark(p.dots, x, y)
	if s.tips {
		for i, t := range p.tips {
			from, to := d.Left, d.Right
			if i > 0 {
				from = (x(p.tips[i-1].x) + x(t.x)) / 2
			}
			if i < len(p.tips)-1 {
				to = (x(t.x) + x(p.tips[i+1].x)) / 2
			}
			d.Tips = append(d.Tips, drawnTip{tenth(from), tenth(max(to-from, 0.1)), t.text})
		}
	}
	return d
}

// box is where a label stands.
type box struct{ left, right, top, bottom float64 }

func (b box) meets(o box) bool {
	return b.left < o.right && o.left < b.right && b.top < o.bottom && o.top < b.bottom
}

// mark draws dots, with those labels that find room.
func (d *drawing) mark(dots []dot, x, y func(float64) float64) {
	var taken []box
	for _, dot := range dots {
		o := drawnDot{Class: dot.class, X: tenth(x(dot.x)), Y: tenth(y(dot.y)), Anchor: "middle"}
		if dot.cross {
			o.Cross = fmt.Sprintf("M%s %sl8 8m0 -8l-8 8", coordinate(o.X-4), coordinate(o.Y-4))
		}
		half := 3.8 * float64(len(dot.label))
		o.TextX, o.TextY = o.X, o.Y-9
		if o.X+half > d.Right+roomRight {
			o.Anchor, o.TextX = "end", d.Right+roomRight-2
		}
		if o.TextY < d.Top+4 {
			o.TextY = o.Y + 20
		}
		at := box{o.TextX - half, o.TextX + half, o.TextY - 13, o.TextY + 4}
		if o.Anchor == "end" {
			at = box{o.TextX - 2*half, o.TextX, o.TextY - 13, o.TextY + 4}
		}
		if at.left > d.Left && !slices.ContainsFunc(taken, at.meets) {
			o.Label = dot.label
			taken = append(taken, at)
		}
		d.Dots = append(d.Dots, o)
	}
}

func tenth(v float64) float64 { return math.Round(v*10) / 10 }

func coordinate(v float64) string { return strconv.FormatFloat(tenth(v), 'f', -1, 64) }

// linePath draws a line that has gaps where nothing is known. A lone point is a line of no length, whose round ends make
// it a dot.
func linePath(ps []point, x, y func(float64) float64) string {
	var b strings.Builder
	pen := false
	for _, p := range ps {
		if math.IsNaN(p.y) {
			pen = false
			continue
		}
		at := coordinate(x(p.x)) + " " + coordinate(y(p.y))
		if !pen {
			b.WriteString("M" + at)
		}
		b.WriteString("L" + at)
		pen = true
	}
	return b.String()
}

// bandPath draws the spread around a line.
func bandPath(ps []point, x, y func(float64) float64) string {
	var b strings.Builder
	for from := 0; from < len(ps); {
		if math.IsNaN(ps[from].lo) {
			from++
			continue
		}
		to := from
		for to < len(ps) && !math.IsNaN(ps[to].lo) {
			to++
		}
		for i := from; i < to; i++ {
			b.WriteString(pick(i == from, "M", "L") + coordinate(x(ps[i].x)) + " " + coordinate(y(ps[i].hi)))
		}
		for i := to - 1; i >= from; i-- {
			b.WriteString("L" + coordinate(x(ps[i].x)) + " " + coordinate(y(ps[i].lo)))
		}
		b.WriteString("Z")
		from = to
	}
	return b.String()
}

func pick(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

// extent is the lowest figure above 0 and the highest of some lines.
func extent(ls []line) (lowest, highest float64) {
	lowest = math.Inf(1)
	for _, l := range ls {
		for _, p := range l.points {
			for _, v := range []float64{p.y, p.lo, p.hi} {
				if !math.IsNaN(v) {
					highest = max(highest, v)
					if v > 0 {
						lowest = min(lowest, v)
					}
				}
			}
		}
	}
	return lowest, highest
}

// lineClass is the colour and the dashes of the i-th of several lines: eight of each, combined anew after eight.
func lineClass(i int) string { return fmt.Sprintf("c%d d%d", i%8, (i+i/8)%8) }
