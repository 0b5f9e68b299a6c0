package load

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The layout of an HDR histogram with three significant digits, in microseconds: below 2,048 each value has its bucket,
// above it every doubling has 1,024.
const (
	linear   = 2048
	halves   = linear / 2
	doubling = 21
	// highest is what a longer time counts as: an hour.
	highest = int64(time.Hour / time.Microsecond)
	buckets = linear + doubling*halves
)

// histogram counts times in the buckets of an HDR histogram, from any goroutine and without a lock, which the library's
// own does not. A snapshot of it becomes one of the library's.
type histogram struct {
	counts [buckets]atomic.Uint64
}

// bucketOf returns the bucket of a time in microseconds.
func bucketOf(micros int64) int {
	if micros < linear {
		return int(max(micros, 0))
	}
	micros = min(micros, highest)
	shift := bits.Len64(uint64(micros)) - bits.Len64(linear-1)
	return linear + (shift-1)*halves + int(micros>>shift) - halves
}

// bucketFloor is the least time of a bucket.
func bucketFloor(b int) int64 {
	if b < linear {
		return int64(b)
	}
	shift := (b-linear)/halves + 1
	return int64((b-linear)%halves+halves) << shift
}

func (h *histogram) record(d time.Duration) { h.counts[bucketOf(d.Microseconds())].Add(1) }

func (h *histogram) recordMany(d time.Duration, n int64) {
	h.counts[bucketOf(d.Microseconds())].Add(uint64(n))
}

// addTo adds to the sums of the buckets.
func (h *histogram) addTo(sums []int64) {
	for i := range h.counts {
		if n := h.counts[i].Load(); n > 0 {
			sums[i] += int64(n)
		}
	}
}

// hdr makes the library's histogram from the sums of the buckets, or from what they grew by since they were before.
func hdr(sums, before []int64) *hdrhistogram.Histogram {
	h := hdrhistogram.New(1, highest, 3)
	for i, n := range sums {
		if before != nil {
			n -= before[i]
		}
		if n > 0 {
			_ = h.RecordValues(bucketFloor(i), n) // within its bounds by construction
		}
	}
	return h
}
