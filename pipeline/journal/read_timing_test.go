package journal

import (
	"context"
	"fmt"
	"testing"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// BenchmarkRead reads a journal of 100,000 records, in batches as 256 clients make them.
func BenchmarkRead(b *testing.B) {
	s, err := kv.Open(b.TempDir(), kv.Options{})
	if err != nil {
		b.Fatal(err)
	}
	j, err := Open(s, Default(), Deps{Node: "n"})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _, _ = j.Close(), s.Close() }()
	const records = 100_000
	many := make([]*event.Event, 100)
	for i := range many {
		many[i] = pixel()
	}
	for range records / len(many) {
		if err := j.Append(HumanOpen, many...); err != nil {
			b.Fatal(err)
		}
	}
	readTiming(b, j, records)
}

func readTiming(b *testing.B, j *Journal, records int64) {
	for _, atOnce := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("at-once=%d", atOnce), func(b *testing.B) {
			var recs []log.Record
			b.SetBytes(int64(len(pixel().AppendBinary(nil))))
			b.ReportAllocs()
			for n, from := 0, int64(0); n < b.N; n += len(recs) {
				var err error
				if recs, err = j.Read(context.Background(), from, min(atOnce, b.N-n), recs[:0]); err != nil {
					b.Fatal(err)
				}
				if from += int64(len(recs)); from == records {
					from = 0
				}
			}
		})
	}
}
