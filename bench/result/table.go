package result

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/width"
)

// table aligns cells. The first column is text, the others are figures; the last may be text as well.
type table struct {
	rows     [][]string
	lastText bool
}

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// write indents each row by two.
func (t *table) write(b *bytes.Buffer) {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], textWidth(cell))
		}
	}
	for _, row := range t.rows {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-textWidth(cell))
			if i == 0 || t.lastText && i == len(widths)-1 {
				line.WriteString("  " + cell + pad)
			} else {
				line.WriteString("  " + pad + cell)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// textWidth is how many columns of a terminal a text takes: Unicode TR 11.
func textWidth(text string) (n int) {
	for _, c := range text {
		n++
		if c >= 0x1100 {
			if kind := width.LookupRune(c).Kind(); kind == width.EastAsianWide || kind == width.EastAsianFullwidth {
				n++
			}
		}
	}
	return n
}

// Bounds of what a table shows of long lists; the JSON form has all.
const (
	shownErrors  = 5
	shownAnswers = 12
	shownTries   = 20
	shownSteps   = 20
	shownNotes   = 10
	shownText    = 100
)

// WriteTable writes what a reader at a terminal wants to know, as one screen.
func (r *Result) WriteTable(w io.Writer) error {
	b := new(bytes.Buffer)
	fmt.Fprintf(b, "\n%s: %s %s\n", plain(r.Name, shownText), plain(r.Kind, 20), plain(r.Target, shownText))
	fmt.Fprintf(b, "%s%s\n\n", r.Load.String(), r.around())
	head := table{}
	for _, f := range r.facts() {
		head.rows = append(head.rows, []string{f.name + strings.Repeat(" ", 8-len(f.name)) + "  " + f.text})
	}
	head.write(b)
	b.WriteByte('\n')
	r.writeLatency(b)
	r.writeSteps(b)
	r.writeSearch(b)
	if notes := r.Notes; len(notes) > 0 {
		b.WriteByte('\n')
		for i, n := range notes {
			if i == shownNotes {
				fmt.Fprintf(b, "note: %d notes more, in the JSON form\n", len(notes)-shownNotes)
				break
			}
			fmt.Fprintf(b, "note: %s\n", plain(n, 400))
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// around tells what else was asked for.
func (r *Result) around() string {
	s := ""
	if r.Load.Warmup > 0 {
		s += ", after " + seconds(r.Load.Warmup) + " of warm-up"
	}
	if r.Load.Timeout > 0 {
		s += ", time-out " + seconds(r.Load.Timeout)
	}
	return s
}

// fact is a line of the table, and a row of the page.
type fact struct{ name, text string }

func (r *Result) facts() []fact {
	rate := three(r.Rate) + " items/s"
	if wanted := r.wanted(); wanted > 0 {
		rate += fmt.Sprintf(", of %s requests/s wanted %s came", three(wanted), percent(float64(r.Requests)/(wanted*r.Seconds)))
	}
	items := fmt.Sprintf("%s in %s", Count(r.Items), seconds(r.Seconds))
	if r.Items != r.Requests {
		items = fmt.Sprintf("%s by %s in %s", Count(r.Items), plural(r.Requests, "request"), seconds(r.Seconds))
	}
	if r.Bytes > 0 && r.Seconds > 0 {
		items += ", " + Bytes(float64(r.Bytes)/r.Seconds) + "/s both ways"
	}
	facts := []fact{{"rate", rate}, {"items", items}}
	if len(r.Answers) > 0 {
		facts = append(facts, fact{"answers", r.answersText()})
	}
	facts = append(facts, fact{"failed", r.failedText()})
	facts = append(facts, fact{"harness", r.harnessText()})
	if s := r.Server; s != nil {
		facts = append(facts, fact{"server", ServerText(s, "an item")})
	}
	facts = append(facts, fact{"machine", r.machineText()})
	if d := r.Machine.Disk; d != nil {
		facts = append(facts, fact{"disk", d.String()})
	}
	return facts
}

// wanted is the mean rate of the plan over the time measured, 0 in a closed loop.
func (r *Result) wanted() float64 {
	sum, n := 0.0, 0.0
	for _, s := range r.Load.Stages {
		sum += (s.From + s.To) / 2 * s.Seconds
		n += s.Seconds
	}
	if n < 1e-3 || r.Seconds < 1e-3 {
		return 0
	}
	return sum / n
}

func (r *Result) answersText() string {
	var parts []string
	for i, a := range r.Answers {
		if i == shownAnswers {
			parts = append(parts, fmt.Sprintf("and %d sorts more", len(r.Answers)-shownAnswers))
			break
		}
		parts = append(parts, fmt.Sprintf("%s %d: %s", plain(a.Kind, 20), a.Code, Count(a.Count)))
	}
	return strings.Join(parts, ", ")
}

func (r *Result) failedText() string {
	if r.Failed == 0 {
		return "0"
	}
	text := fmt.Sprintf("%s (%s)", Count(r.Failed), percent(float64(r.Failed)/float64(r.Failed+r.Requests)))
	for i, e := range r.errorsByCount() {
		if i == shownErrors {
			text += fmt.Sprintf("; and %d sorts more", len(r.Errors)-shownErrors)
			break
		}
		text += fmt.Sprintf("; %s × %s", Count(e.count), plain(e.text, 80))
	}
	return text
}

// failure is an error and how often it came.
type failure struct {
	text  string
	count int64
}

func (r *Result) errorsByCount() (es []failure) {
	for _, text := range slices.Sorted(maps.Keys(r.Errors)) {
		es = append(es, failure{text, r.Errors[text]})
	}
	slices.SortStableFunc(es, func(a, b failure) int { return cmp.Compare(b.count, a.count) })
	return es
}

func (r *Result) harnessText() string {
	text := HarnessText(&r.Harness, r.Server, "an item")
	if late, ok := r.Lateness.At(99); ok {
		text += fmt.Sprintf("; sent late by %s at p99", Micros(late))
	}
	return text
}

// HarnessText says what a harness used of the machine, of what it and the server used together, and by "an item", or what
// else is counted. The server is nil where its process is not known.
func HarnessText(h, server *CPU, item string) string {
	if !h.measured() {
		return "CPU time is measured on Linux only"
	}
	text := fmt.Sprintf("%s cores, %s of the machine", three(h.Cores), percent(h.Share))
	if share, ok := harnessShare(h, server); ok {
		text += fmt.Sprintf(", %s of what it and the server used", percent(share))
	}
	if h.PerItem > 0 {
		text += ", " + Micros(h.PerItem) + " " + item
	}
	return text + memoryText(h)
}

// measured reports whether the system told anything: even an idle process has memory.
func (u *CPU) measured() bool { return u.Seconds > 0 || u.PeakRSS > 0 }

// HarnessShare is the harness's part of the CPU that it and the server used, if that is known.
func (r *Result) HarnessShare() (float64, bool) { return harnessShare(&r.Harness, r.Server) }

func harnessShare(h, server *CPU) (float64, bool) {
	if server == nil || h.Seconds+server.Seconds <= 0 {
		return 0, false
	}
	return h.Seconds / (h.Seconds + server.Seconds), true
}

// ServerText says what a server used, also by "an item", or what else is counted.
func ServerText(s *CPU, item string) string {
	text := fmt.Sprintf("%s cores", three(s.Cores))
	if s.PerItem > 0 {
		text += ", " + Micros(s.PerItem) + " " + item
	}
	text += memoryText(s)
	if s.Process != "" {
		text += " (" + plain(s.Process, 40)
		if s.Involved > 1 {
			text += fmt.Sprintf(" and %d more", s.Involved-1)
		}
		text += ")"
	}
	return text
}

func memoryText(u *CPU) string {
	if u.PeakRSS == 0 {
		return ""
	}
	return ", " + Bytes(float64(u.PeakRSS)) + " of memory at its peak"
}

func (r *Result) machineText() string {
	m := &r.Machine
	parts := []string{plural(int64(m.Cores), "core")}
	if m.CPU != "" {
		parts[0] += " of " + plain(m.CPU, 60)
	}
	if m.Memory > 0 {
		parts = append(parts, Bytes(float64(m.Memory)))
	}
	for _, s := range []string{m.System, m.Carom} {
		if s != "" {
			parts = append(parts, plain(s, 60))
		}
	}
	return strings.Join(parts, ", ")
}

// shownPercentiles are those of a table's columns.
var shownPercentiles = []float64{50, 90, 99, 99.9, 99.99, 100}

// latencyRow is a distribution, and what its times are.
type latencyRow struct {
	name, about string
	d           *Distribution
}

func (r *Result) latencyRows() []latencyRow {
	if r.Load.Mode == "closed" {
		return []latencyRow{{"latency", "from the sending: in a closed loop a slow server is asked less, which hides how long others would have waited", &r.Latency}}
	}
	rows := []latencyRow{{"latency", "from the moment at which the plan wanted the request sent", &r.Latency}}
	if r.Service.Count > 0 {
		rows = append(rows, latencyRow{"service", "from the sending, without the wait for a free connection", &r.Service})
	}
	if r.Lateness.Count > 0 {
		rows = append(rows, latencyRow{"lateness", "of the harness, where a connection was free", &r.Lateness})
	}
	return rows
}

func (r *Result) writeLatency(b *bytes.Buffer) {
	if r.Latency.Count == 0 {
		b.WriteString("  no request was answered\n")
		return
	}
	t, about := table{}, table{}
	t.row(append([]string{""}, append(mapSlice(shownPercentiles, percentileName), "mean")...)...)
	for _, row := range r.latencyRows() {
		cells := []string{row.name}
		for _, p := range shownPercentiles {
			cells = append(cells, cell(row.d, p))
		}
		t.row(append(cells, Micros(row.d.Mean))...)
		about.row(row.name + strings.Repeat(" ", 10-len(row.name)) + row.about)
	}
	t.write(b)
	b.WriteByte('\n')
	about.write(b)
}

// cell is a percentile, or a dash if there are too few times for it.
func cell(d *Distribution, p float64) string {
	v, ok := d.At(p)
	if !ok {
		return "–"
	}
	return Micros(v)
}

// stepsAbout says what the figures of steps are.
const stepsAbout = "reached by the answers that came while a step lasted; latency and failures are of the requests that were due in it"

// steps are the first of the steps, with their figures.
func (r *Result) steps(most int) numbers {
	n := numbers{Head: []string{"step", "reached", "p50", "p99", "p99.9", "failed"}}
	for i := range r.Steps {
		if i == most {
			n.Rows = append(n.Rows, []string{fmt.Sprintf("and %d more, in the JSON form", len(r.Steps)-most)})
			break
		}
		s := &r.Steps[i]
		n.Rows = append(n.Rows, []string{s.String(), three(s.Reached) + "/s", cell(&s.Latency, 50), cell(&s.Latency, 99), cell(&s.Latency, 99.9), Count(s.Failed)})
	}
	return n
}

func (r *Result) writeSteps(b *bytes.Buffer) {
	if len(r.Steps) == 0 {
		return
	}
	n := r.steps(shownSteps)
	t := table{rows: append([][]string{n.Head}, n.Rows...)}
	b.WriteByte('\n')
	t.write(b)
	b.WriteString("\n  " + stepsAbout + "\n")
}

func (r *Result) writeSearch(b *bytes.Buffer) {
	if len(r.Search) == 0 {
		return
	}
	fmt.Fprintf(b, "\n  %s\n", r.searchText())
	t := table{}
	t.row(tryHead...)
	for i := range r.Search {
		if i == shownTries {
			t.row(fmt.Sprintf("and %d more", len(r.Search)-shownTries))
			break
		}
		t.row(r.Search[i].cells()...)
	}
	t.write(b)
	b.WriteString("\n  " + triesAbout + "\n")
}

// triesAbout says what the figures of tries are.
const triesAbout = "late: the harness itself, at the bound's percentile, where a connection was free; harness: its part of the CPU that it and the server used"

var tryHead = []string{"wanted", "reached", "measured", "late", "harness", "failed", "held"}

// cells are a try's figures, below tryHead.
func (t *Try) cells() []string {
	late, harness := "–", "–"
	if t.Lateness > 0 {
		late = Micros(t.Lateness)
	}
	if t.Harness > 0 {
		harness = percent(t.Harness)
	}
	return []string{three(t.Wanted) + "/s", three(t.Reached) + "/s", Micros(t.Measured), late, harness, Count(t.Failed), pick(t.Held, "yes", "no")}
}

func (r *Result) searchText() string {
	best := -1.0
	for _, s := range r.Search {
		if s.Held {
			best = max(best, s.Wanted)
		}
	}
	bound := plain(r.Search[0].Bound, 40)
	if best < 0 {
		return fmt.Sprintf("search for the highest rate with %s: no rate held it", bound)
	}
	return fmt.Sprintf("search for the highest rate with %s: %s requests/s", bound, three(best))
}

// WriteTable writes what is compared: of several rounds each figure with its spread, one below the other; of one round
// each one row.
func (c *Comparison) WriteTable(w io.Writer) error {
	b := new(bytes.Buffer)
	if c.single() {
		c.writeRows(b)
	} else {
		c.writeSpreads(b)
	}
	b.WriteByte('\n')
	for _, line := range append(c.reading(), mapSlice(c.Warnings, func(s string) string { return "note: " + s })...) {
		b.WriteString(line + "\n")
	}
	_, err := w.Write(b.Bytes())
	return err
}

// single reports whether nothing has a spread.
func (c *Comparison) single() bool {
	return !slices.ContainsFunc(c.Compared, func(x Compared) bool { return x.Rounds > 1 })
}

func (c *Comparison) writeRows(b *bytes.Buffer) {
	t := table{}
	head := []string{""}
	for _, f := range figures {
		head = append(head, f.brief)
	}
	t.row(append(head, "failed")...)
	for i := range c.Compared {
		x := &c.Compared[i]
		values, ratios, some := []string{plain(x.Name, 40)}, []string{"  ratio"}, false
		for _, f := range figures {
			value, ratio := "–", ""
			if v := x.figure(f.key); v != nil {
				value = f.show(v.Median)
				if v.Ratio != nil {
					ratio, some = ratioText(v.Ratio.Median), true
				}
			}
			values, ratios = append(values, value), append(ratios, ratio)
		}
		t.row(append(values, Count(x.Failed))...)
		if some {
			t.row(ratios...)
		}
	}
	b.WriteByte('\n')
	t.write(b)
}

func (c *Comparison) writeSpreads(b *bytes.Buffer) {
	for _, f := range figures {
		t := table{lastText: true}
		t.row(f.title, "median", "min", "max", "ratio", "(min–max)", "")
		for i := range c.Compared {
			x := &c.Compared[i]
			v := x.figure(f.key)
			if v == nil {
				continue
			}
			t.row(append([]string{"  " + plain(x.Name, 40), f.show(v.Median), f.show(v.Min), f.show(v.Max)}, v.Ratio.cells()...)...)
		}
		if len(t.rows) > 1 {
			b.WriteByte('\n')
			t.write(b)
		}
	}
	b.WriteByte('\n')
	for i := range c.Compared {
		x := &c.Compared[i]
		fmt.Fprintf(b, "%s: %s, %s\n", plain(x.Name, 40), plural(int64(x.Rounds), "round"), plural(x.Failed, "failure"))
	}
}

// cells are the ratio, its ends, and what is to be thought of it.
func (r *Ratio) cells() []string {
	if r == nil {
		return []string{"", "", ""}
	}
	return []string{ratioText(r.Median), "(" + ratioText(r.Min) + "–" + ratioText(r.Max) + ")", string(r.Verdict)}
}

func ratioText(v float64) string { return fmt.Sprintf("%.2f", v) }

// reading says how the ratios are to be read.
func (c *Comparison) reading() []string {
	if len(c.Compared) < 2 {
		return nil
	}
	lines := []string{fmt.Sprintf("ratios are to %s", plain(c.Compared[0].Name, 40))}
	least, called := c.Compared[0].Rounds, 0.0
	for _, x := range c.Compared {
		least = min(least, x.Rounds)
		for _, f := range x.Figures {
			if f.Ratio != nil {
				called = max(called, f.Ratio.Chance)
			}
		}
	}
	if least < minRounds {
		lines = append(lines, fmt.Sprintf("no difference is called one of fewer than %d rounds each: run them again, alternating, under the same names", minRounds))
	}
	if called > 0 {
		lines = append(lines, fmt.Sprintf("higher and lower are called where the spreads do not overlap, which of two that are the same happens once in %s figures", Count(int64(1/called+0.5))))
	}
	return lines
}
