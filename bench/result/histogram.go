package result

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// The geometry of our histograms: nanoseconds, which is what tools for HdrHistogram's files take values for, kept to 64 ns
// (the power of two below 100) and, above 0.13 ms, to three digits.
const (
	unitNanos  = 100
	mostNanos  = int64(time.Hour)
	digits     = 3
	mostDigits = 3 // of a histogram that is read: with 3 it takes 0.5 MB at most, with 5 it would take 50
)

// Histogram counts times. It takes some 220 KB; one goroutine uses it at a time.
type Histogram struct {
	h *hdr.Histogram
}

// NewHistogram returns one that is empty.
func NewHistogram() *Histogram { return &Histogram{hdr.New(unitNanos, mostNanos, digits)} }

// Record counts d: as 0 if it is negative, as an hour if it is longer.
func (h *Histogram) Record(d time.Duration) {
	_ = h.h.RecordValue(min(max(int64(d), 0), mostNanos)) // within its bounds it cannot fail
}

// RecordMany counts d n times.
func (h *Histogram) RecordMany(d time.Duration, n int64) {
	_ = h.h.RecordValues(min(max(int64(d), 0), mostNanos), n) // within its bounds it cannot fail
}

// Add counts what other has counted.
func (h *Histogram) Add(other *Histogram) error {
	if dropped := h.h.Merge(other.h); dropped > 0 {
		return fmt.Errorf("add histograms: %d values are longer than an hour or too many", dropped)
	}
	return nil
}

// Reset forgets everything.
func (h *Histogram) Reset() { h.h.Reset() }

// Count is how many times were recorded.
func (h *Histogram) Count() int64 { return h.h.TotalCount() }

// At is the time that p per cent did not exceed, 0 of an empty histogram.
func (h *Histogram) At(p float64) time.Duration { return time.Duration(h.h.ValueAtPercentile(p)) }

// Max is the longest time.
func (h *Histogram) Max() time.Duration {
	if h.Count() == 0 {
		return 0 // the library says 63
	}
	return time.Duration(h.h.Max())
}

// Named are the percentiles that a reader looks for.
var Named = []float64{50, 75, 90, 95, 99, 99.9, 99.99, 99.999, 100}

// stepsPerHalf is how many percentiles a plot gets between p and the middle of p and 100.
const stepsPerHalf = 5

// Distribution returns what the histogram holds. Of the percentiles between there are those only beyond which at least
// one time lies: p99.99 of a thousand times would be their maximum by another name.
func (h *Histogram) Distribution() (Distribution, error) {
	d := Distribution{Count: h.Count()}
	if d.Count == 0 {
		return d, nil
	}
	text, err := h.h.Encode(hdr.V2CompressedEncodingCookieBase)
	if err != nil {
		return Distribution{}, fmt.Errorf("encode histogram: %w", err)
	}
	d.HDR = string(text)
	d.Min, d.Max = micros(h.h.Min()), micros(h.h.Max())
	d.Mean, d.StdDev = h.h.Mean()/1000, h.h.StdDev()/1000
	ps := slices.Clone(Named)
	for half := 100.0; half*float64(d.Count) >= 100; half /= 2 {
		for i := range stepsPerHalf {
			// Six digits after the point part all that a count of 10^8 can tell apart.
			ps = append(ps, math.Round((100-half+half/2*float64(i)/stepsPerHalf)*1e6)/1e6)
		}
	}
	slices.Sort(ps)
	ps = slices.DeleteFunc(slices.Compact(ps), func(p float64) bool { return p < 100 && !supports(d.Count, p) })
	for i, v := range h.h.ValueAtPercentilesSlice(ps) {
		d.Percentiles = append(d.Percentiles, Percentile{ps[i], micros(v)})
	}
	return d, nil
}

// supports reports whether at least one of count times lies beyond p. The slack is for what 100-99.9 is in binary.
func supports(count int64, p float64) bool { return float64(count)*(100-p)/100 > 1-1e-6 }

func micros(nanos int64) float64 { return float64(nanos) / 1000 }

// At is the value of a percentile of Percentiles.
func (d *Distribution) At(p float64) (micros float64, ok bool) {
	i, ok := slices.BinarySearchFunc(d.Percentiles, p, func(x Percentile, p float64) int { return cmp.Compare(x.P, p) })
	if !ok {
		return 0, false
	}
	return d.Percentiles[i].Micros, true
}

// Histogram decodes the whole histogram, of the geometry it was written with.
func (d *Distribution) Histogram() (*Histogram, error) {
	if d.HDR == "" {
		if d.Count > 0 {
			return nil, errors.New("the whole histogram is not there: hdr is empty")
		}
		return NewHistogram(), nil
	}
	if err := checkGeometry(d.HDR); err != nil {
		return nil, err
	}
	h, err := hdr.Decode([]byte(d.HDR))
	if err != nil {
		return nil, fmt.Errorf("hdr: %w", err)
	}
	if h.TotalCount() != d.Count {
		return nil, fmt.Errorf("hdr holds %d times, count says %d", h.TotalCount(), d.Count)
	}
	return &Histogram{h}, nil
}

// checkGeometry refuses a histogram that would take much memory, before it takes it: base64 of
//
//	cookie(4) | length(4) | zlib of: cookie(4) | payload length(4) | offset(4) | digits(4) | lowest(8) | highest(8) | ratio(8) | payload
func checkGeometry(text string) error {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("hdr is no base64: %w", err)
	}
	if len(raw) < 8 {
		return errors.New("hdr is cut short")
	}
	z, err := zlib.NewReader(bytes.NewReader(raw[8:]))
	if err != nil {
		return fmt.Errorf("hdr is not compressed as it should be: %w", err)
	}
	var header [32]byte
	if _, err := io.ReadFull(z, header[:]); err != nil {
		return fmt.Errorf("hdr is cut short: %w", err)
	}
	if n := binary.BigEndian.Uint32(header[12:]); n > mostDigits {
		return fmt.Errorf("hdr keeps %d digits, %d at most are read", n, mostDigits)
	}
	return nil
}

// Merge adds distributions up, from their whole histograms.
func Merge(all ...*Distribution) (Distribution, error) {
	sum := NewHistogram()
	for _, d := range all {
		h, err := d.Histogram()
		if err == nil {
			err = sum.Add(h)
		}
		if err != nil {
			return Distribution{}, err
		}
	}
	return sum.Distribution()
}
