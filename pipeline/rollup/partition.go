package rollup

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/log"
	"carom/pipeline/score"
)

// Partition keeps the cohorts of one partition of the log of events.
type Partition struct{}

// Open reads where the partition stands in store. reg may be nil.
func Open(o Options, so score.Options, store *kv.Store, in log.Reader, logger *zap.Logger, reg prometheus.Registerer) (*Partition, error) {
	return &Partition{}, nil
}

// Run counts until ctx is done or something fails.
func (p *Partition) Run(ctx context.Context) error { return nil }

// Passed returns the offset of the first input record that is not yet durably counted.
func (p *Partition) Passed() int64 { return 0 }

// Score returns one score.
func (p *Partition) Score(q Query) (Score, error) { return Score{}, nil }

// Senders returns a page of scores, and the cursor of the next page: empty if there is none.
func (p *Partition) Senders(q SendersQuery) (page []Score, next string, err error) { return nil, "", nil }

// Sequences returns the score of every sequence of a sender, by name; q.Sequence is not used.
func (p *Partition) Sequences(q Query) ([]Score, error) { return nil, nil }
