package kafka

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"carom/pipeline/log"
)

// Reader is a log.Reader of one partition of a topic.
type Reader struct {
	client    *Client
	kind      string
	partition int32
}

var _ log.Reader = (*Reader)(nil)

// NewReader returns a reader of a partition of the topic kind. It connects to nothing yet.
func (c *Client) NewReader(kind string, partition int32, reg prometheus.Registerer) *Reader {
	return &Reader{client: c, kind: kind, partition: partition}
}

// Partition returns the number of the partition.
func (r *Reader) Partition() int32 { return r.partition }

// Bounds returns the oldest offset and the next one, as the last answer of the brokers told them.
func (r *Reader) Bounds() (oldest, next int64) { panic("BUG: not there") }

// Refresh asks the brokers for the bounds, and waits for them until ctx is done.
func (r *Reader) Refresh(ctx context.Context) error { panic("BUG: not there") }

// Read is log.Reader's.
func (r *Reader) Read(ctx context.Context, from int64, max int, dst []log.Record) ([]log.Record, error) {
	panic("BUG: not there")
}

// Close ends all reading. It can be called twice.
func (r *Reader) Close() error { panic("BUG: not there") }
