package rollup

import (
	"encoding/binary"

	"carom/pipeline/event"
)

// what is the side of an event that counts.
type what uint8

// The numbers are stored; they fit in four bits.
const (
	nothing what = iota // an event that counts for nothing now, but is remembered as revised
	sent
	completed
	delivered
	bouncedSoft
	bouncedHard
	openedHuman // the four of hits, in their order
	openedMachine
	clickedHuman
	clickedMachine
	replied
	complained
	forgiven // a complaint taken back
	unsubscribed

	whatEnd
)

// notSpam is the feedback type that takes a complaint back, RFC 6430.
const notSpam = "not-spam"

// whatOf returns what r counts as: nothing for a hit of unknown or own making, or one that was taken back, which is then
// unknown; nothing for an auto-reply, a delay. An inferred open counts by its verdict, like any.
func whatOf(r *event.Refined) what {
	switch r.Kind {
	case event.Sent:
		return sent
	case event.Completed:
		return completed
	case event.Delivered:
		return delivered
	case event.Bounce:
		if r.Bounce.Hard {
			return bouncedHard
		}
		return bouncedSoft
	case event.Open:
		return byVerdict(r, openedHuman, openedMachine)
	case event.Click:
		return byVerdict(r, clickedHuman, clickedMachine)
	case event.Reply:
		return byVerdict(r, replied, nothing)
	case event.Complaint:
		if r.FeedbackType == notSpam {
			return forgiven
		}
		return complained
	case event.Unsubscribe:
		return unsubscribed
	}
	return nothing
}

func byVerdict(r *event.Refined, human, machine what) what {
	switch {
	case r.Actor.Verdict == event.Human:
		return human
	case r.Actor.Verdict.Machine():
		return machine
	}
	return nothing
}

// fact is what an enrollment remembers of one event.
type fact struct {
	id       uint64 // the first six bytes of the event's id: two of 96 facts share them once in sixty billion enrollments
	message  uint64 // hashMessage, 0 for an event about no message
	revision uint32
	what     what
	category uint8 // of a bounce, by its place in categories
	at       event.Millis
}

const idBytes = 6

func factOf(r *event.Refined) fact {
	f := fact{
		id:       binary.BigEndian.Uint64(r.ID[:8]) >> 16,
		message:  hashMessage(r.Message),
		revision: r.Revision,
		what:     whatOf(r),
		at:       r.Time,
	}
	if f.what == bouncedSoft || f.what == bouncedHard {
		f.category = categoryOf(r.Bounce.Category)
	}
	return f
}

// counts reports whether the fact is worth remembering: what counts for nothing is only if it replaces what did.
func (f *fact) counts() bool { return f.what != nothing || f.revision != 0 }

const messageBytes = 6

// hashMessage tells the messages of one enrollment apart: FNV-1a, folded to six bytes, never 0.
func hashMessage(id string) uint64 {
	if id == "" {
		return 0
	}
	h := uint64(14695981039346656037)
	for i := 0; i < len(id); i++ {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	return max(1, (h^h>>48)&(1<<(8*messageBytes)-1))
}
