package pipeline

import (
	"errors"

	"carom/pipeline/journal"
)

// UnrecordedError is returned for an event that is not on disk.
type UnrecordedError struct {
	reason string
	err    error
}

// Error says what failed.
func (e *UnrecordedError) Error() string { return "accept: event not recorded: " + e.err.Error() }

// Unwrap returns the journal's error.
func (e *UnrecordedError) Unwrap() error { return e.err }

// Reason returns why in one word, for a metric's label: shed, full, stalled, closed, too_large, read_only or error.
func (e *UnrecordedError) Reason() string { return e.reason }

func reasonOf(err error) string {
	for _, r := range [...]struct {
		err    error
		reason string
	}{
		{journal.ErrShed, "shed"},
		{journal.ErrFull, "full"},
		{journal.ErrStalled, "stalled"},
		{journal.ErrClosed, "closed"},
		{journal.ErrTooLarge, "too_large"},
		{journal.ErrReadOnly, "read_only"},
	} {
		if errors.Is(err, r.err) {
			return r.reason
		}
	}
	return "error"
}
