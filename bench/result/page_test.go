package result

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// written is a page, and how many plots a reader sees on it.
type written struct {
	html  []byte
	plots int
}

// hostileResult is full of what would change a page if it got there as it is.
func hostileResult(tb testing.TB) *Result {
	r := openLoop(tb)
	const markup = `</title></svg></style><script>alert(1)</script><img src=//example.com/x onerror=alert(1)><b><i>"'` + "`{{.Title}}\u202e"
	r.Name, r.Target, r.Kind = markup, "javascript:alert(1)"+markup, "http"
	r.Notes = []string{markup, strings.Repeat("w", 4000)}
	r.Errors = map[string]int64{markup: 1, strings.Repeat("e", 4000): 2}
	r.Options = map[string]string{markup: markup}
	r.Answers = append(r.Answers, Answers{markup, 200, 1})
	r.Search = []Try{{Wanted: 1000, Bound: markup, Measured: 10, Held: true}, {Wanted: 1e7, Bound: markup, Measured: 1e9}}
	r.Server.Process, r.Machine.CPU, r.Machine.System, r.Machine.Carom = markup, markup, markup, markup
	r.Machine.Disk = &Disk{FileSystem: markup, Sync: maxFigure}
	return r
}

// pages are one of each sort.
func pages(tb testing.TB) map[string]written {
	all := map[string]written{}
	add := func(name string, plots int, results ...*Result) {
		var b bytes.Buffer
		if err := WritePage(&b, results...); err != nil {
			tb.Fatal(err)
		}
		all[name] = written{b.Bytes(), plots}
	}
	add("one", 5, openLoop(tb))
	add("closed", 4, closedLoop(tb))
	add("search", 6, searched(tb))
	add("steps", 5, stepped(tb))
	add("rounds", 11, rounds(tb)...)
	add("pair", 11, openLoop(tb), closedLoop(tb))
	add("hostile", 12, hostileResult(tb), openLoop(tb))
	ramp := sample(tb, sampled{name: "a ramp of three minutes", kind: "http", seed: 5, seconds: 180, rate: 30_000, able: 21_000, median: 700, sigma: 0.4, server: 46, ramp: true})
	add("ramp", 5, ramp)
	return all
}

func TestPages(t *testing.T) {
	for name, p := range pages(t) {
		text := string(p.html)
		if n := strings.Count(text, `<svg class="plot`); n != 2*p.plots {
			t.Errorf("%s: %d drawings, want %d in two sizes", name, n, p.plots)
		}
		for _, bad := range []string{"NaN", "Inf", "ZgotmplZ", "<script", "<img", "src=", "url(", "@import", "http-equiv=\"refresh\"", "{{"} {
			if name == "hostile" && bad == "{{" || bad == "src=" && name == "hostile" {
				continue // as text, which it is
			}
			if strings.Contains(text, bad) {
				t.Errorf("%s: the page holds %q", name, bad)
			}
		}
		wellFormed(t, name, text)
		disk := strings.Contains(text, `<th scope="row">disk</th>`)
		if disk == (name == "closed") || name == "one" && !strings.Contains(text, "xfs, a synced write of 4 KiB takes 412 µs") {
			t.Errorf("%s: a row of the disk: %t", name, disk)
		}
		steps := strings.Contains(text, "<h2>Steps</h2>") && strings.Contains(text, `<th scope="row">12,000 to 18,000/s for 20 s</th>`)
		if marks := strings.Count(text, `<path class="step"`); steps != (name == "steps") || steps != (marks == 2*4*2) {
			t.Errorf("%s: a table of steps: %t, %d marks", name, steps, marks)
		}
		if err := os.WriteFile(filepath.Join(t.ArtifactDir(), name+".html"), p.html, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// wellFormed checks that each plot is XML by itself, so that it can be cut out and used elsewhere.
func wellFormed(t *testing.T, name, text string) {
	t.Helper()
	for part := range strings.SplitSeq(text, `<svg class="plot`) {
		if !strings.HasPrefix(part, " ") {
			continue
		}
		svg := `<svg class="plot` + part[:strings.Index(part, "</svg>")+6]
		if err := xml.Unmarshal([]byte(svg), new(struct{ XMLName xml.Name })); err != nil {
			t.Errorf("%s: %v in %.200s", name, err, svg)
		}
	}
}

// TestPagesAreBounded draws what a file may say at most, and at least.
func TestPagesAreBounded(t *testing.T) {
	empty := &Result{Load: Load{Mode: "open"}}
	most := &Result{Name: "most", Load: Load{Mode: "open", Stages: []Stage{{maxFigure, maxFigure, maxFigure}}}, Seconds: maxFigure, Requests: maxFigure, Items: 1, Failed: maxFigure, Rate: maxFigure, Server: &CPU{PerItem: maxFigure, PeakRSS: maxFigure}}
	for i := range 1000 {
		most.Series = append(most.Series, Point{At: float64(i) * 1e12, Wanted: maxFigure, Requests: maxFigure, P50: maxFigure, P99: maxFigure, Max: maxFigure, Harness: maxFigure, Server: maxFigure, Memory: maxFigure})
		most.Steps = append(most.Steps, Step{Stage: Stage{maxFigure, maxFigure, maxFigure}, Reached: maxFigure, Failed: maxFigure})
		most.Search = append(most.Search, Try{Wanted: maxFigure, Measured: maxFigure, Lateness: maxFigure, Harness: maxFigure})
		most.Latency.Percentiles = append(most.Latency.Percentiles, Percentile{float64(i) / 10, float64(i) * 1e12})
	}
	most.Latency.Count = maxFigure
	least := &Result{Name: "least", Load: Load{Mode: "closed"}, Rate: 5e-324, Latency: Distribution{Count: 1, Percentiles: []Percentile{{0, 5e-324}, {99.99999999999, 1e-300}}}}
	least.Series = []Point{{At: 0}, {At: 5e-324, Requests: 1, P50: 5e-324, P99: 5e-324, Max: 5e-324, Harness: 5e-324}}
	var many []*Result
	one := closedLoop(t)
	for i := range MaxResults {
		r := *one
		r.Name = fmt.Sprint(i % MaxCompared)
		many = append(many, &r)
	}
	for name, results := range map[string][]*Result{"empty": {empty}, "most": {most}, "least": {least}, "both": {least, most, empty}, "rounds of both": {most, most, most, least}, "many": many} {
		for _, r := range results[:1] {
			if err := r.check(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		var b bytes.Buffer
		if err := WritePage(&b, results...); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, bad := range []string{"NaN", "Inf", "e+", "ZgotmplZ"} {
			if i := strings.Index(b.String(), bad); i >= 0 {
				t.Errorf("%s: the page holds %q: %s", name, bad, b.String()[max(0, i-100):i+50])
			}
		}
		if b.Len() > 16<<20 {
			t.Errorf("%s: the page takes %d bytes", name, b.Len())
		}
		wellFormed(t, name, b.String())
	}
	if err := WritePage(&bytes.Buffer{}, append(many, many[0])...); err == nil {
		t.Error("more results than a page takes are drawn")
	}
}

func TestScales(t *testing.T) {
	numeral := func(v float64) string { return brief(three(v)) }
	for name, c := range map[string]struct {
		s    scale
		want string
	}{
		"from nothing": {linearTo(0, numeral), "0 0.2 0.4 0.6 0.8 1"},
		"rates":        {linearTo(21_300, numeral), "0 5,000 10,000 15,000 20,000 25,000"},
		"full":         {linearTo(100, numeral), "0 20 40 60 80 100"},
		"cores":        {linearTo(0.97, numeral), "0 0.2 0.4 0.6 0.8 1"},
		"decades":      {logTo(80, 410_000, func(v float64) string { return brief(Micros(v)) }), "100 µs 1 ms 10 ms 100 ms"},
		"a decade":     {logTo(700, 5200, func(v float64) string { return brief(Micros(v)) }), "500 µs 1 ms 2 ms 5 ms 10 ms"},
		"percentiles":  {percentiles{5.2}, "0 50 90 99 99.9 99.99 99.999"},
		"a minute":     {linear{hi: 60, label: clock, steps: timeSteps}, "0 15 s 30 s 45 s 60 s"},
		"an hour":      {linear{hi: 3600, label: clock, steps: timeSteps}, "0 15 min 30 min 45 min 1 h"},
	} {
		var got []string
		for _, tick := range c.s.ticks(5) {
			got = append(got, tick.label)
			if at := c.s.at(tick.value); !(at >= -0.001 && at <= 1.001) {
				t.Errorf("%s: %s stands at %g", name, tick.label, at)
			}
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
	}
	if p := (percentiles{5}); math.Abs(p.at(99)-0.4) > 1e-9 || p.at(100) != 1 {
		t.Errorf("99 stands at %g, 100 at %g", p.at(99), p.at(100))
	}
}
