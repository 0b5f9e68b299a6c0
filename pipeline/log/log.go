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
	// Head is what routers see of a refined event; zero in other logs. A Local does not keep it.
	Head event.Head
}

// ErrTrimmed is returned by Read for an offset that the log no longer holds.
var ErrTrimmed = errors.New("log: offset was trimmed")

// Reader reads one partition. It is safe for concurrent use.
type Reader interface {
	// Read appends records from offset from on to dst, at most max, and blocks until there is at least one or
	// ctx is done. The records' memory belongs to the caller. An offset before the oldest record is ErrTrimmed.
	Read(ctx context.Context, from int64, max int, dst []Record) ([]Record, error)
	// Bounds returns the oldest offset that can be read, and the one that the next record will get, as far as is known:
	// of a log that is kept elsewhere Refresh or Read must have been there first.
	Bounds() (oldest, next int64)
	// Refresh brings Bounds up to date. It returns at once where the log is at hand, and otherwise waits for whoever
	// keeps it, until ctx is done.
	Refresh(ctx context.Context) error
	// Partition returns the number of the partition.
	Partition() int32
}

// Writer writes what a stage releases. One stage owns it; its calls do not overlap.
type Writer interface {
	// Write makes recs part of the log together with b (Local: inside it; Kafka: acknowledged before it returns,
	// and so before b). Offset of recs is ignored: the log gives its own. Time is the log time of the input that
	// released a record; it must not run back. It keeps nothing of recs.
	Write(ctx context.Context, b *kv.Batch, recs []Record) error
	// Committed is called after b is on disk; only then do readers see the records.
	Committed()
}

// Ticker appends a tick: a record that is no fact, for a log that is silent while something waits.
type Ticker interface {
	Tick(ctx context.Context) error
}
