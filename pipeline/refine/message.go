package refine

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
	"carom/pipeline/event"
)

// Message is what is known of one message.
type Message struct {
	event.Ref
	// Recipient is the registered address, empty before the message's sent event.
	Recipient string
	// Registered reports that the message's sent event was seen; a token alone makes it known, not registered.
	Registered bool
	// Status is one of STATUSES.md.
	Status string
	// Events are the refined events of the message, oldest first by event time, at most MaxEvents. Opens and clicks
	// of an anonymous message are not among them, and those of a shared one name nobody.
	Events []event.Refined
	// Truncated reports that the message has more opens or clicks than that.
	Truncated bool
}

// Message returns what is known of a message, and whether anything is. It is safe while Run runs: state and events
// are of one moment. It is safe after the store was closed, too, and fails then: those who ask aren't stopped before.
func (p *Partition) Message(account, message string) (Message, bool, error) {
	if event.IsEnrollmentID(message) {
		return Message{}, false, nil
	}
	if err := p.store.Enter(); err != nil {
		return Message{}, false, fmt.Errorf("read message: %w", err)
	}
	defer p.store.Leave()
	snapshot := p.store.DB().NewSnapshot()
	m, ok, err := p.readMessage(snapshot, account, message)
	if err := errors.Join(err, snapshot.Close()); err != nil {
		return Message{}, false, fmt.Errorf("read message: %w", err)
	}
	return m, ok, nil
}

func (p *Partition) readMessage(r pebble.Reader, account, message string) (Message, bool, error) {
	s, ok, err := p.readState(r, event.KeyOf(account, message))
	if err != nil || !ok || s.standing == enrollment || s.ref.Account != account || s.ref.Message != event.CleanMessageID(message) {
		return Message{}, false, err
	}
	m := s.summary()
	m.Events, err = readTimeline(r, p.keys.timeline(nil, s.epoch, s.key))
	return m, err == nil, err
}

// readState reads what is stored of a message.
func (p *Partition) readState(r pebble.Reader, key event.Key) (s state, ok bool, err error) {
	for _, e := range p.epochs.live() {
		if !e.roll.mayHave(key) {
			continue
		}
		if s, ok, err = p.readStateOf(r, e.id, key); ok || err != nil {
			return s, ok, err
		}
	}
	return s, false, nil
}

// readStateOf reads what is stored of a message of an epoch.
func (p *Partition) readStateOf(r pebble.Reader, e epochID, key event.Key) (s state, ok bool, err error) {
	value, closer, err := r.Get(p.keys.message(nil, e, key))
	if isNotFound(err) {
		return s, false, nil
	}
	if err != nil {
		return s, false, err
	}
	s = state{key: key, epoch: e}
	return s, true, errors.Join(s.decode(value), closer.Close())
}

// summary is what is known of a message but for its events.
func (s *state) summary() Message {
	return Message{
		Ref: s.ref, Recipient: s.recipient, Registered: s.standing == registered,
		Status: s.status(), Truncated: s.truncated,
	}
}

func readTimeline(r pebble.Reader, prefix []byte) (events []event.Refined, err error) {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: kv.PrefixEnd(prefix)})
	if err != nil {
		return nil, err
	}
	for ok := it.First(); ok && err == nil && len(events) < MaxEvents; ok = it.Next() {
		withheld, value := isWithheld(it.Value())
		if withheld {
			continue
		}
		var r event.Refined
		if err = r.DecodeJSON(value); err == nil {
			events = append(events, r)
		}
	}
	if err := errors.Join(err, it.Close()); err != nil {
		return nil, err
	}
	slices.SortFunc(events, func(a, b event.Refined) int {
		// Not by origin: nodes that hear things at the same time may be relayed in any order.
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Kind, b.Kind), bytes.Compare(a.ID[:], b.ID[:]))
	})
	return events, nil
}

func isNotFound(err error) bool { return errors.Is(err, pebble.ErrNotFound) }
