package result

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// Bounds of a result, far beyond those of any real one.
const (
	maxPoints      = 100_000 // a day has 86,400 seconds
	maxList        = 1000    // stages, answers, errors, tries, notes, options
	maxPercentiles = 2000
	maxText        = 4096 // bytes of any text but hdr
	maxHDR         = 8 << 20
	maxFigure      = 1e15
)

// check tells the first thing that is no figure, too long, or at odds with another.
func (r *Result) check() error {
	c := checker{}
	c.text("name", r.Name)
	c.text("kind", r.Kind)
	c.text("target", r.Target)
	if y := r.Began.Year(); y < 1 || y > 9999 {
		c.fail("began", "a year has four digits")
	}
	c.figure("seconds", r.Seconds)
	c.load(&r.Load)
	c.length("options", len(r.Options), maxList)
	for k, v := range r.Options {
		c.text("options", k)
		c.text("options", v)
	}
	c.count("requests", r.Requests)
	c.count("items", r.Items)
	c.count("bytes", r.Bytes)
	c.count("failed", r.Failed)
	c.figure("rate", r.Rate)
	c.length("answers", len(r.Answers), maxList)
	for _, a := range r.Answers {
		c.text("answers.kind", a.Kind)
		c.count("answers.code", int64(a.Code))
		c.count("answers.count", a.Count)
	}
	c.length("errors", len(r.Errors), maxList)
	for k, n := range r.Errors {
		c.text("errors", k)
		c.count("errors", n)
	}
	c.distribution("latency", &r.Latency)
	c.distribution("service", &r.Service)
	c.distribution("lateness", &r.Lateness)
	c.series(r.Series)
	c.length("steps", len(r.Steps), maxList)
	for i := range r.Steps {
		s := &r.Steps[i]
		c.stage("steps", &s.Stage)
		c.figure("steps.reached", s.Reached)
		c.count("steps.failed", s.Failed)
		c.distribution("steps.latency", &s.Latency)
	}
	c.length("search", len(r.Search), maxList)
	for _, t := range r.Search {
		c.figure("search.wanted", t.Wanted)
		c.figure("search.reached", t.Reached)
		c.text("search.bound", t.Bound)
		c.figure("search.measured_us", t.Measured)
		c.figure("search.lateness_us", t.Lateness)
		c.figure("search.harness_share", t.Harness)
		c.count("search.failed", t.Failed)
	}
	c.cpu("harness", &r.Harness)
	if r.Server != nil {
		c.cpu("server", r.Server)
	}
	c.text("machine.cpu", r.Machine.CPU)
	c.text("machine.system", r.Machine.System)
	c.text("machine.carom", r.Machine.Carom)
	c.count("machine.cores", int64(r.Machine.Cores))
	c.count("machine.memory_bytes", r.Machine.Memory)
	if d := r.Machine.Disk; d != nil {
		c.text("machine.disk.file_system", d.FileSystem)
		c.figure("machine.disk.sync_us", d.Sync)
	}
	c.length("notes", len(r.Notes), maxList)
	for _, n := range r.Notes {
		c.text("notes", n)
	}
	return c.err
}

// checker keeps the first thing that is wrong.
type checker struct{ err error }

func (c *checker) fail(where, format string, args ...any) {
	if c.err == nil {
		c.err = errors.New(where + ": " + fmt.Sprintf(format, args...))
	}
}

// figure takes no infinity and nothing that could become one when some are added up.
func (c *checker) figure(where string, v float64) {
	if !(v >= 0 && v <= maxFigure) { // NaN is neither
		c.fail(where, "%g is no figure from 0 to %g", v, float64(maxFigure))
	}
}

func (c *checker) count(where string, v int64) {
	if v < 0 || v > maxFigure {
		c.fail(where, "%d is no count from 0 to %g", v, float64(maxFigure))
	}
}

func (c *checker) length(where string, n, most int) {
	if n > most {
		c.fail(where, "%d of them, %d at most are read", n, most)
	}
}

func (c *checker) text(where, s string) {
	switch {
	case len(s) > maxText:
		c.fail(where, "a text of %d bytes, %d at most are read", len(s), maxText)
	case !utf8.ValidString(s):
		c.fail(where, "%q is no UTF-8", clip(s))
	}
}

func (c *checker) load(l *Load) {
	if l.Mode != "open" && l.Mode != "closed" {
		c.fail("load.mode", "%q is neither open nor closed", clip(l.Mode))
	}
	c.count("load.connections", int64(l.Connections))
	c.length("load.stages", len(l.Stages), maxList)
	for i := range l.Stages {
		c.stage("load.stages", &l.Stages[i])
	}
	c.figure("load.warmup_seconds", l.Warmup)
	c.figure("load.timeout_seconds", l.Timeout)
}

func (c *checker) stage(where string, s *Stage) {
	c.figure(where+".from", s.From)
	c.figure(where+".to", s.To)
	c.figure(where+".seconds", s.Seconds)
}

func (c *checker) distribution(where string, d *Distribution) {
	c.count(where+".count", d.Count)
	c.figure(where+".min_us", d.Min)
	c.figure(where+".mean_us", d.Mean)
	c.figure(where+".stddev_us", d.StdDev)
	c.figure(where+".max_us", d.Max)
	c.length(where+".percentiles", len(d.Percentiles), maxPercentiles)
	last := Percentile{P: -1}
	for _, p := range d.Percentiles {
		c.figure(where+".percentiles.us", p.Micros)
		if !(p.P > last.P && p.P <= 100) || p.Micros < last.Micros {
			c.fail(where+".percentiles", "p%g = %g µs after p%g = %g µs: they ascend, to 100", p.P, p.Micros, last.P, last.Micros)
		}
		last = p
	}
	switch {
	case d.HDR == "" || c.err != nil: // nothing more to see
	case len(d.HDR) > maxHDR:
		c.fail(where+".hdr", "%d bytes, %d at most are read", len(d.HDR), maxHDR)
	default:
		if _, err := d.Histogram(); err != nil {
			c.fail(where, "%v", err)
		}
	}
}

func (c *checker) series(points []Point) {
	c.length("series", len(points), maxPoints)
	last := math.Inf(-1)
	for i := range points {
		p := &points[i]
		c.figure("series.at", p.At)
		if p.At < last {
			c.fail("series.at", "%g after %g: seconds follow each other", p.At, last)
		}
		last = p.At
		c.figure("series.wanted", p.Wanted)
		c.count("series.requests", p.Requests)
		c.count("series.items", p.Items)
		c.count("series.failed", p.Failed)
		c.figure("series.p50_us", p.P50)
		c.figure("series.p99_us", p.P99)
		c.figure("series.max_us", p.Max)
		c.figure("series.harness_cores", p.Harness)
		c.figure("series.server_cores", p.Server)
		c.count("series.server_rss_bytes", p.Memory)
		if c.err != nil {
			return
		}
	}
}

func (c *checker) cpu(where string, u *CPU) {
	c.figure(where+".cpu_seconds", u.Seconds)
	c.figure(where+".cores", u.Cores)
	c.figure(where+".share", u.Share)
	c.figure(where+".us_per_item", u.PerItem)
	c.count(where+".peak_rss_bytes", u.PeakRSS)
	c.text(where+".process", u.Process)
	c.count(where+".processes", int64(u.Involved))
}

// clip shortens a text for an error.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
