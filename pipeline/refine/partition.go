package refine

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// Partition refines one partition of the raw log.
type Partition struct{}

// Message is what is known of one message.
type Message struct {
	event.Ref
	// Recipient is the registered address, empty before the message's sent event.
	Recipient string
	// Registered reports that the message's sent event was seen; a token alone makes it known, not registered.
	Registered bool
	// Status is one of STATUSES.md.
	Status string
	// Events are the refined events of the message, oldest first by event time, at most MaxEvents.
	Events []event.Refined
	// Truncated reports that the message has more events than that.
	Truncated bool
}

// Open reads where the partition stands in store.
func Open(o Options, store *kv.Store, in log.Reader, events, rejects log.Writer, ticker log.Ticker, logger *zap.Logger, reg prometheus.Registerer) (*Partition, error) {
	return &Partition{}, nil
}

// Run refines until ctx is done or something fails.
func (p *Partition) Run(ctx context.Context) error { return nil }

// OnPassed has fn called after each commit with the new Passed. Call it before Run.
func (p *Partition) OnPassed(fn func(offset int64)) {}

// Passed returns the offset of the first input record that is not yet durably behind the partition.
func (p *Partition) Passed() int64 { return 0 }

// Message returns what is known of a message, and whether anything is. It is safe while Run runs.
func (p *Partition) Message(account, message string) (Message, bool, error) { return Message{}, false, nil }
