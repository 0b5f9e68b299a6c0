package log

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/kv"
)

// Mirror is a local copy of one partition of a log that is kept elsewhere.
type Mirror struct{}

var _ Reader = (*Mirror)(nil)

// OpenMirror opens the copy as log logID of s.
func OpenMirror(s *kv.Store, logID byte, partition int32, log *zap.Logger, reg prometheus.Registerer) (*Mirror, error) {
	return &Mirror{}, nil
}

// Partition returns the number of the partition.
func (m *Mirror) Partition() int32 { panic("BUG: not there") }

// Bounds returns the oldest offset that was copied, and the one after the last that was looked at.
func (m *Mirror) Bounds() (oldest, next int64) { panic("BUG: not there") }

// Refresh does nothing: the copy is at hand.
func (m *Mirror) Refresh(context.Context) error { return nil }

// Read is Reader's.
func (m *Mirror) Read(ctx context.Context, from int64, max int, dst []Record) ([]Record, error) {
	panic("BUG: not there")
}

// Run copies from in until ctx is done.
func (m *Mirror) Run(ctx context.Context, in Reader) error { panic("BUG: not there") }

// OnPassed sets what is called after each commit: all source records before offset are here. Set it before Run.
func (m *Mirror) OnPassed(fn func(offset int64)) { panic("BUG: not there") }

// Passed returns the source offset that is copied next.
func (m *Mirror) Passed() int64 { panic("BUG: not there") }

// Trim removes the records before offset before.
func (m *Mirror) Trim(before int64) error { panic("BUG: not there") }
