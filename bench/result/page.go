package result

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
)

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// page is what page.html shows.
type page struct {
	Title, Lead string
	Notes       []string
	Tiles       []tile
	Short       []shortLine
	First       string   // what Short compares with
	Latency     *section // one result: its distributions
	Steps       *section // and those of its steps
	Ratios      *ratioTable
	Bars        []*figureBox
	Figures     []*figureBox
	Answers     []section
	Machines    section
	Machine     string
}

// tile is one of the figures that a reader looks for first.
type tile struct{ Name, Value, About string }

// shortLine is a comparison in words.
type shortLine struct {
	Class, Name string
	Parts       []shortPart
}

type shortPart struct{ Mood, Text string }

// section is a table under a title.
type section struct {
	Title, Caption string
	Numbers        numbers
	Class          string // text: its cells are sentences; said: its first cell too
}

// ratioTable has a row for each figure and name.
type ratioTable struct {
	Reading []string
	Names   []legendKey
	Rows    []ratioRow
}

type ratioRow struct {
	Title string
	Cells []ratioCell
}

type ratioCell struct {
	Value, Spread, Ratio, RatioSpread string
	Verdict                           Verdict
	Mood                              string // better, worse or none
}

// Bounds of a page.
const (
	pageRows     = 60  // of a table of answers, errors or options
	pageText     = 300 // characters of a text
	pageSearches = 8
)

// WritePage writes one page that needs nothing else: of one result what it came to, of several their comparison; those
// of one name are rounds of one thing.
func WritePage(w io.Writer, results ...*Result) error {
	c, err := Compare(results)
	if err != nil {
		return err
	}
	return c.WritePage(w)
}

// WritePage writes the comparison as one page that needs nothing else.
func (c *Comparison) WritePage(w io.Writer) error {
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, c.page()); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (c *Comparison) page() *page {
	first := c.groups[0].rounds[0]
	p := &page{Machine: first.machineText()}
	began := first.Began
	for _, r := range c.all() {
		if r.Began.Before(began) {
			began = r.Began
		}
	}
	when := ""
	if !began.IsZero() {
		when = ", " + began.UTC().Format("2 January 2006, 15:04 UTC")
	}
	if len(c.groups) == 1 {
		p.Title = c.groups[0].shownRounds()
		p.Lead = fmt.Sprintf("%s %s: %s%s%s", plain(first.Kind, 20), plain(first.Target, pageText), first.Load.String(), first.around(), when)
	} else {
		p.Title = strings.Join(mapSlice(c.groups[:min(len(c.groups), 4)], group.label), " · ")
		if n := len(c.groups) - 4; n > 0 {
			p.Title += fmt.Sprintf(" and %d more", n)
		}
		p.Lead = fmt.Sprintf("%d results compared. %s: %s%s%s", len(c.groups), plain(first.Kind, 20), first.Load.String(), first.around(), when)
	}
	p.Notes = c.notes()
	single := len(c.groups) == 1 && len(c.groups[0].rounds) == 1
	if single {
		p.Tiles = first.tiles()
		p.Latency, p.Steps = first.latencySection(), first.stepsSection()
	} else {
		p.Ratios = c.ratioTable()
		if len(c.groups) > 1 {
			p.Short, p.First = c.short(), c.groups[0].label()
		}
		for _, x := range []struct{ key, title string }{{"rate_per_s", "Items a second"}, {"p99_us", "Latency, p99"}, {"server_us_per_item", "Server's CPU an item"}} {
			if box := c.barBox(x.key, x.title); box != nil {
				p.Bars = append(p.Bars, box)
			}
		}
	}
	p.add(c.latencyBox())
	for _, box := range c.timeBoxes() {
		p.add(box)
	}
	p.addSearches(c)
	p.Answers, p.Machines = c.answers(), c.machines()
	return p
}

func (p *page) add(box *figureBox) {
	if box != nil {
		p.Figures = append(p.Figures, box)
	}
}

func (p *page) addSearches(c *Comparison) {
	n := 0
	for _, g := range c.groups {
		for i, r := range g.rounds {
			if len(r.Search) == 0 || n == pageSearches {
				continue
			}
			n++
			title := "Search for the highest rate"
			if len(c.groups) > 1 {
				title += ": " + g.label()
			}
			if len(g.rounds) > 1 {
				title += fmt.Sprintf(", round %d", i+1)
			}
			p.add(searchBox(fmt.Sprintf("search-%d", n), title, r))
		}
	}
}

func (c *Comparison) all() (all []*Result) {
	for _, g := range c.groups {
		all = append(all, g.rounds...)
	}
	return all
}

// notes are what the results say of themselves, and in what they differ.
func (c *Comparison) notes() (notes []string) {
	notes = append(notes, c.Warnings...)
	for _, g := range c.groups {
		for _, r := range g.rounds {
			for _, n := range r.Notes {
				text := plain(n, pageText)
				if len(c.groups) > 1 {
					text = g.label() + ": " + text
				}
				if !slices.Contains(notes, text) {
					notes = append(notes, text)
				}
				if len(notes) == pageRows {
					return append(notes, "and more, in the JSON form")
				}
			}
		}
	}
	return notes
}

func (r *Result) tiles() []tile {
	ts := []tile{{"Items a second", three(r.Rate), Count(r.Items) + " in " + seconds(r.Seconds)}}
	if w := r.wanted(); w > 0 {
		ts[0].About = percent(float64(r.Requests)/(w*r.Seconds)) + " of " + three(w) + " wanted"
	}
	for _, p := range []float64{50, 99, 99.9} {
		if v, ok := r.Latency.At(p); ok {
			ts = append(ts, tile{"Latency " + percentileName(p), Micros(v), fmt.Sprintf("%s of 100 took no longer", short(p))})
		}
	}
	failed := "of " + Count(r.Requests+r.Failed)
	if r.Failed > 0 {
		failed = percent(float64(r.Failed)/float64(r.Requests+r.Failed)) + " " + failed
	}
	ts = append(ts, tile{"Failed", Count(r.Failed), failed})
	if s := r.Server; s != nil {
		ts = append(ts, tile{"Server's CPU an item", Micros(s.PerItem), three(s.Cores) + " cores busy"})
		if s.PeakRSS > 0 {
			ts = append(ts, tile{"Server's memory", Bytes(float64(s.PeakRSS)), "resident, at its peak"})
		}
	}
	if !r.Harness.measured() {
		return ts
	}
	about := "of the machine's CPU"
	if share, ok := r.HarnessShare(); ok {
		about += ", " + percent(share) + " of what both used"
	}
	return append(ts, tile{"Harness", percent(r.Harness.Share), about})
}

func (r *Result) latencySection() *section {
	if r.Latency.Count == 0 {
		return nil
	}
	s := &section{Title: "Latency", Numbers: numbers{Head: append(append([]string{""}, mapSlice(shownPercentiles, percentileName)...), "mean", "times")}}
	for _, row := range r.latencyRows() {
		cells := []string{row.name}
		for _, p := range shownPercentiles {
			cells = append(cells, cell(row.d, p))
		}
		s.Numbers.Rows = append(s.Numbers.Rows, append(cells, Micros(row.d.Mean), Count(row.d.Count)))
		s.Caption += capital(row.name) + ": " + row.about + ". "
	}
	s.Caption += "A dash: too few times to tell."
	return s
}

func (r *Result) stepsSection() *section {
	if len(r.Steps) == 0 {
		return nil
	}
	return &section{Title: "Steps", Caption: capital(stepsAbout) + ". A dash: too few times to tell. Dotted lines part the steps in the plots over time.", Numbers: r.steps(pageRows)}
}

func (c *Comparison) ratioTable() *ratioTable {
	t := &ratioTable{Reading: mapSlice(c.reading(), func(s string) string { return capital(s) + "." })}
	for i, g := range c.groups {
		t.Names = append(t.Names, legendKey{Class: lineClass(i), Name: g.shownRounds()})
	}
	for _, f := range figures {
		row := ratioRow{Title: capital(f.title)}
		some := false
		for i := range c.Compared {
			cell := ratioCell{Value: "–"}
			if v := c.Compared[i].figure(f.key); v != nil {
				some = true
				cell.Value = f.show(v.Median)
				if v.Min != v.Max {
					cell.Spread = f.show(v.Min) + "–" + f.show(v.Max)
				}
				cell.ratio(f, v.Ratio)
			}
			row.Cells = append(row.Cells, cell)
		}
		if some {
			t.Rows = append(t.Rows, row)
		}
	}
	failed := ratioRow{Title: "Failed requests"}
	for _, x := range c.Compared {
		failed.Cells = append(failed.Cells, ratioCell{Value: Count(x.Failed)})
	}
	t.Rows = append(t.Rows, failed)
	return t
}

func (cell *ratioCell) ratio(f figure, r *Ratio) {
	if r == nil {
		return
	}
	cell.Ratio = "× " + ratioText(r.Median)
	if r.Min != r.Max {
		cell.RatioSpread = ratioText(r.Min) + "–" + ratioText(r.Max)
	}
	if r.Verdict != Few { // the reading below the table says it once
		cell.Verdict = r.Verdict
	}
	cell.Mood = moodOf(f, r.Verdict)
}

func moodOf(f figure, v Verdict) string {
	switch {
	case v != Higher && v != Lower || f.better == "":
		return "none"
	case v == f.better:
		return "better"
	}
	return "worse"
}

// short tells a comparison in words: rate, p99 and CPU of each to the first.
func (c *Comparison) short() (lines []shortLine) {
	for i := range c.Compared[1:] {
		x := &c.Compared[i+1]
		line := shortLine{Class: lineClass(i + 1), Name: c.groups[i+1].label()}
		for _, key := range []string{"rate_per_s", "p99_us", "server_us_per_item"} {
			v := x.figure(key)
			if v == nil || v.Ratio == nil {
				continue
			}
			f := figureOf(key)
			text := fmt.Sprintf("%s × %s", f.brief, ratioText(v.Ratio.Median))
			switch v.Ratio.Verdict {
			case Higher, Lower:
				text += fmt.Sprintf(" (%s–%s), %s", ratioText(v.Ratio.Min), ratioText(v.Ratio.Max), v.Ratio.Verdict)
			case Same:
				text += ", no difference beyond the spread"
			}
			line.Parts = append(line.Parts, shortPart{moodOf(f, v.Ratio.Verdict), text})
		}
		lines = append(lines, line)
	}
	return lines
}

// answers are the tables of answers and of errors.
func (c *Comparison) answers() (sections []section) {
	several := len(c.groups) > 1
	answers := section{Title: "Answers", Numbers: numbers{Head: []string{"asked for", "code", "answers"}}}
	failures := section{Title: "Failures", Class: "text said", Numbers: numbers{Head: []string{"what was said", "times"}}}
	if several {
		answers.Numbers.Head = append([]string{""}, answers.Numbers.Head...)
		failures.Numbers.Head = append([]string{""}, failures.Numbers.Head...)
	}
	add := func(s *section, g group, cells ...string) {
		if several {
			cells = append([]string{g.label()}, cells...)
		}
		switch n := len(s.Numbers.Rows); {
		case n < pageRows:
			s.Numbers.Rows = append(s.Numbers.Rows, cells)
		case n == pageRows:
			s.Caption = "There are more, in the JSON form."
		}
	}
	for _, g := range c.groups {
		counts, order := map[Answers]int64{}, []Answers{}
		errors := Result{Errors: map[string]int64{}}
		for _, r := range g.rounds {
			for _, a := range r.Answers {
				key := Answers{Kind: a.Kind, Code: a.Code}
				if _, ok := counts[key]; !ok {
					order = append(order, key)
				}
				counts[key] += a.Count
			}
			for text, n := range r.Errors {
				errors.Errors[text] += n
			}
		}
		for _, a := range order {
			add(&answers, g, plain(a.Kind, 40), fmt.Sprint(a.Code), Count(counts[a]))
		}
		for _, e := range errors.errorsByCount() {
			add(&failures, g, plain(e.text, pageText), Count(e.count))
		}
	}
	for _, s := range []section{answers, failures} {
		if len(s.Numbers.Rows) > 0 {
			sections = append(sections, s)
		}
	}
	return sections
}

// machines is the table of machines and options, a column for each name.
func (c *Comparison) machines() section {
	s := section{Title: "Machine and options", Class: "text", Numbers: numbers{Head: []string{""}}}
	for _, g := range c.groups {
		s.Numbers.Head = append(s.Numbers.Head, g.label())
	}
	row := func(title string, of func(*Result) string) {
		cells := []string{title}
		for _, g := range c.groups {
			var seen []string
			for _, r := range g.rounds {
				if text := of(r); text != "" && !slices.Contains(seen, text) && len(seen) < 5 {
					seen = append(seen, text)
				}
			}
			cells = append(cells, strings.Join(seen, "; "))
		}
		if slices.ContainsFunc(cells[1:], func(s string) bool { return s != "" }) {
			s.Numbers.Rows = append(s.Numbers.Rows, cells)
		}
	}
	row("target", func(r *Result) string { return plain(r.Target, pageText) })
	row("load", func(r *Result) string { return r.Load.String() + r.around() })
	row("measured", func(r *Result) string { return seconds(r.Seconds) })
	if c.single() { // the texts of all rounds would fill a screen, and their figures are above
		row("harness", func(r *Result) string { return r.harnessText() })
		row("server", func(r *Result) string {
			if r.Server == nil {
				return ""
			}
			return ServerText(r.Server, "an item")
		})
	}
	row("machine", func(r *Result) string { return r.machineText() })
	row("disk", func(r *Result) string { return r.Machine.Disk.String() })
	options := map[string]bool{}
	for _, r := range c.all() {
		for k := range r.Options {
			options[k] = true
		}
	}
	for i, k := range slices.Sorted(maps.Keys(options)) {
		if i == pageRows {
			s.Caption = "There are more options, in the JSON form."
			break
		}
		row(plain(k, 40), func(r *Result) string { return plain(r.Options[k], pageText) })
	}
	return s
}
