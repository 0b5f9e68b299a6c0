package load

import (
	"math/bits"
	"sync/atomic"
	"time"

	"carom/bench/result"
)

// The layout of result.Histogram: units of 64 ns; below 2,048 units each has its bucket, above them every doubling has
// 1,024.
const (
	unitBits = 6
	linear   = 2048
	halves   = linear / 2
	doubling = 25
	buckets  = linear + doubling*halves
	// highest is what a longer time counts as.
	highest = int64(time.Hour) >> unitBits
)

// histogram counts times in the buckets of a result.Histogram, from any goroutine and without a lock, which that does
// not. A snapshot of it becomes one.
type histogram struct {
	counts [buckets]atomic.Uint64
}

// bucketOf returns the bucket of a time.
func bucketOf(d time.Duration) int {
	units := min(int64(d)>>unitBits, highest)
	if units < linear {
		return int(max(units, 0))
	}
	shift := bits.Len64(uint64(units)) - bits.Len64(linear-1)
	return linear + (shift-1)*halves + int(units>>shift) - halves
}

// bucketFloor is the least time of a bucket.
func bucketFloor(b int) time.Duration {
	if b < linear {
		return time.Duration(b) << unitBits
	}
	shift := (b-linear)/halves + 1
	return time.Duration((b-linear)%halves+halves) << shift << unitBits
}

func (h *histogram) record(d time.Duration) { h.counts[bucketOf(d)].Add(1) }

func (h *histogram) recordMany(d time.Duration, n int64) { h.counts[bucketOf(d)].Add(uint64(n)) }

// addTo adds to the sums of the buckets.
func (h *histogram) addTo(sums []int64) {
	for i := range h.counts {
		if n := h.counts[i].Load(); n > 0 {
			sums[i] += int64(n)
		}
	}
}

// histogramOf makes a histogram from the sums of the buckets, or from what they grew by since they were before.
func histogramOf(sums, before []int64) *result.Histogram {
	h := result.NewHistogram()
	for i, n := range sums {
		if before != nil {
			n -= before[i]
		}
		if n > 0 {
			h.RecordMany(bucketFloor(i), n)
		}
	}
	return h
}
