package result

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// sampled says what a sample looks like, as if it had been measured.
type sampled struct {
	name    string
	kind    string
	seed    uint64
	seconds int
	rate    float64 // wanted, 0 in a closed loop
	able    float64 // what the server can do in a second
	median  float64 // of the service, in µs
	sigma   float64 // of its logarithm
	stall   int     // the second in which the server stands still for 0.4 s, 0 = none
	failed  int64   // a second, in the last quarter
	server  float64 // CPU an item, in µs; 0 = unknown
	ramp    bool
}

// samples are those that tests have asked for: to make them takes longer than all that is done with them.
var samples sync.Map // sampled -> *Result

// sample makes a result by code.
func sample(tb testing.TB, s sampled) *Result {
	tb.Helper()
	made, ok := samples.Load(s)
	if !ok {
		made, _ = samples.LoadOrStore(s, drawn(tb, s))
	}
	r := *made.(*Result)
	r.Answers, r.Notes, r.Search = slices.Clip(r.Answers), slices.Clip(r.Notes), slices.Clip(r.Search)
	if r.Server != nil {
		server := *r.Server
		r.Server = &server
		r.Machine.Disk = &Disk{"xfs", 412}
	}
	return &r
}

func drawn(tb testing.TB, s sampled) *Result {
	tb.Helper()
	rng := rand.New(rand.NewPCG(s.seed, 7))
	latency, service, lateness, second := NewHistogram(), NewHistogram(), NewHistogram(), NewHistogram()
	r := &Result{
		Format: Format, Name: s.name, Kind: s.kind, Target: "http://127.0.0.1:8080/o/…", Began: time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC), Seconds: float64(s.seconds),
		Load:    Load{Mode: "closed", Connections: 256, Warmup: 5, Timeout: 5},
		Options: map[string]string{"--clicks": "0.1", "--keep-alive": "true"},
		Machine: Machine{"AMD EPYC 7B13", 2, 8_340_000_000, "linux 6.1.0 amd64", "v0.7.0-12-gabcdef0", nil},
		Harness: CPU{Process: "4711 carom", Involved: 1, PeakRSS: 41_000_000},
	}
	if s.rate > 0 {
		r.Load.Mode = "open"
		r.Load.Stages = []Stage{{s.rate, s.rate, r.Seconds}}
		if s.ramp {
			r.Load.Stages[0].From = s.rate / 10
		}
	} else {
		r.Load.Stages = []Stage{{0, 0, r.Seconds}}
	}
	const times = 200 // drawn for a second, each standing for many
	for i := range s.seconds {
		wanted := s.rate
		if s.ramp {
			wanted = s.rate * (0.1 + 0.9*(float64(i)+0.5)/r.Seconds)
		}
		able := s.able * (0.97 + 0.05*rng.Float64())
		n := able
		if wanted > 0 {
			n = min(able, wanted)
		}
		busy := n / s.able
		second.Reset()
		longest := time.Duration(0)
		for j := range times {
			v := s.median * (0.6 + 0.4*busy/(1.02-min(busy, 1))) * math.Exp(s.sigma*rng.NormFloat64())
			wait := 0.0
			if i == s.stall && s.stall > 0 && j < times*2/5 {
				wait = 400_000 * (1 - float64(j)/(times*0.4))
			}
			d := time.Duration((v + wait) * 1000)
			latency.Record(d)
			second.Record(d)
			longest = max(longest, d)
			service.Record(time.Duration(v * 1000))
			lateness.Record(time.Duration(rng.ExpFloat64() * 9000))
		}
		p := Point{
			At: float64(i + 1), Wanted: wanted, Requests: int64(n), Items: int64(n), P50: micros(int64(second.At(50))), P99: micros(int64(second.At(99))), Max: micros(int64(longest)),
			Harness: n * 9e-6,
		}
		if s.server > 0 {
			p.Server, p.Memory = n*s.server*1e-6, 48_000_000+int64(22_000_000*(1-math.Exp(-float64(i)/8)))+rng.Int64N(2_000_000)
		}
		if i >= s.seconds*3/4 {
			p.Failed = s.failed
		}
		r.Requests += p.Requests
		r.Items += p.Items
		r.Failed += p.Failed
		r.Harness.Seconds += p.Harness
		r.Series = append(r.Series, p)
		if s.server > 0 {
			if r.Server == nil {
				r.Server = &CPU{Process: "4712 carom", Involved: 1}
			}
			r.Server.Seconds += p.Server
			r.Server.PeakRSS = max(r.Server.PeakRSS, p.Memory)
		}
	}
	for _, u := range []*CPU{&r.Harness, r.Server} {
		if u != nil {
			u.Cores = u.Seconds / r.Seconds
			u.Share = u.Cores / 2
			u.PerItem = u.Seconds * 1e6 / float64(r.Items)
		}
	}
	r.Rate = float64(r.Items) / r.Seconds
	r.Bytes = r.Requests * 420
	r.Answers = []Answers{{"open", 200, r.Requests * 9 / 10}, {"click", 302, r.Requests - r.Requests*9/10}}
	if r.Failed > 0 {
		r.Errors = map[string]int64{"read: connection reset by peer": r.Failed - r.Failed/4, "status 503, wanted 200": r.Failed / 4}
		r.Notes = append(r.Notes, fmt.Sprintf("%d requests failed: what failed has no latency here", r.Failed))
	}
	for d, h := range map[*Distribution]*Histogram{&r.Latency: latency, &r.Service: service, &r.Lateness: lateness} {
		var err error
		if *d, err = h.Distribution(); err != nil {
			tb.Fatal(err)
		}
	}
	if s.rate == 0 {
		r.Service = r.Latency
		r.Lateness = Distribution{}
	}
	if err := r.check(); err != nil {
		tb.Fatal(err)
	}
	return r
}

// openLoop is one result with a stall and failures.
func openLoop(tb testing.TB) *Result {
	return sample(tb, sampled{name: "carom track", kind: "http", seed: 1, seconds: 60, rate: 12_000, able: 21_000, median: 800, sigma: 0.5, stall: 33, failed: 12, server: 46})
}

// stepped is one result in three steps, of which the last is too much.
func stepped(tb testing.TB) *Result {
	r := openLoop(tb)
	r.Load.Stages = []Stage{{6000, 6000, 20}, {12_000, 18_000, 20}, {24_000, 24_000, 20}}
	for i, s := range r.Load.Stages {
		r.Steps = append(r.Steps, Step{s, min((s.From+s.To)/2, 21_000), int64(90 * i), r.Latency})
	}
	r.Steps[2].Seconds = 20.4
	r.Steps[0].Latency = Distribution{Count: 3, Percentiles: []Percentile{{50, 700}}}
	return r
}

// closedLoop is one without a server that is known.
func closedLoop(tb testing.TB) *Result {
	return sample(tb, sampled{name: "some edge", kind: "http", seed: 2, seconds: 20, able: 31_000, median: 300, sigma: 0.4})
}

// searched is the result of a search.
func searched(tb testing.TB) *Result {
	r := sample(tb, sampled{name: "carom track", kind: "http", seed: 3, seconds: 30, rate: 17_500, able: 21_000, median: 700, sigma: 0.4, server: 46})
	for _, s := range []struct{ rate, p99 float64 }{{1000, 1400}, {2000, 1500}, {4000, 1700}, {8000, 2300}, {16_000, 5200}, {32_000, 2_400_000}, {24_000, 1_100_000}, {20_000, 48_000}, {18_000, 10_900}, {17_000, 7800}, {17_500, 8900}} {
		r.Search = append(r.Search, Try{
			Wanted: s.rate, Reached: min(s.rate, 20_900), Bound: "p99<10ms", Measured: s.p99, Lateness: 30 + s.rate/1000, Harness: 0.16, Held: s.p99 < 10_000,
		})
	}
	r.Search[5].Lateness, r.Search[0].Harness = 0, 0 // no connection was free, the server's process had ended
	return r
}

// rounds are four names with five rounds each, alternating; the first two hardly differ.
func rounds(tb testing.TB) (all []*Result) {
	for round := range 5 {
		slow := 1 - 0.03*float64(round%3)
		for i, x := range []struct {
			name                 string
			able, median, server float64
		}{{"carom, pgo", 21_500, 760, 45}, {"carom", 21_000, 780, 46}, {"bare fasthttp", 27_000, 640, 33}, {"nginx, log unbuffered", 16_000, 1100, 61}} {
			seed := uint64(100 + 10*round + i)
			wobble := 0.96 + 0.08*rand.New(rand.NewPCG(seed, 1)).Float64()
			all = append(all, sample(tb, sampled{name: x.name, kind: "http", seed: seed, seconds: 10, able: x.able * slow * wobble, median: x.median / slow, sigma: 0.45, server: x.server / wobble}))
		}
	}
	return all
}
