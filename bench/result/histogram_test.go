package result

import (
	"encoding/base64"
	"math"
	"strings"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

func TestDistribution(t *testing.T) {
	h := NewHistogram()
	for i := 1; i <= 1000; i++ {
		h.Record(time.Duration(i) * 100 * time.Microsecond)
	}
	d, err := h.Distribution()
	if err != nil {
		t.Fatal(err)
	}
	if d.Count != 1000 || h.Count() != 1000 {
		t.Errorf("%d times", d.Count)
	}
	near(t, "min", d.Min, 100)
	near(t, "mean", d.Mean, 50_050)
	near(t, "deviation", d.StdDev, 28_867)
	near(t, "max", d.Max, 100_000)
	for p, want := range map[float64]float64{50: 50_000, 75: 75_000, 90: 90_000, 95: 95_000, 99: 99_000, 99.9: 99_900, 100: 100_000} {
		got, ok := d.At(p)
		if !ok {
			t.Errorf("p%g is not there", p)
		}
		near(t, "percentile", got, want)
		near(t, "percentile of the histogram", float64(h.At(p))/1000, want)
	}
	for _, p := range []float64{99.99, 99.999, 42.5} {
		if v, ok := d.At(p); ok {
			t.Errorf("of a thousand times, p%g is %g", p, v)
		}
	}
	if len(d.Percentiles) < 40 || d.Percentiles[0].P != 0 {
		t.Errorf("a plot needs more than %v", d.Percentiles)
	}
	c := checker{}
	if c.distribution("d", &d); c.err != nil {
		t.Error(c.err)
	}
}

// near takes 0.1 %, what three digits promise.
func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > want/1000 {
		t.Errorf("%s is %g, want %g", what, got, want)
	}
}

func TestHistogramTakesAnything(t *testing.T) {
	h := NewHistogram()
	if h.At(99) != 0 || h.Max() != 0 {
		t.Errorf("of no times, p99 is %v and the longest %v", h.At(99), h.Max())
	}
	d, err := h.Distribution()
	if err != nil || d.HDR != "" || d.Percentiles != nil {
		t.Errorf("of no times: %+v, %v", d, err)
	}
	h.Record(-time.Second)
	h.Record(math.MaxInt64)
	near(t, "longest", h.Max().Hours(), 1)
	if h.Count() != 2 || h.At(50) > 64 {
		t.Errorf("%d times, half of them within %v", h.Count(), h.At(50))
	}
	if h.Reset(); h.Count() != 0 {
		t.Error("nothing is forgotten")
	}
}

func TestMergeIsOneHistogram(t *testing.T) {
	whole, parts := NewHistogram(), []*Distribution{}
	for part := range 3 {
		h := NewHistogram()
		for i := range 500 {
			d := time.Duration(part*part+1) * time.Duration(i) * time.Microsecond
			h.Record(d)
			whole.Record(d)
		}
		d, err := h.Distribution()
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, &d)
	}
	want, err := whole.Distribution()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Merge(append(parts, &Distribution{})...)
	if err != nil {
		t.Fatal(err)
	}
	if got.HDR != want.HDR || got.Count != want.Count || got.Mean != want.Mean || len(got.Percentiles) != len(want.Percentiles) {
		t.Errorf("the parts come to %+v, the whole is %+v", got, want)
	}
	if _, err := Merge(&Distribution{Count: 1}); err == nil {
		t.Error("what has no histogram is merged")
	}
}

// TestOtherTools reads a histogram as other programs write it, and lets the library read ours.
func TestOtherTools(t *testing.T) {
	foreign := hdr.New(1, int64(24*time.Hour), 2)
	for i := range int64(100) {
		if err := foreign.RecordValue(i * 1e6); err != nil {
			t.Fatal(err)
		}
	}
	d := Distribution{Count: 100, HDR: encode(t, foreign)}
	h, err := d.Histogram()
	if err != nil {
		t.Fatal(err)
	}
	if got := h.At(50); got < 49*time.Millisecond || got > 50*time.Millisecond {
		t.Errorf("p50 is %v", got)
	}
	ours := NewHistogram()
	ours.Record(time.Millisecond)
	if err := ours.Add(h); err != nil || ours.Count() != 101 {
		t.Errorf("%d times, %v", ours.Count(), err)
	}
	own, err := ours.Distribution()
	if err != nil {
		t.Fatal(err)
	}
	read, err := hdr.Decode([]byte(own.HDR))
	if err != nil || read.TotalCount() != 101 || read.Max() < 98e6 || read.Max() > 99e6 {
		t.Errorf("the library reads %d times up to %d, %v", read.TotalCount(), read.Max(), err)
	}
}

func encode(t *testing.T, h *hdr.Histogram) string {
	t.Helper()
	text, err := h.Encode(hdr.V2CompressedEncodingCookieBase)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestBadHistograms(t *testing.T) {
	good := hdr.New(1, 1000, 3)
	if err := good.RecordValue(5); err != nil {
		t.Fatal(err)
	}
	text := encode(t, good)
	for name, c := range map[string]struct {
		d    Distribution
		want string
	}{
		"missing":   {Distribution{Count: 1}, "is not there"},
		"no base64": {Distribution{Count: 1, HDR: "%"}, "no base64"},
		"short":     {Distribution{Count: 1, HDR: "AAAA"}, "cut short"},
		"no zlib":   {Distribution{Count: 1, HDR: base64.StdEncoding.EncodeToString(make([]byte, 50))}, "not compressed"},
		"cut":       {Distribution{Count: 1, HDR: text[:len(text)/8*4]}, "hdr"},
		"another":   {Distribution{Count: 2, HDR: text}, "holds 1 times, count says 2"},
		"wide":      {Distribution{Count: 1, HDR: encode(t, hdr.New(1, math.MaxInt64, 5))}, "keeps 5 digits"},
	} {
		if _, err := c.d.Histogram(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestRecordAllocatesNothing(t *testing.T) {
	h := NewHistogram()
	if n := testing.AllocsPerRun(100, func() { h.Record(time.Millisecond) }); n != 0 {
		t.Errorf("%g allocations", n)
	}
}
