package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"time"

	"carom/kv"
)

// sample is what a node looked like at one moment. Bytes, seconds and milliseconds.
type sample struct {
	Seconds     float64 `json:"seconds"`
	Rate        float64 `json:"events_per_second"`
	Failed      float64 `json:"failed"`
	P99         float64 `json:"p99_ms"`
	Max         float64 `json:"max_ms"`
	Lag         float64 `json:"lag_records"`
	RSS         float64 `json:"rss_bytes"`
	Heap        float64 `json:"go_heap_bytes"`
	GoSys       float64 `json:"go_sys_bytes"`
	OffGo       float64 `json:"off_go_bytes"` // of RSS, at least so much is not Go's: what C allocated, and the program itself
	Cache       float64 `json:"kv_cache_bytes"`
	MemTables   float64 `json:"kv_memtable_bytes"`
	Goroutines  float64 `json:"goroutines"`
	Handles     float64 `json:"handles_but_tables"`
	DiskJournal float64 `json:"journal_disk_bytes"`
	DiskState   float64 `json:"state_disk_bytes"`
	CPU         float64 `json:"cpu_seconds"`
	Stalls      float64 `json:"kv_stall_seconds"`
}

// pace is how far a count had come when it was last looked at.
type pace struct {
	at    time.Time
	count int64
}

// rate is how much a second came since then: looks may be late, and nothing that comes between two is missed.
func (p *pace) rate(now time.Time, count int64) float64 {
	perSecond := float64(count-p.count) / now.Sub(p.at).Seconds()
	*p = pace{now, count}
	return perSecond
}

func (p *platform) sample(ctx context.Context, began time.Time, since *pace) (s sample, err error) {
	f, err := p.node.figures(ctx)
	if err != nil {
		return s, err
	}
	cpu, rss, err1 := p.node.used()
	handles, err2 := p.node.handles()
	if err := errors.Join(err1, err2); err != nil {
		return s, err
	}
	latency := p.heard()
	return sample{
		Seconds: time.Since(began).Seconds(), Rate: since.rate(time.Now(), p.events()), Failed: float64(p.failed.Load()),
		P99: float64(latency.ValueAtQuantile(99)) / 1000, Max: float64(latency.Max()) / 1000, Lag: lag(f),
		RSS: float64(rss), Heap: f["go_memstats_heap_inuse_bytes"], GoSys: f["go_memstats_sys_bytes"], OffGo: float64(rss) - f.goMapped(),
		Cache: f.sum("carom_kv_cache_bytes"), MemTables: f.sum("carom_kv_memtable_bytes"),
		Goroutines: f["go_goroutines"], Handles: float64(handles),
		DiskJournal: float64(diskBytes(filepath.Join(p.node.dir, kv.RoleJournal))), DiskState: float64(diskBytes(filepath.Join(p.node.dir, kv.RoleState))),
		CPU: cpu.Seconds(), Stalls: f.sum("carom_kv_write_stall_seconds_total"),
	}, nil
}

// columns are the names of a sample's figures, and the figures.
func columns() (names []string) {
	t := reflect.TypeFor[sample]()
	for i := range t.NumField() {
		names = append(names, t.Field(i).Tag.Get("json"))
	}
	return names
}

func (s *sample) values() (values []float64) {
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		values = append(values, v.Field(i).Float())
	}
	return values
}

// writeSamples writes them as CSV, as JSON, and as a page with plots.
func writeSamples(out string, samples []sample) error {
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return err
	}
	return errors.Join(
		writeFile(out+".csv", func(w io.Writer) error { return writeCSV(w, samples) }),
		writeFile(out+".json", func(w io.Writer) error { return json.NewEncoder(w).Encode(samples) }),
		writeFile(out+".html", func(w io.Writer) error { return writePage(w, samples) }),
	)
}

func writeFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}

func writeCSV(w io.Writer, samples []sample) error {
	c := csv.NewWriter(w)
	if err := c.Write(columns()); err != nil {
		return err
	}
	for i := range samples {
		var row []string
		for _, v := range samples[i].values() {
			row = append(row, strconv.FormatFloat(v, 'f', -1, 64))
		}
		if err := c.Write(row); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// slope is by how much a figure grows an hour, with the ends of its 95 % interval.
type slope struct{ perHour, low, high, mean float64 }

const (
	// blocks are what a series is averaged into before a line is laid through it: samples that follow each other are alike,
	// and would make the interval too narrow.
	blocks = 12
	// studentT is the 97.5 % quantile of Student's distribution with blocks-2 degrees of freedom.
	studentT = 2.228
)

func slopeOf(samples []sample, of func(*sample) float64) slope {
	n := min(blocks, len(samples))
	if n < 3 {
		return slope{low: math.Inf(-1), high: math.Inf(1)}
	}
	xs, ys := make([]float64, n), make([]float64, n)
	for b := range n {
		part := samples[b*len(samples)/n : (b+1)*len(samples)/n]
		for i := range part {
			xs[b] += part[i].Seconds / 3600 / float64(len(part))
			ys[b] += of(&part[i]) / float64(len(part))
		}
	}
	var mx, my, sxx, sxy, rest float64
	for i := range xs {
		mx, my = mx+xs[i]/float64(n), my+ys[i]/float64(n)
	}
	for i := range xs {
		sxx += (xs[i] - mx) * (xs[i] - mx)
		sxy += (xs[i] - mx) * (ys[i] - my)
	}
	s := slope{perHour: sxy / sxx, mean: my}
	for i := range xs {
		d := ys[i] - my - s.perHour*(xs[i]-mx)
		rest += d * d
	}
	half := studentT * math.Sqrt(rest/float64(n-2)/sxx)
	s.low, s.high = s.perHour-half, s.perHour+half
	return s
}

// allowedGrowth is the share of its mean by which a figure may grow over the second half and still count as steady.
const allowedGrowth = 0.03

// judge tells how the figures of the second half moved, and returns an error if what must not grow did.
func judge(out io.Writer, samples []sample) error {
	half := samples[len(samples)/2:]
	if len(half) < blocks {
		return fmt.Errorf("%d samples are too few for a verdict: want %d, by more -minutes", len(samples), 2*blocks-1)
	}
	hours := (half[len(half)-1].Seconds - half[0].Seconds) / 3600
	fmt.Fprintf(out, "\nthe second half, %.0f minutes: mean, and slope an hour with its 95 %% interval\n", hours*60)
	var grew error
	for _, row := range []struct {
		name  string
		unit  float64
		of    func(*sample) float64
		bound bool // it must not grow
	}{
		{"RSS MB", 1e6, func(s *sample) float64 { return s.RSS }, true},
		{"Go heap MB", 1e6, func(s *sample) float64 { return s.Heap }, false},
		{"off Go MB", 1e6, func(s *sample) float64 { return s.OffGo }, false},
		{"Pebble cache MB", 1e6, func(s *sample) float64 { return s.Cache }, false},
		{"memtables MB", 1e6, func(s *sample) float64 { return s.MemTables }, false},
		{"goroutines", 1, func(s *sample) float64 { return s.Goroutines }, true},
		{"handles", 1, func(s *sample) float64 { return s.Handles }, true},
		{"journal disk MB", 1e6, func(s *sample) float64 { return s.DiskJournal }, true},
		{"state disk MB", 1e6, func(s *sample) float64 { return s.DiskState }, false},
		{"p99 ms", 1, func(s *sample) float64 { return s.P99 }, false},
		{"lag records", 1, func(s *sample) float64 { return s.Lag }, false},
		{"events/s", 1, func(s *sample) float64 { return s.Rate }, false},
	} {
		s := slopeOf(half, row.of)
		verdict := "steady"
		if s.low > 0 && s.perHour*hours > allowedGrowth*math.Abs(s.mean) { // off Go may be negative
			verdict = "grows"
			if row.bound {
				grew = errors.Join(grew, fmt.Errorf("%s grow", row.name))
			}
		}
		fmt.Fprintf(out, "%-16s %10.1f  %+9.2f  (%+.2f to %+.2f)  %s\n", row.name, s.mean/row.unit, s.perHour/row.unit, s.low/row.unit, s.high/row.unit, verdict)
	}
	return grew
}
