package suppress

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// Secret keys the hashes of addresses.
type Secret [32]byte

// Teller journals what suppress says itself: inquiries and alerts. It returns when that is durable.
type Teller interface {
	Facts(evs ...*event.Event) error
}

// Partition decides about addresses: the only one of the system.
type Partition struct{}

// Open reads where the stage stands in store; in itself is not asked before Run. reg may be nil.
func Open(o Options, secret Secret, store *kv.Store, in log.Reader, out log.Writer, teller Teller, logger *zap.Logger, reg prometheus.Registerer) (*Partition, error) {
	panic("BUG: not written yet")
}

// Run decides until ctx is done, which is no error, or something fails. It is called once.
func (p *Partition) Run(ctx context.Context) error { panic("BUG: not written yet") }

// Passed returns the offset of the first input record that is not yet durably decided. It is safe while Run runs.
func (p *Partition) Passed() int64 { panic("BUG: not written yet") }
