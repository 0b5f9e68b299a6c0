package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"carom/bench/result"
	"carom/pipeline/event"
)

// What is filled is in the journal, as Accept makes it of a request, each event once.
func TestFill(t *testing.T) {
	const events = 5*batchEvents + 7
	s, err := openJournal(t.TempDir(), unbounded())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}()
	filled, err := fill(t.Context(), s.journal, 100, events, func() bool { return false }, io.Discard)
	if err != nil || filled != events {
		t.Fatalf("%d were filled: %v", filled, err)
	}
	if oldest, next := s.journal.Bounds(); oldest != 0 || next != events {
		t.Fatalf("the journal holds %d to %d", oldest, next)
	}
	recs, err := s.journal.Read(t.Context(), 0, events, nil)
	if err != nil || len(recs) != events {
		t.Fatalf("%d were read: %v", len(recs), err)
	}
	seen := make(map[event.Key]bool)
	for _, rec := range recs {
		var ev event.Event
		if err := ev.DecodeBinary(rec.Value); err != nil {
			t.Fatal(err)
		}
		seen[ev.Key] = true
		if ev.Actor.Verdict != event.Human || ev.Client.Hash == 0 || ev.Client.UserAgent != agent {
			t.Fatalf("an event that Accept did not see: %+v", ev)
		}
	}
	if len(seen) != events {
		t.Errorf("%d different messages of %d", len(seen), events)
	}
}

// A journal that is to be trimmed takes what it is given then, though it counts its bytes before they are compressed.
func TestTrimTimes(t *testing.T) {
	const events = 4000
	dir := t.TempDir()
	s, err := openJournal(dir, unbounded())
	if err != nil {
		t.Fatal(err)
	}
	_, err = fill(t.Context(), s.journal, 0, events, func() bool { return false }, io.Discard)
	recs, err1 := s.journal.Read(t.Context(), 0, events, nil)
	if err := errors.Join(err, err1, s.kv.DB().Flush(), s.close()); err != nil {
		t.Fatal(err)
	}
	var size int64
	for _, rec := range recs {
		size += int64(len(rec.Value))
	}
	const unready, least = 0.7, 1.0 / 256 // of what a journal may take
	if may := float64(trimTimes * diskBytes(dir)); float64(size) > unready/2*may || float64(size) < 2*least*may {
		t.Errorf("%d bytes of %.0f: want far from nearly full and from too little to be trimmed", size, may)
	}
}

// A soak in which nothing was acknowledged shows nothing, and tells once why.
func TestNothingAcknowledged(t *testing.T) {
	p := &platform{latency: newHistogram()}
	p.fail(errors.New("refused"))
	err := p.verdict(t.Context(), io.Discard, nil)
	if err == nil || !strings.Contains(err.Error(), "nothing was acknowledged") || strings.Count(err.Error(), "refused") != 1 {
		t.Errorf("%v: want once why", err)
	}
}

func TestSlope(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, perHour := range []float64{0, 50, -20} {
		samples := make([]sample, 240)
		for i := range samples {
			samples[i].Seconds = float64(i) * 10
			samples[i].RSS = 400 + perHour*samples[i].Seconds/3600 + rng.NormFloat64()
		}
		got := slopeOf(samples, func(s *sample) float64 { return s.RSS })
		if got.low > perHour || got.high < perHour || math.Abs(got.perHour-perHour) > 3 {
			t.Errorf("slope %+v, want %v", got, perHour)
		}
	}
	var out strings.Builder
	grows, steady := make([]sample, 100), make([]sample, 100)
	for i := range grows {
		grows[i] = sample{Seconds: float64(i) * 10, RSS: 1e8 + 1e6*float64(i)}
		steady[i] = sample{Seconds: float64(i) * 10, RSS: 1e8 + 1e6*float64(i%2)}
	}
	leaks := slices.Clone(steady)
	for i := range leaks {
		leaks[i].Handles = 100 + float64(i)/10
	}
	if judge(&out, grows) == nil || judge(&out, leaks) == nil || judge(&out, steady) != nil {
		t.Errorf("the verdicts are wrong:\n%s", out.String())
	}
	if enough := 2*blocks - 1; judge(&out, steady[:enough]) != nil || judge(&out, steady[:enough-1]) == nil {
		t.Errorf("want %d samples for a verdict, no fewer:\n%s", enough, out.String())
	}
}

// What grows outside of Go is told, and doesn't fail a soak as long as RSS, which it is a part of, does not grow.
func TestJudgeTellsOffGo(t *testing.T) {
	for _, tt := range []struct {
		first, step float64
		verdict     string
	}{{1e8, 1e6, "grows"}, {-1e8, 1e6, "grows"}, {-1e8, 1e3, "steady"}} {
		samples := make([]sample, 100)
		for i := range samples {
			samples[i] = sample{Seconds: float64(i) * 10, RSS: 1e9, OffGo: tt.first + tt.step*float64(i)}
		}
		var out strings.Builder
		if err := judge(&out, samples); err != nil || !regexp.MustCompile(`(?m)^off Go MB .* `+tt.verdict+`$`).MatchString(out.String()) {
			t.Errorf("%+v: %v:\n%s", tt, err, out.String())
		}
	}
}

// A soak that can't come to a verdict is refused before it begins.
func TestSoakTooShort(t *testing.T) {
	dir := t.TempDir()
	err := run(t.Context(), []string{"soak", "-minutes", "3.9", "-dir", dir, "-out", filepath.Join(dir, "soak")}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "-minutes 3.9: want 4 or more") {
		t.Errorf("%v", err)
	}
}

// What the soak's verdict allows, and how the node is set, are told.
func TestSoakIsTold(t *testing.T) {
	page, err := os.ReadFile("../../deploy/BENCH.md")
	if err != nil {
		t.Fatal(err)
	}
	told := []string{
		fmt.Sprintf("%g %%", 100*allowedGrowth), fmt.Sprintf("`MINUTES=60`, %g at least", leastSoak.Minutes()), "`off_go_bytes`",
		fmt.Sprintf("bar of %.2f", rateBar), fmt.Sprintf("%d million", barEvents/1_000_000),
	}
	for _, what := range append(told, soakSettings...) {
		if !strings.Contains(string(page), what) {
			t.Errorf("deploy/BENCH.md does not tell %q", what)
		}
	}
}

// A node has the settings that it is given, and none of those of a real node on this machine.
func TestServeEnvironment(t *testing.T) {
	t.Setenv("CAROM_JOURNAL_SYNC", "interval")
	t.Setenv("CAROM_NODE", "real")
	t.Setenv("CAROMEL", "kept")
	env := serve("carom", "/data", "track", "CAROM_JOURNAL_RETENTION=1m").Env
	for _, pair := range []string{"CAROM_NODE=" + nodeName, "CAROM_DATA_DIR=/data", "CAROM_JOURNAL_RETENTION=1m", "CAROMEL=kept"} {
		if !slices.Contains(env, pair) {
			t.Errorf("%s is missing", pair)
		}
	}
	for _, pair := range []string{"CAROM_JOURNAL_SYNC=interval", "CAROM_NODE=real"} {
		if slices.Contains(env, pair) {
			t.Errorf("%s is inherited", pair)
		}
	}
}

// The comparison tells whether the bar is met, where there is one, and in how many rounds the stores compacted.
func TestComparison(t *testing.T) {
	measured := func(rate, compacted, moved float64) round {
		r := &result.Result{Rate: rate, Requests: int64(rate), Server: &result.CPU{Seconds: 0.5}}
		r.Latency.Percentiles = []result.Percentile{{P: 99, Micros: 2e9 / rate}}
		return round{Result: r, flushed: 5e6, compacted: compacted, move: moved}
	}
	empty := &side{name: "empty", rounds: []round{measured(1000, 0, 0), measured(2000, 0, 0), measured(1000, 0, 0)}}
	full := &side{name: "full", rounds: []round{measured(900, 1e6, 2e6), measured(2000, 0, 2e6), measured(800, 3e6, 0)}}
	var out strings.Builder
	if err := writeComparison(&out, empty, full, barEvents); err != nil {
		t.Fatal(err)
	}
	const want = "" +
		"  journal  events/s  events per CPU s  p99 ms  failed  flushed MB  compacted MB  moved MB\n" +
		"    empty      1000              2000  2000.0       0          15             0         0\n" +
		"     full       900              1800  2222.2       0          15             4         4\n" +
		"compaction in these rounds: empty NONE, take longer rounds: -seconds 60s, or make bench-growth GROWTH='-seconds 60s'; full rewrote tables in 2 of 3 and moved some in 2\n" +
		"full / empty, rate: median 0.900 of 3 pairs, 0.800 to 1.000; bar 0.90 met\n" +
		"full / empty, events per CPU second: median 0.900 of 3 pairs, 0.800 to 1.000\n" +
		"full / empty, p99: median 1.111 of 3 pairs, 1.000 to 1.250\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	full.rounds[0].Rate = 899
	for events, verdict := range map[int64]string{barEvents: "1.000; bar 0.90 MISSED\n", barEvents - 1: "1.000\n"} {
		out.Reset()
		if err := writeComparison(&out, empty, full, events); err != nil || !strings.Contains(out.String(), "rate: median 0.899 of 3 pairs, 0.800 to "+verdict) {
			t.Errorf("%d events, %v:\n%s", events, err, out.String())
		}
	}
}

// Tables are no handles that a soak judges: their number grows with what is kept.
func TestHandles(t *testing.T) {
	n := &node{cmd: &exec.Cmd{Process: &os.Process{Pid: os.Getpid()}}}
	count := func() int {
		t.Helper()
		c, err := n.handles()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	before := count()
	for name, more := range map[string]int{"000123.sst": 0, "000124.log": 1} {
		f, err := os.Create(filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		if got := count() - before; got != more {
			t.Errorf("%s: %d more, not %d", name, got, more)
		}
		f.Close()
	}
}
