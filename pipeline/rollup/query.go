package rollup

import (
	"time"

	"carom/pipeline/event"
)

// Query asks for one score.
type Query struct {
	Account string
	Sender  string
	// Sequence is nil for the whole sender; a pointer to "" asks for the mail that has no sequence.
	Sequence *string
	// Window is 24h, 7d or 30d, or any other number of whole hours up to 30 days.
	Window time.Duration
	// AsOf is the time that the answer speaks of, rounded up to the minute. Later facts still correct the cohorts that
	// were complete by then; what completed later is left out.
	AsOf event.Millis
}

// SendersQuery asks for a page of the scores of an account's senders.
type SendersQuery struct {
	Account string
	Window  time.Duration
	AsOf    event.Millis
	// Sort is one of SortKeys, descending with "-" before it; empty for "sender".
	Sort string
	// Limit is 1 to MaxLimit; 0 is DefaultLimit.
	Limit int
	// After is the cursor that the page before returned, empty for the first. The pages that follow speak of the
	// time of the first, whatever AsOf says.
	After string
}

// QueryError says which part of a query can't be answered, in the words of the API.
type QueryError struct {
	Field   string // for example "window"
	Problem string
}

func (e *QueryError) Error() string { return "rollup: " + e.Field + ": " + e.Problem }
