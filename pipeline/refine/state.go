package refine

import (
	"strings"

	"carom/pipeline/event"
)

// state is what refine remembers of one message. Only Run's goroutine touches one.
type state struct {
	key      event.Key
	standing standing
	// ref is the message's identity; of its members only Link and URL are unused.
	ref       event.Ref
	recipient string
	links     uint32

	recorded kindSet // kinds of which something was recorded
	firsts   kindSet // kinds whose first was counted
	marks    marks
	hits     uint32 // opens and clicks in the timeline
	facts    uint32 // other events in the timeline
	// truncated is set when opens or clicks found no room in the timeline.
	truncated bool
	recent    []hit

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
	// maxRecent is how many recorded hits are remembered to tell repeats.
	maxRecent = 32
)

// hit is a recorded open or click, as far as the next one is compared with it.
type hit struct {
	time   event.Millis
	kind   event.Kind
	class  class
	link   uint32
	client uint64
}

// class brings verdicts together: hits of different classes never hide each other. The numbers are stored.
type class uint8

const (
	classOther class = iota
	classHuman
	classMachine
)

func classOf(v event.Verdict) class {
	switch {
	case v == event.Human:
		return classHuman
	case v.Machine():
		return classMachine
	}
	return classOther
}

// repeats reports whether h is like a recorded hit and within window of it, either way: a late relay may bring the
// earlier of two hits last.
func (s *state) repeats(h hit, window event.Millis) bool {
	if window == 0 {
		return false
	}
	for _, r := range s.recent {
		distance := h.time - r.time
		if distance < 0 {
			distance = -distance
		}
		r.time = h.time
		if r == h && distance <= window {
			return true
		}
	}
	return false
}

// remember keeps h among the recent hits, of which the oldest by event time makes room.
func (s *state) remember(h hit) {
	if len(s.recent) < maxRecent {
		s.recent = append(s.recent, h)
		return
	}
	oldest := 0
	for i := range s.recent {
		if s.recent[i].time < s.recent[oldest].time {
			oldest = i
		}
	}
	if s.recent[oldest].time < h.time {
		s.recent[oldest] = h
	}
}

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
		s.ref.Flags != r.Flags&^event.Honeypot
}

// conflicts reports whether a second sent event differs from the one that registered the message. The time of sending
// doesn't count: the API sets it where the caller gives none, so a retry has another.
func (s *state) conflicts(f *fact) bool {
	return s.differs(&f.Ref) || s.recipient != f.Recipient || s.links != uint32(len(f.Links))
}

// published is the identity that events of s carry.
func (s *state) published() event.Ref {
	ref := s.ref
	if s.standing == enrollment {
		ref.Message = ""
	}
	return ref
}
