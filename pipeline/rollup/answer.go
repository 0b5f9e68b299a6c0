package rollup

import (
	"fmt"
	"time"

	"carom/pipeline/event"
	"carom/pipeline/score"
)

// Score is the score object of DESIGN §11: all that is known of a sender, or one of its sequences, at one time.
type Score struct {
	Account  string `json:"account"`
	Sender   string `json:"sender"`
	Sequence string `json:"sequence"` // empty for the whole sender
	Provider string `json:"provider,omitempty"`
	Window   string `json:"window"`
	score.Counts
	Recent Recent `json:"recent"`
	score.Result
	AsOf Stamp `json:"as_of"`
	// Known reports that any fact of the sender, or of the sequence, was seen.
	Known bool `json:"-"`
}

// Recent is what was sent of late, for alarms that can't wait for completion.
type Recent struct {
	Hour Period `json:"hour"`
	Day  Period `json:"day"`
}

// Period counts messages by the time they were sent.
type Period struct {
	Sent int64 `json:"sent"`
	// Bounced of those: a bounce without a later delivery, open, click or reply of the same message.
	Bounced int64 `json:"bounced"`
}

// Stamp is a time that JSON shows as "2006-01-02T15:04:05.000Z", the form that events have.
type Stamp event.Millis

const stampLayout = "2006-01-02T15:04:05.000Z"

// MarshalText writes s in its JSON form.
func (s Stamp) MarshalText() ([]byte, error) {
	return time.UnixMilli(int64(s)).UTC().AppendFormat(nil, stampLayout), nil
}

// UnmarshalText reads what MarshalText wrote, and any other time of RFC 3339.
func (s *Stamp) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		return fmt.Errorf("rollup: %w", err)
	}
	*s = Stamp(t.UnixMilli())
	return nil
}
