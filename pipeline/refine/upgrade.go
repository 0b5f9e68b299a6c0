package refine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
	"carom/pipeline/burst"
	"carom/pipeline/event"
)

// A message's state of format 1, which an earlier Carom wrote, is read, and written anew when the message is touched:
//
//	byte 0   format: 1
//	byte 1   standing
//	byte 2   1 if the timeline is truncated
//	then     flags, sent_at, links, recorded kinds, kinds with a first, hits, facts    uvarint each
//	         account, sender, sequence, contact, message, recipient                    length (uvarint) and bytes, each
//	         marks, as in format 2
//	         the hits that later ones may repeat: their number (uvarint), and of each
//	             time (uvarint), kind(1), class(1): 0 other, 1 human, 2 machine, link (uvarint), client(8, big-endian)
//
// Its hits stay as they were published; they bear on those that come.
const stateFormat1 = 1

// verdicts1 are the verdicts of the classes.
var verdicts1 = [...]event.Verdict{event.Unknown, event.Human, event.Scanner}

func (s *state) decode1(b []byte) error {
	d := decoder{rest: b[1:], text: string(b[1:])}
	s.format1 = true
	s.standing = standing(d.byte(byte(provisional), byte(enrollment)))
	s.truncated = d.byte(0, 1) == 1
	s.ref.Flags = event.Flags(d.uvarint(1<<32 - 1))
	s.ref.SentAt = d.millis()
	s.links = uint32(d.uvarint(1<<32 - 1))
	s.recorded = kindSet(d.uvarint(allKinds))
	d.uvarint(allKinds)
	s.events = uint32(d.uvarint(maxTimelineHits))
	s.facts = uint32(d.uvarint(maxTimelineFacts))
	for _, text := range [...]*string{
		&s.ref.Account, &s.ref.Sender, &s.ref.Sequence, &s.ref.Contact, &s.ref.Message, &s.recipient,
	} {
		*text = d.string(maxText)
	}
	s.marks.decode(&d)
	for range int(d.uvarint(maxHits)) {
		h := burst.Hit{Time: d.millis(), Kind: event.Kind(d.byte(byte(event.Open), byte(event.Click))), Fixed: true}
		h.Verdict = verdicts1[d.byte(0, byte(len(verdicts1)-1))]
		h.Final.Verdict = h.Verdict
		h.Link = uint32(d.uvarint(1<<32 - 1))
		h.Client = d.uint64()
		s.hits, s.tellings = append(s.hits, h), append(s.tellings, telling{gone: true, nameless: s.ref.Flags.Nameless()})
	}
	slices.SortStableFunc(s.hits, func(a, b burst.Hit) int { return burst.Compare(&a, &b) })
	return d.finish("message state")
}

// upgrade reads what a state of format 1 does not tell from the timeline, all of which is on disk.
func (c *cache) upgrade(s *state) error {
	s.format1 = false
	prefix := c.keys.timeline(nil, s.epoch, s.key)
	it, err := c.store.DB().NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: kv.PrefixEnd(prefix)})
	if err != nil {
		return fmt.Errorf("upgrade message %s: %w", s.key, err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var r event.Refined
		if err = r.DecodeJSON(it.Value()); err == nil {
			s.upgrade(&r)
		}
	}
	if err := errors.Join(err, it.Close()); err != nil {
		return fmt.Errorf("upgrade message %s: %w", s.key, err)
	}
	return nil
}

func (s *state) upgrade(r *event.Refined) {
	if r.Kind == event.Open && !r.Inferred && (s.opened == 0 || r.Time < s.opened) {
		s.opened = r.Time
	}
	switch {
	case r.Inferred:
		s.inferred = inferred{told: r.Revision + 1, stands: true, kept: true, time: r.Time, cause: event.Click}
		if slices.Contains(r.Actor.Reasons, reasonInferredReply) {
			s.inferred.cause = event.Reply
		}
	case r.First && recurring.has(r.Kind):
		s.setFirst(r.Kind, first{time: r.Time, id: r.ID, holds: true})
	}
}
