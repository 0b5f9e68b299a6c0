package refine

import (
	"strings"

	"carom/pipeline/burst"
	"carom/pipeline/event"
)

// state is what refine remembers of one message. Only Run's goroutine touches one.
type state struct {
	key      event.Key
	epoch    epochID // under which it is kept
	standing standing
	// ref is the message's identity; of its members only Link and URL are unused.
	ref       event.Ref
	recipient string
	links     uint32

	recorded kindSet // kinds of which something was recorded
	marks    marks   // of facts, and of hits that made room
	events   uint32  // opens and clicks in the timeline, withheld ones included
	facts    uint32  // other events in the timeline
	// truncated is set when opens or clicks found no room in the timeline.
	truncated bool

	// The latest opens and clicks, in canonical order, and what was done about each; horizon is the time of the latest
	// one that made room, 0 for none, and opened that of the earliest open among those.
	hits     []burst.Hit
	tellings []telling
	horizon  event.Millis
	opened   event.Millis
	firsts   []first
	inferred inferred

	format1 bool // it is to be upgraded

	// Of the cache.
	dirty      bool
	prev, next *state
}

// standing says how far a message is known. The numbers are stored.
type standing uint8

const (
	// provisional: some fact brought the full ref; the sent event is yet to come.
	provisional standing = iota + 1
	registered
	// enrollment: no message at all, but what is known of an enrollment.
	enrollment
)

// kindSet is a set of kinds: bit 1<<kind. The bits are stored.
type kindSet uint32

func (s kindSet) has(k event.Kind) bool { return s&(1<<k) != 0 }

func (s *kindSet) add(k event.Kind) { *s |= 1 << k }

// Bounds of what is kept of one message, so that a flood against one is not a flood of the disk.
const (
	maxTimelineHits  = 1000
	maxTimelineFacts = 1000
	// MaxEvents is how many events a Message holds at most.
	MaxEvents = maxTimelineHits + maxTimelineFacts
)

// identify takes over the identity that a full ref tells, and the recipient. The strings are copied, in one piece,
// because those of a decoded event keep the whole record in memory.
func (s *state) identify(r *event.Ref, recipient string) {
	id := event.CleanMessageID(r.Message)
	text := strings.Join([]string{r.Account, r.Sender, r.Sequence, r.Contact, id, recipient}, "")
	next := func(n int) (s string) {
		s, text = text[:n], text[n:]
		return s
	}
	s.ref = event.Ref{
		Account: next(len(r.Account)), Sender: next(len(r.Sender)), Sequence: next(len(r.Sequence)),
		Contact: next(len(r.Contact)), Message: next(len(id)),
		SentAt: r.SentAt,
		Flags:  r.Flags &^ event.Honeypot, // that one is the link's
	}
	s.recipient = next(len(recipient))
}

// name takes over a contact. The string is copied, as identify does.
func (s *state) name(contact string) { s.ref.Contact = strings.Clone(contact) }

// register takes over what a sent event tells.
func (s *state) register(f *fact) {
	s.standing = registered
	s.identify(&f.Ref, f.Recipient)
	if s.ref.SentAt == 0 {
		s.ref.SentAt = f.Time
	}
	s.links = uint32(len(f.Links))
}

// differs reports whether a ref of the same message tells another identity.
func (s *state) differs(r *event.Ref) bool {
	return s.ref.Sender != r.Sender || s.ref.Sequence != r.Sequence || s.ref.Contact != r.Contact ||
		(s.ref.Flags^r.Flags)&^(event.Honeypot|event.NotSent) != 0
}

// conflicts reports whether a second sent event differs from the one that registered the message. The time of sending
// doesn't count: the API sets it where the caller gives none, so a retry has another.
func (s *state) conflicts(f *fact) bool {
	return s.differs(&f.Ref) || s.recipient != f.Recipient || s.links != uint32(len(f.Links))
}

// published is the identity that events of s carry.
func (s *state) published() event.Ref {
	ref := s.ref
	ref.Flags &^= event.NotSent
	if s.standing == enrollment {
		ref.Message = ""
	}
	return ref
}
