package webhook

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"carom/pipeline/control"
	"carom/pipeline/event"
)

// The states of a webhook.
const (
	Active = "active"
	// Paused: its server did not take a batch for so long that nobody tries any more.
	Paused = "paused"
	// Disabled: its server has said that it wants no more.
	Disabled = "disabled"
)

// state is what became of a webhook, as all nodes know it.
type state struct {
	ID     string       `json:"id"`  // of the webhook
	Tag    string       `json:"tag"` // of the definition that a pause is about
	State  string       `json:"state"`
	Reason string       `json:"reason,omitempty"`
	At     event.Millis `json:"at"`
	// Serial is another one each time that a webhook is resumed.
	Serial uint64 `json:"serial,omitempty"`
	// From says, by partition, where a resumed webhook goes on, as varints; empty: where each node was.
	From []byte `json:"from,omitempty"`
}

func appendOffsets(dst []byte, offsets []int64) []byte {
	for _, o := range offsets {
		dst = binary.AppendUvarint(dst, uint64(o))
	}
	return dst
}

// from returns where the partition goes on, if that was said.
func (s *state) from(partition int32) (int64, bool) {
	rest := s.From
	for p := int32(0); len(rest) > 0; p++ {
		o, n := binary.Uvarint(rest)
		if n <= 0 {
			break
		}
		if p == partition {
			return int64(o), int64(o) >= 0
		}
		rest = rest[n:]
	}
	return 0, false
}

func newSerial() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: it ends the program instead
	return binary.BigEndian.Uint64(b[:]) | 1
}

func (s *state) control(h *Hook) control.Control {
	b, err := json.Marshal(s)
	if err != nil {
		panic("BUG: a state that JSON can't hold: " + err.Error())
	}
	return control.Control{Kind: control.WebhookState, Account: h.Account, Name: h.Name, Since: s.At, Values: []string{string(b)}}
}

func stateOf(c control.Control) (s state, err error) {
	if len(c.Values) != 1 {
		return s, fmt.Errorf("state of webhook %s: no object", c.Name)
	}
	if err := json.Unmarshal([]byte(c.Values[0]), &s); err != nil {
		return s, fmt.Errorf("state of webhook %s: %w", c.Name, err)
	}
	return s, nil
}

// of returns the state as it holds for a definition: a pause of another one does not, nor does anything that was said of a
// webhook which was deleted. Where it was resumed is said of all its definitions.
func (s state) of(h *Hook) state {
	switch {
	case s.ID != h.ID:
		return state{ID: h.ID, State: Active}
	case s.State != Active && s.Tag != h.tag():
		return state{ID: h.ID, State: Active, Serial: s.Serial, From: s.From}
	}
	return s
}

// rest is the state of a webhook that is not sent to any more.
func (s state) rest(h *Hook, what, reason string) state {
	return state{ID: h.ID, Tag: h.tag(), State: what, Reason: reason, At: event.Now(), Serial: s.Serial, From: s.From}
}
