package result

import (
	"fmt"
	"strings"
)

// barPlot has a bar for each name, as long as its median, and a dot for each round.
type barPlot struct {
	id, title, about string
	bars             []bar
	hi               float64
}

type bar struct {
	class, name, value string
	spread             Spread
	rounds             []float64
}

// drawnBars are the bars in a size.
type drawnBars struct {
	ID, Title, About, Class string
	W, H                    int
	Bars                    []drawnBar
}

type drawnBar struct {
	Class, Name, Value          string
	X, NameY, ValueY, Y, W      float64
	HasSpread                   bool
	SpreadX, SpreadW, SpreadTop float64
	Rounds                      []float64
}

// Measures of a row of bars.
const (
	barRow = 62
	barTop = 36 // where the bar begins below its name and value; page.html says how high it is
)

var barSizes = []size{{"wide", 350, 0, false}, {"narrow", 340, 0, false}}

// Drawings draws the bars for a desk and for a phone.
func (p *barPlot) Drawings() (ds []drawnBars) {
	for _, s := range barSizes {
		d := drawnBars{ID: p.id + "-" + s.class, Title: p.title, About: p.about, Class: s.class, W: s.w, H: barRow*len(p.bars) + 4}
		across := float64(s.w - 4)
		for i, b := range p.bars {
			y := float64(i * barRow)
			o := drawnBar{
				Class: b.class, Name: b.name, Value: b.value, X: 2, NameY: y + 14, ValueY: y + 30, Y: y + barTop,
				W: tenth(across * b.spread.Median / p.hi), HasSpread: len(b.rounds) > 1, SpreadTop: y + barTop + 3,
			}
			o.SpreadX = tenth(o.X + across*b.spread.Min/p.hi)
			o.SpreadW = tenth(across * (b.spread.Max - b.spread.Min) / p.hi)
			for _, v := range b.rounds {
				o.Rounds = append(o.Rounds, tenth(o.X+across*v/p.hi))
			}
			d.Bars = append(d.Bars, o)
		}
		ds = append(ds, d)
	}
	return ds
}

// barBox shows one figure of all that are compared as bars.
func (c *Comparison) barBox(key, title string) *figureBox {
	f := figureOf(key)
	p := &barPlot{id: "bars-" + strings.Map(onlyLetters, key), title: title}
	box := &figureBox{Title: title, Bars: p, Numbers: numbers{Head: []string{"", "median", "min", "max"}}}
	var about []string
	for i, g := range c.groups {
		v := c.Compared[i].figure(key)
		values, ok := g.values(f)
		if v == nil || !ok {
			continue
		}
		text := withSpread(point{y: v.Median, lo: v.Min, hi: v.Max}, f.show)
		p.bars = append(p.bars, bar{lineClass(i), plain(g.label(), 44), text, v.Spread, values})
		p.hi = max(p.hi, v.Max)
		about = append(about, g.label()+": "+text)
		box.Numbers.Rows = append(box.Numbers.Rows, []string{g.label(), f.show(v.Median), f.show(v.Min), f.show(v.Max)})
	}
	if len(p.bars) == 0 || p.hi < leastDivisor {
		return nil
	}
	p.about = strings.Join(about, ". ")
	box.Caption = fmt.Sprintf("%s is better.", pick(f.better == Higher, "Longer", "Shorter"))
	if !c.single() {
		box.Caption += " A bar is the median of the rounds, the frame within reaches from the lowest to the highest, each stroke is a round."
	}
	return box
}

func onlyLetters(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
		return r
	}
	return -1
}

// figureOf is one of figures.
func figureOf(key string) figure {
	for _, f := range figures {
		if f.key == key {
			return f
		}
	}
	panic("BUG: no figure " + key)
}
