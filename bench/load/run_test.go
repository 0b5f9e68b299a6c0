package load

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"carom/bench/result"
)

// bubbled sleeps in the time of a synctest bubble.
func bubbled() (func(time.Duration), func(), error) { return time.Sleep, func() {}, nil }

// fake is a client that does what a function says.
type fake struct {
	do     func() Answer
	closed chan struct{}
	once   sync.Once
}

func (f *fake) Do(context.Context) Answer { return f.do() }

func (f *fake) Close() error {
	f.once.Do(func() {
		if f.closed != nil {
			close(f.closed)
		}
	})
	return nil
}

func good() Answer { return Answer{Kind: "open", Code: 200, Items: 1, Bytes: 100} }

// taking returns clients that need some time for each answer.
func taking(d time.Duration) func(int) (Client, error) {
	return func(int) (Client, error) {
		return &fake{do: func() Answer { time.Sleep(d); return good() }}, nil
	}
}

func constant(rate float64, d time.Duration) []Stage {
	return []Stage{{From: rate, To: rate, Duration: d}}
}

func mustRun(t *testing.T, p Plan, newClient func(int) (Client, error), o Observer) *result.Result {
	t.Helper()
	r, err := run(t.Context(), p, newClient, o, bubbled)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func at(t *testing.T, d result.Distribution, p float64) time.Duration {
	t.Helper()
	h, err := d.Histogram()
	if err != nil {
		t.Fatal(err)
	}
	return h.At(p).Round(time.Microsecond)
}

func TestEveryoneWhoShouldHaveStartedIsCharged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// One connection, 100 requests a second, each answered at once, but the 100th after a second: those of that second
		// started late through no fault of theirs.
		var n atomic.Int64
		r := mustRun(t, Plan{Clients: 1, Stages: constant(100, 10*time.Second), Timeout: time.Minute}, func(int) (Client, error) {
			return &fake{do: func() Answer {
				if n.Add(1) == 100 {
					time.Sleep(time.Second)
				}
				return good()
			}}, nil
		}, nil)
		if r.Requests != 1000 || r.Failed != 0 || r.Latency.Count != 1000 {
			t.Fatalf("%d requests, %d failed, %d latencies: want 1000, 0, 1000", r.Requests, r.Failed, r.Latency.Count)
		}
		// The stalled one took 1000 ms, those after it 990, 980, ..., 10: a tenth of all, evenly.
		for p, want := range map[float64]time.Duration{50: 0, 90: 0, 95: 500 * time.Millisecond, 99: 900 * time.Millisecond, 100: time.Second} {
			if got := at(t, r.Latency, p); (got - want).Abs() > 20*time.Millisecond {
				t.Errorf("p%g is %s, want %s", p, got, want)
			}
		}
		if got := at(t, r.Service, 99); got != 0 {
			t.Errorf("the server took %s for 99 %% of the requests, want 0", got)
		}
		// The first one was asked for when it was due.
		if r.Lateness.Count != 899 || r.Lateness.Max >= 1 {
			t.Errorf("%d requests found a waiting connection, up to %g µs late: want 899, less than 1", r.Lateness.Count, r.Lateness.Max)
		}
	})
}

func TestAFreeClientIsChosen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The same stall is nobody else's while there is a second connection.
		var n atomic.Int64
		r := mustRun(t, Plan{Clients: 2, Stages: constant(100, 10*time.Second), Timeout: time.Minute}, func(int) (Client, error) {
			return &fake{do: func() Answer {
				if n.Add(1) == 100 {
					time.Sleep(time.Second)
				}
				return good()
			}}, nil
		}, nil)
		if got := at(t, r.Latency, 99.9); r.Requests != 1000 || got != 0 || at(t, r.Latency, 100) < 990*time.Millisecond {
			t.Errorf("%d requests, p99.9 %s, max %g µs: want 1000, 0, 1 s", r.Requests, got, r.Latency.Max)
		}
	})
}

func TestIntendedStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, stages := range map[string][]Stage{
			"constant":  constant(40, 5*time.Second),
			"steps":     {{From: 10, To: 10, Duration: 2 * time.Second}, {From: 50, To: 50, Duration: time.Second}, {Duration: time.Second}, {From: 1, To: 1, Duration: 3 * time.Second}},
			"up":        {{From: 0, To: 60, Duration: 4 * time.Second}},
			"down":      {{From: 60, To: 0, Duration: 4 * time.Second}},
			"broken":    {{From: 0.7, To: 0.7, Duration: 3300 * time.Millisecond}, {From: 3.3, To: 17.1, Duration: 2700 * time.Millisecond}},
			"sub-milli": constant(5000, 100*time.Millisecond),
		} {
			var mu sync.Mutex
			var starts []time.Duration
			began := time.Now()
			r := mustRun(t, Plan{Clients: 300, Stages: stages, Timeout: time.Second}, func(int) (Client, error) {
				return &fake{do: func() Answer {
					mu.Lock()
					starts = append(starts, time.Since(began))
					mu.Unlock()
					time.Sleep(50 * time.Millisecond)
					return good()
				}}, nil
			}, nil)
			slices.Sort(starts)
			var total float64
			for _, s := range stages {
				total += (s.From + s.To) / 2 * s.Duration.Seconds()
			}
			if want := int(math.Ceil(total - fraction)); len(starts) != want || r.Requests != int64(want) {
				t.Errorf("%s: %d starts, %d requests: want %d", name, len(starts), r.Requests, want)
			}
			for i, start := range starts {
				if n := integral(stages, start); math.Abs(n-float64(i)) > 1e-3 {
					t.Errorf("%s: request %d started at %s, when %g should have", name, i, start, n)
				}
			}
			if r.Lateness.Max >= 1 || r.Lateness.Count < r.Requests-1 {
				t.Errorf("%s: lateness %+v", name, r.Lateness)
			}
		}
	})
}

// integral of a rate, by small steps.
func integral(stages []Stage, until time.Duration) (n float64) {
	for _, s := range stages {
		const steps = 10 // their middles are exact where a rate grows evenly
		length := min(until, s.Duration).Seconds()
		if length <= 0 {
			break
		}
		for i := range steps {
			middle := (float64(i) + 0.5) / steps * length
			n += (s.From + (s.To-s.From)*middle/s.Duration.Seconds()) * length / steps
		}
		until -= s.Duration
	}
	return n
}

func TestScheduleNeverRunsBack(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		p := Plan{Warmup: time.Duration(random.IntN(3)) * 700 * time.Millisecond}
		for range 1 + random.IntN(5) {
			s := Stage{From: float64(random.IntN(900)) * random.Float64(), To: float64(random.IntN(900)), Duration: time.Duration(1+random.IntN(4000)) * time.Millisecond}
			p.Stages = append(p.Stages, s)
		}
		s := newSchedule(&p)
		c := cursor{schedule: s}
		end := p.Warmup + p.duration()
		var last time.Duration
		for {
			start, ok := c.peek()
			if !ok {
				break
			}
			if start < last || start > end {
				t.Fatalf("seed %d: %+v: request %d starts at %s, after %s, before the end at %s", seed, p, c.i, start, last, end)
			}
			if n := s.count(start); math.Abs(n-float64(c.i)) > 1e-3 {
				t.Fatalf("seed %d: %+v: request %d starts at %s, when %g should have", seed, p, c.i, start, n)
			}
			c.take(start)
			last = start
		}
		if want := int64(math.Ceil(s.count(end) - fraction)); c.i != want {
			t.Fatalf("seed %d: %+v: %d requests, want %d", seed, p, c.i, want)
		}
	}
}

func TestWhatNobodyCouldSendIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Two connections that need 100 ms manage 20 requests a second, of 100.
		r := mustRun(t, Plan{Clients: 2, Stages: constant(100, 10*time.Second), Timeout: 3 * time.Second}, taking(100*time.Millisecond), nil)
		if sum := r.Requests + r.Failed; sum != 1000 || r.Requests < 200 || r.Requests > 225 || r.Errors[errUnsent.Error()] != r.Failed {
			t.Errorf("%d answered, %d failed, %v: want some 220 of 1000, and the others not sent", r.Requests, r.Failed, r.Errors)
		}
		if r.Latency.Count != 1000 || at(t, r.Latency, 90) < 5*time.Second {
			t.Errorf("p90 of %d requests is %s: want 1000 of which most waited to the end", r.Latency.Count, at(t, r.Latency, 90))
		}
	})
}

func TestClosedLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &notebook{}
		r := mustRun(t, Plan{Clients: 3, Stages: []Stage{{Duration: 4 * time.Second}}, Warmup: 1500 * time.Millisecond, Timeout: time.Second}, taking(10*time.Millisecond), o)
		if r.Requests != 1200 || r.Load.Mode != "closed" || r.Lateness.Count != 0 || at(t, r.Latency, 50).Round(time.Millisecond) != 10*time.Millisecond {
			t.Errorf("want 1200 requests of 10 ms in a closed loop: %+v", r)
		}
		if r.Bytes != 120_000 || r.Items != 1200 || math.Abs(r.Rate-300) > 1 || !slices.Equal(r.Answers, []result.Answers{{Kind: "open", Code: 200, Count: 1200}}) {
			t.Errorf("%+v", r)
		}
		if len(r.Series) != 4 || len(o.seconds) != 6 || o.warm < 440 || o.warm > 460 {
			t.Errorf("%d seconds of %d told, %d warm requests: want 4 of 6, 450", len(r.Series), len(o.seconds), o.warm)
		}
		for _, p := range r.Series {
			if p.Requests < 297 || p.Requests > 303 || math.Abs(p.P50-10_000) > 10 {
				t.Errorf("want 300 requests of 10 ms: %+v", p)
			}
		}
	})
}

// notebook notes what an observer is told.
type notebook struct {
	seconds []result.Point
	warm    int64
	tries   []result.Try
}

func (n *notebook) Second(p result.Point, warm int64) {
	n.seconds = append(n.seconds, p)
	n.warm += warm
}

func (n *notebook) Tried(t result.Try) { n.tries = append(n.tries, t) }

func TestWarmupCountsNowhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r := mustRun(t, Plan{Clients: 5, Stages: constant(10, 3*time.Second), Warmup: 2 * time.Second, Timeout: time.Second}, func(int) (Client, error) {
			return &fake{do: func() Answer {
				if time.Since(began) < 1900*time.Millisecond {
					return Answer{Kind: "cold", Err: errors.New("cold")}
				}
				return good()
			}}, nil
		}, nil)
		if r.Requests != 30 || r.Failed != 0 || len(r.Errors) != 0 || len(r.Answers) != 1 || r.Seconds != 3 {
			t.Errorf("want 30 requests and no failure: %+v", r)
		}
	})
}

func TestWhatTheWarmupLeftBehindCountsNowhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// 20 requests a second of 100 are answered: behind a warm-up of 2 s, 160 of its own would wait for 8 s more.
		r := mustRun(t, Plan{Clients: 4, Stages: constant(100, 3*time.Second), Warmup: 2 * time.Second, Timeout: time.Second}, taking(200*time.Millisecond), nil)
		if math.Abs(r.Rate-20) > 2 || r.Requests+r.Failed != 300 {
			t.Errorf("%g a second, %d answered, %d failed: want 20 a second, of 300", r.Rate, r.Requests, r.Failed)
		}
	})
}

func TestSlowAnswersInAClosedLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		r := mustRun(t, Plan{Clients: 10, Stages: []Stage{{Duration: 4 * time.Second}}, Warmup: 2500 * time.Millisecond, Timeout: time.Minute}, func(i int) (Client, error) {
			return &fake{do: func() Answer {
				time.Sleep(time.Second)
				if asked.Add(1) == 65 {
					time.Sleep(5 * time.Second)
				}
				return good()
			}}, nil
		}, nil)
		if r.Rate < 8.5 || r.Rate > 10 {
			t.Errorf("%g a second: want some 10, though one of them ended late", r.Rate)
		}
	})
}

func TestEndedEarlyBeforeAnAnswer(t *testing.T) {
	for name, want := range map[string]struct {
		stages []Stage
		note   string
	}{
		"open":   {constant(10, time.Hour), ": 15 requests were due"},
		"closed": {[]Stage{{Duration: time.Hour}}, ": 3 requests were due"},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(1450*time.Millisecond, cancel)
			r, err := run(ctx, Plan{Clients: 3, Stages: want.stages, Timeout: time.Minute}, func(int) (Client, error) {
				f := &fake{closed: make(chan struct{})}
				f.do = func() Answer { <-f.closed; return Answer{Err: errors.New("closed")} }
				return f, nil
			}, nil, bubbled)
			if err != nil || r.Failed != 0 || !strings.Contains(strings.Join(r.Notes, "\n"), want.note) {
				t.Errorf("%s: %v, %+v: want a note with %q", name, err, r, want.note)
			}
		})
	}
}

func TestEndedEarly(t *testing.T) {
	for name, stages := range map[string][]Stage{"open": constant(100, time.Hour), "closed": {{Duration: time.Hour}}} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(2500*time.Millisecond, cancel)
			// The first client hangs until it is closed, which is nobody's failure.
			r, err := run(ctx, Plan{Clients: 4, Stages: stages, Warmup: time.Second, Timeout: time.Minute}, func(i int) (Client, error) {
				f := &fake{closed: make(chan struct{})}
				f.do = func() Answer {
					if i == 0 {
						<-f.closed
						return Answer{Err: errors.New("closed")}
					}
					time.Sleep(10 * time.Millisecond)
					return good()
				}
				return f, nil
			}, nil, bubbled)
			if err != nil {
				t.Fatal(err)
			}
			want := int64(150)
			if name == "closed" {
				want = 450
			}
			if math.Abs(float64(r.Requests-want)) > 5 || r.Failed != 0 || math.Abs(r.Seconds-1.5) > 0.02 || !strings.Contains(strings.Join(r.Notes, "\n"), "ended early") {
				t.Errorf("%s: want some %d requests in 1.5 s, and a note: %d, %d failed, %g s, %q", name, want, r.Requests, r.Failed, r.Seconds, r.Notes)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(500*time.Millisecond, cancel)
		if _, err := run(ctx, Plan{Clients: 1, Stages: constant(1, time.Minute), Warmup: time.Second, Timeout: time.Minute}, taking(0), nil, bubbled); err == nil {
			t.Error("a load that ended in its warm-up has a result")
		}
	})
}

func TestAClientThatNeverComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forever := make(chan struct{})
		r := mustRun(t, Plan{Clients: 2, Stages: constant(1, 3*time.Second), Timeout: time.Second}, func(int) (Client, error) {
			return &fake{do: func() Answer { <-forever; return good() }}, nil
		}, nil)
		if r.Requests != 0 || !strings.Contains(strings.Join(r.Notes, "\n"), "did not come back") {
			t.Errorf("%d requests, %q", r.Requests, r.Notes)
		}
		close(forever)
	})
}

func TestAClientThatCannotBeMade(t *testing.T) {
	refused := errors.New("refused")
	closed := 0
	_, err := run(t.Context(), Plan{Clients: 5, Stages: constant(1, time.Second), Timeout: time.Second}, func(i int) (Client, error) {
		if i == 2 {
			return nil, refused
		}
		return &fake{closed: make(chan struct{}), do: func() Answer { closed++; return good() }}, nil
	}, nil, bubbled)
	if !errors.Is(err, refused) || closed != 0 {
		t.Errorf("%v, %d requests made", err, closed)
	}
}

func TestFailuresAreBounded(t *testing.T) {
	var e errorTally
	for i := range 1000 {
		e.add(fmt.Errorf("number %d %s", i, strings.Repeat("x", 10_000)), 1)
	}
	e.add(errors.New("often"), 1000) // comes too late to be told apart
	if len(e.counts) > maxErrors+1 {
		t.Fatalf("%d are kept", len(e.counts))
	}
	told := e.most()
	var sum int64
	for text, n := range told {
		sum += n
		if len(text) > maxErrorText+3 {
			t.Errorf("%d bytes are told", len(text))
		}
	}
	if sum != 2000 || len(told) > maxErrorsTold+1 {
		t.Errorf("%d failures of %d sorts are told, want 2000 of at most %d", sum, len(told), maxErrorsTold+1)
	}
}

func TestMostFrequentFailuresAreTold(t *testing.T) {
	var e errorTally
	for i := range 100 {
		e.add(fmt.Errorf("rare %d", i), int64(1+i%2))
	}
	e.add(errors.New("often"), 50)
	if told := e.most(); told["often"] != 50 || told[errOther.Error()] != 200-50-19*2+0 {
		t.Errorf("%v", told)
	}
}

func TestCountingDoesNotAllocate(t *testing.T) {
	r := newRecorder(0, 2)
	c := r.client(1)
	a := good()
	if n := testing.AllocsPerRun(1000, func() { c.count(order{start: 1, free: true, ok: true}, 2, 3e6, &a) }); n != 0 {
		t.Errorf("counting a request allocates %g times", n)
	}
}

func TestBuckets(t *testing.T) {
	for _, d := range []time.Duration{0, 63, 64, 2047 << 6, 2048 << 6, 2049 << 6, 4095 << 6, 4096 << 6, 99_999_999, time.Second, time.Hour - 1, time.Hour, 2 * time.Hour} {
		got, want := bucketFloor(bucketOf(d)), min(d, time.Hour)
		if got > want || want-got > max(want/1000, 63) {
			t.Errorf("%s counts as %s", d, got)
		}
	}
	if bucketOf(-5) != 0 || bucketOf(math.MaxInt64) >= buckets {
		t.Error("what can't be has no bucket")
	}
}

// Each step has its own figures: what was due in it and failed or came late, whenever it was answered, and the answers
// that came while it lasted.
func TestSteps(t *testing.T) {
	steps := func(t *testing.T, ctx context.Context, stages []Stage, do func() Answer) []result.Step {
		t.Helper()
		r, err := run(ctx, Plan{Clients: 1, Stages: stages, Warmup: time.Second, Timeout: time.Minute}, func(int) (Client, error) {
			return &fake{do: do}, nil
		}, nil, bubbled)
		if err != nil {
			t.Fatal(err)
		}
		return r.Steps
	}
	second := func(rates ...float64) (stages []Stage) {
		for _, r := range rates {
			stages = append(stages, constant(r, time.Second)...)
		}
		return stages
	}
	slow := func() Answer { time.Sleep(10 * time.Millisecond); return good() } // 100 a second
	synctest.Test(t, func(t *testing.T) {
		got := steps(t, t.Context(), second(50, 200, 20), slow)
		if len(got) != 3 {
			t.Fatalf("%d steps: want 3", len(got))
		}
		// The second step's last half is answered in the third, and so late that its own requests wait for it.
		for i, want := range []struct {
			rate, seconds, reached float64
			count                  int64
			p50, p99               time.Duration
		}{
			{50, 1, 50, 50, 10 * time.Millisecond, 10 * time.Millisecond},
			{200, 1, 100, 200, 510 * time.Millisecond, 1000 * time.Millisecond},
			{20, 1.2, 100, 20, 610 * time.Millisecond, 1010 * time.Millisecond},
		} {
			s := &got[i]
			if s.From != want.rate || s.To != want.rate || math.Abs(s.Seconds-want.seconds) > 0.02 || math.Abs(s.Reached-want.reached) > 3 || s.Failed != 0 || s.Latency.Count != want.count {
				t.Errorf("step %d: %+v", i+1, s)
			}
			if p50, p99 := at(t, s.Latency, 50), at(t, s.Latency, 99); (p50-want.p50).Abs() > 20*time.Millisecond || (p99-want.p99).Abs() > 20*time.Millisecond {
				t.Errorf("step %d: p50 %s, p99 %s: want %s, %s", i+1, p50, p99, want.p50, want.p99)
			}
		}
	})
	synctest.Test(t, func(t *testing.T) {
		// The second step is over after 100 of its 500 requests, and 100 more are sent late: the others are its failures.
		got := steps(t, t.Context(), second(50, 500), slow)
		if got[0].Failed != 0 || got[1].Failed < 290 || got[1].Failed > 310 || got[1].Latency.Count != 500 {
			t.Errorf("%+v", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		got := steps(t, t.Context(), second(100, 100), func() Answer {
			if time.Since(began) < 2*time.Second {
				return good()
			}
			return Answer{Err: errors.New("no")}
		})
		if got[0].Failed != 0 || got[1].Failed != 100 || got[1].Reached != 0 || got[1].Latency.Count != 0 {
			t.Errorf("what fails in the second step: %+v", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(2500*time.Millisecond, cancel) // 1.5 s behind the warm-up
		if got := steps(t, ctx, second(10, 20, 40), good); len(got) != 2 || math.Abs(got[1].Seconds-0.5) > 0.01 || math.Abs(got[1].Reached-20) > 2 {
			t.Errorf("ended within the second step: %+v", got)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(1900*time.Millisecond, cancel)
		got := steps(t, ctx, second(10, 10), func() Answer { time.Sleep(200 * time.Millisecond); return good() })
		if len(got) != 1 || math.Abs(got[0].Seconds-1) > 0.01 || math.Abs(got[0].Reached-5) > 0.1 {
			t.Errorf("ended within the first step, whose last answer comes when it would be over: %+v", got)
		}
		for name, stages := range map[string][]Stage{"one": second(10), "ramp": {{From: 1, To: 10, Duration: time.Second}}, "closed": {{Duration: time.Second}, {Duration: time.Second}}} {
			if got := steps(t, t.Context(), stages, slow); got != nil {
				t.Errorf("%s: %+v: want none", name, got)
			}
		}
	})
}

// What the shards counted together is what one histogram counts.
func TestMergedShardsAreOneHistogram(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	r := newRecorder(0, 5)
	want := result.NewHistogram()
	var running sync.WaitGroup
	for i := range 7 {
		times := make([]time.Duration, 5000)
		for j := range times {
			times[j] = time.Duration(math.Exp(random.Float64() * 29))
			want.Record(times[j])
		}
		running.Go(func() {
			a := good()
			for _, d := range times {
				r.client(i).count(order{ok: true}, 0, d, &a)
			}
		})
	}
	running.Wait()
	s := r.sum(true)
	got, err := histogramOf(s.latency, nil).Distribution()
	if err != nil {
		t.Fatal(err)
	}
	expected, err := want.Distribution()
	if err != nil {
		t.Fatal(err)
	}
	if s.requests != 35_000 || got.Count != 35_000 || got.HDR != expected.HDR || got.HDR == "" || !slices.Equal(got.Percentiles, expected.Percentiles) {
		t.Errorf("seed %d: %+v, want %+v", seed, got, expected)
	}
}

func TestAHarnessThatIsLateSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const late = 3 * time.Millisecond
		r, err := run(t.Context(), Plan{Clients: 10, Stages: constant(10, 5*time.Second), Timeout: time.Second}, taking(0), nil, func() (func(time.Duration), func(), error) {
			return func(d time.Duration) { time.Sleep(d + late) }, func() {}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := at(t, r.Lateness, 50).Round(100 * time.Microsecond); got != late || at(t, r.Latency, 50) < late-10*time.Microsecond {
			t.Errorf("a harness that is %s late says that it is %s", late, got)
		}
		if !strings.Contains(strings.Join(r.Notes, "\n"), "started late") {
			t.Errorf("notes: %q", r.Notes)
		}
	})
}
