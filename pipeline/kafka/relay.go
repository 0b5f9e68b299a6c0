package kafka

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/log"
)

// Relay copies the journal to the raw topic. Its cursor is the sequence before which everything is acknowledged; it is
// kept in the state store.
type Relay struct{}

// NewRelay returns the relay of the journal j with that incarnation. It reads the cursor and starts nothing.
func (p *Producer) NewRelay(j log.Reader, incarnation [16]byte, store *kv.Store, logger *zap.Logger, reg prometheus.Registerer) (*Relay, error) {
	panic("BUG")
}

// OnPassed lets fn be called with the cursor when it has moved, and once at the start: the journal may trim what is
// before it. It must be called before Run.
func (r *Relay) OnPassed(fn func(offset int64)) {}

// Run relays until ctx is done. It returns an error only for a local failure: of the store or of the journal.
func (r *Relay) Run(ctx context.Context) error { panic("BUG") }

// Passed returns the cursor.
func (r *Relay) Passed() int64 { return 0 }
