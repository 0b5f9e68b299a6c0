package log

import (
	"context"
	"errors"

	"carom/kv"
	"carom/pipeline/event"
)

// Record is one entry of a partition.
type Record struct {
	Offset int64
	// Time is the log time: when the record was appended. It never runs back within a partition.
	Time event.Millis
	// Key chooses the partition and is compared by compacted topics; may be empty.
	Key   []byte
	Value []byte
	// Source says where a raw record was journaled; zero in other logs.
	Source event.Source
}

// ErrTrimmed is returned by Read for an offset that the log no longer holds.
var ErrTrimmed = errors.New("log: offset was trimmed")

// Reader reads one partition. It is safe for concurrent use.
type Reader interface {
	// Read appends records from offset from on to dst, at most max, and blocks until there is at least one or
	// ctx is done. The records' memory belongs to the caller. An offset before the oldest record is ErrTrimmed.
	Read(ctx context.Context, from int64, max int, dst []Record) ([]Record, error)
	// Bounds returns the oldest offset that can be read, and the one that the next record will get.
	Bounds() (oldest, next int64)
	// Partition returns the number of the partition.
	Partition() int32
}

// Writer writes what a stage releases. One stage owns it; its calls do not overlap.
type Writer interface {
	// Write makes recs part of the log together with b (Local: inside it; Kafka: acknowledged before it returns,
	// and so before b). Offset and Time of recs are ignored: the log gives its own offsets; at is the log time of
	// the input that released them.
	Write(ctx context.Context, b *kv.Batch, at event.Millis, recs []Record) error
	// Committed is called after b is on disk; only then do readers see the records.
	Committed()
}

// Ticker appends a tick: a record that is no fact, for a log that is silent while something waits.
type Ticker interface {
	Tick(ctx context.Context) error
}
