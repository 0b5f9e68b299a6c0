package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carom/bench/result"
)

func TestParseBound(t *testing.T) {
	for text, want := range map[string]Bound{
		"p99<10ms": {99, 10 * time.Millisecond}, " p99.9 < 1s ": {99.9, time.Second}, "max<50ms": {100, 50 * time.Millisecond},
		"p50<1us": {50, time.Microsecond}, "p99.99<1h": {99.99, time.Hour},
	} {
		if got, err := ParseBound(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		} else if again, err := ParseBound(got.String()); err != nil || again != want {
			t.Errorf("%q is written %q: %v", text, got, err)
		}
	}
	for _, text := range []string{"", "p99", "p99<", "p49<1ms", "p100<1ms", "99<1ms", "p99>1ms", "p99<0s", "p99<-1s", "p99<10", "p99<2h", "max<", "mean<1ms", "p99.99999<1s"} {
		if got, err := ParseBound(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

func TestParseRate(t *testing.T) {
	const d = 9 * time.Second
	for text, want := range map[string][]Stage{
		"":               {{Duration: d}},
		"1000":           {{1000, 1000, d}},
		"0.5":            {{0.5, 0.5, d}},
		"1000..5000":     {{1000, 5000, d}},
		"0..100":         {{0, 100, d}},
		"10, 20,40":      {{10, 10, d / 3}, {20, 20, d / 3}, {40, 40, d / 3}},
		"10..50,50,50..": nil,
		"0":              nil, "-1": nil, "x": nil, "1..2..3": nil, "NaN": nil, "Inf": nil, "1e9": nil, ",": nil,
	} {
		got, err := ParseRate(text, d)
		if (err == nil) != (want != nil) || len(got) != len(want) {
			t.Errorf("%q: %v, %v", text, got, err)
			continue
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%q: %v, want %v", text, got, want)
			}
		}
	}
}

func TestFind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Four connections that need 10 ms manage 400 a second. Above that, the line grows by the second.
		o := &notebook{}
		b := Bound{Percent: 99, Below: 50 * time.Millisecond}
		f := finder{bound: b, observer: o, measure: func(rate float64) (*result.Result, error) {
			return run(t.Context(), Plan{Clients: 4, Stages: constant(rate, 2*time.Second), Timeout: time.Second}, taking(10*time.Millisecond), nil, bubbled)
		}}
		r, err := f.find(t.Context(), 100)
		if err != nil {
			t.Fatal(err)
		}
		if r.Rate < 370 || r.Rate > 420 || len(r.Search) != len(o.tries) || len(r.Notes) > 0 {
			t.Errorf("found %g a second in %+v, %q: want 400", r.Rate, r.Search, r.Notes)
		}
		var held, failed float64
		for _, try := range r.Search {
			if try.Held {
				held = max(held, try.Wanted)
			} else if failed == 0 || try.Wanted < failed {
				failed = try.Wanted
			}
		}
		if failed > held*resolution || r.Search[len(r.Search)-1].Wanted != held {
			t.Errorf("ended between %g and %g: %+v", held, failed, r.Search)
		}
	})
}

// A harness whose timer is late, from 400 a second on, breaks the bound long before the server does.
func TestFindBlamesALateHarness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := finder{bound: Bound{Percent: 99, Below: 10 * time.Millisecond}, measure: func(rate float64) (*result.Result, error) {
			p := Plan{Clients: 8, Stages: constant(rate, time.Second), Timeout: time.Second}
			return run(t.Context(), p, taking(100*time.Microsecond), nil, func() (func(time.Duration), func(), error) {
				return func(d time.Duration) {
					if time.Sleep(d); rate >= 400 {
						time.Sleep(12 * time.Millisecond)
					}
				}, func() {}, nil
			})
		}}
		r, err := f.find(t.Context(), 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, try := range r.Search {
			if late := try.Lateness > 11_000; late == try.Held || late != (try.Wanted >= 400) {
				t.Errorf("%+v: want it late by 12 ms from 400 a second on, and held below", try)
			}
		}
		const want = "at 400 a second, which broke p99<10ms, the harness and not the server may be the limit: it sent late by 12."
		if len(r.Notes) != 1 || !strings.HasPrefix(r.Notes[0], want) {
			t.Errorf("notes %q, want one that begins with %q", r.Notes, want)
		}
	})
}

// Where few requests found a free connection, how late those were says nothing of the others: the server was busy.
func TestFindBlamesNoHarnessOfFewRequests(t *testing.T) {
	times := func(n int, of time.Duration) result.Distribution {
		h := result.NewHistogram()
		h.RecordMany(of, int64(n))
		d, err := h.Distribution()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for free, want := range map[int]int{3: 0, 60: 1} {
		f := finder{bound: Bound{Percent: 99, Below: 10 * time.Millisecond}, measure: func(rate float64) (*result.Result, error) {
			r := &result.Result{Requests: 100, Seconds: 1, Latency: times(100, time.Millisecond), Machine: result.Machine{Cores: 2}}
			if rate > 100 {
				r.Latency, r.Lateness = times(100, time.Second), times(free, 50*time.Millisecond)
			}
			return r, nil
		}}
		if r, err := f.find(t.Context(), 100); err != nil || len(r.Notes) != want {
			t.Errorf("%d of 100 sent late by half a bound: %v, %q", free, err, r.Notes)
		}
	}
}

// A harness may be the limit if it uses as much CPU as the server where that is scarce, or all of its own cores.
func TestFindBlamesABusyHarness(t *testing.T) {
	const blame = "at 103.125 a second, which broke p99<1s, the harness and not the server may be the limit: "
	for _, tt := range []struct {
		harness, server float64 // of the machine's cores
		cores           int
		want            string
	}{
		{0.3, 0.3, 4, blame + "it used 50 % of the CPU that it and the server used"},
		{0.2, 0.1, 4, ""},
		{0.3, 0.4, 4, ""},
		{0.95, 3, 1, blame + "it used 0.95 of the 1 cores that it may use"},
	} {
		f := finder{bound: Bound{Percent: 99, Below: time.Second}, measure: func(rate float64) (*result.Result, error) {
			r := &result.Result{Requests: 100, Seconds: 1, Failed: int64(max(rate-100, 0)), Machine: result.Machine{Cores: tt.cores}}
			r.Harness = result.CPU{Seconds: tt.harness, Share: tt.harness, Cores: tt.harness}
			r.Server = &result.CPU{Seconds: tt.server, Share: tt.server}
			return r, nil
		}}
		r, err := f.find(t.Context(), 100)
		if err != nil || strings.Join(r.Notes, "\n") != tt.want {
			t.Errorf("%+v: %v, %q", tt, err, r.Notes)
		}
	}
}

// A rate that does not hold when it is measured once more is a result, and an error that says which.
func TestFindUnconfirmed(t *testing.T) {
	steps := 0
	f := finder{bound: Bound{Percent: 99, Below: time.Second}, measure: func(rate float64) (*result.Result, error) {
		steps++
		r := &result.Result{Requests: 10, Rate: rate, Seconds: 1}
		if steps > 1 {
			r.Failed = 3
		}
		return r, nil
	}}
	r, err := f.find(t.Context(), 1000)
	const want = "1000 a second kept p99<1s in the search and not when measured once more: 0s, 3 failures"
	if !errors.Is(err, ErrUnconfirmed) || !strings.HasSuffix(err.Error(), ": "+want) {
		t.Errorf("%v", err)
	}
	if r == nil || r.Rate != 1000 || len(r.Search) != steps || len(r.Notes) != 1 || r.Notes[0] != want+": measure longer steps" {
		t.Errorf("%+v after %d steps", r, steps)
	}
}

// BENCH.md says how near a search comes, and what each member of a try is.
func TestSearchIsTold(t *testing.T) {
	b, err := os.ReadFile("../../deploy/BENCH.md")
	if err != nil {
		t.Fatal(err)
	}
	_, page, _ := strings.Cut(string(b), "## Searching a rate\n")
	page, _, _ = strings.Cut(page, "\n## ")
	if near := fmt.Sprintf("%.0f %%", 100*(resolution-1)); !strings.Contains(page, "within "+near+" of") {
		t.Errorf("that it comes to within %s is not told", near)
	}
	for field := range reflect.TypeFor[result.Try]().Fields() {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); !strings.Contains(page, "`"+name+"`") {
			t.Errorf("%s is not told", name)
		}
	}
}

func TestFindWhereNothingHolds(t *testing.T) {
	tries := 0
	f := finder{bound: Bound{Percent: 99, Below: time.Second}, measure: func(float64) (*result.Result, error) {
		tries++
		return &result.Result{Requests: 10, Failed: 1, Seconds: 1}, nil
	}}
	if r, err := f.find(t.Context(), 1000); err == nil || tries < 8 || tries > 12 {
		t.Errorf("%v, %v after %d steps", r, err, tries)
	}
	broken := errors.New("broken")
	f = finder{measure: func(float64) (*result.Result, error) { return nil, broken }}
	if _, err := f.find(t.Context(), 1000); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// A step in which no request is due tells nothing of its rate.
func TestFindWhereStepsAreTooShort(t *testing.T) {
	f := finder{bound: Bound{Percent: 99, Below: time.Second}, measure: func(rate float64) (*result.Result, error) {
		r := &result.Result{Requests: int64(rate / 100), Seconds: 0.01, Machine: result.Machine{Cores: 1}}
		r.Harness.Cores, r.Failed = 1, r.Requests
		return r, nil
	}}
	_, err := f.find(t.Context(), 400)
	const want = "find a rate: at 50 a second a step has no request: measure longer steps; at 100 a second, which broke p99<1s, the harness"
	if err == nil || !strings.HasPrefix(err.Error(), want) || len(f.tries) != 3 {
		t.Errorf("%v after %+v", err, f.tries)
	}
}

func TestFindWhereNothingIsRight(t *testing.T) {
	f := finder{bound: Bound{Percent: 99, Below: time.Second}, measure: func(float64) (*result.Result, error) {
		return &result.Result{Failed: 10, Seconds: 1, Errors: map[string]int64{"answered 401": 9, "cut": 1}}, nil
	}}
	if r, err := f.find(t.Context(), 1000); err == nil || !strings.Contains(err.Error(), "answered 401") || len(f.tries) != 1 {
		t.Errorf("%v, %v after %d steps: want the reason after one", r, err, len(f.tries))
	}
}

func TestFindEndedEarly(t *testing.T) {
	for steps, want := range map[int]float64{1: 0, 4: 4000, 12: 4600} {
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		f := finder{bound: Bound{Percent: 99, Below: time.Second}, measure: func(rate float64) (*result.Result, error) {
			if n++; n == steps {
				cancel() // within the step
			}
			return &result.Result{Requests: 10, Rate: rate, Seconds: 1, Failed: int64(max(rate-4700, 0))}, nil
		}}
		r, err := f.find(ctx, 1000)
		switch {
		case want == 0 && !errors.Is(err, errEnded):
			t.Errorf("%v, %v: want none", r, err)
		case want > 0 && (err != nil || r.Rate < want || r.Rate > 4700):
			t.Errorf("after %d steps: %v, %v: want what had held", steps, r, err)
		case want > 0 && n == steps && (len(r.Notes) != 1 || len(r.Search) != steps-1):
			t.Errorf("after %d steps: %+v: want a note, and the whole steps", steps, r)
		}
		cancel()
	}
}

func TestFindIsBounded(t *testing.T) {
	f := finder{bound: Bound{Percent: 99, Below: time.Second}, measure: func(rate float64) (*result.Result, error) {
		return &result.Result{Requests: 10, Rate: rate, Seconds: 1}, nil
	}}
	if r, err := f.find(t.Context(), 1000); err != nil || r.Rate > maxRate || len(f.tries) > maxTries {
		t.Errorf("%v after %d steps", err, len(f.tries))
	}
}
