package refine

import "carom/pipeline/event"

// hand keeps at hand what the latest clicks that wait are, so that few are read back from disk when they are judged. It
// forgets by generations, each of so many bytes; how much it holds shows nowhere but in the time that a click takes.
//
//	latest  ─ full ─▶ before ─ full again ─▶ forgotten
type hand struct {
	bound          int
	latest, before generation
}

type generation struct {
	buf []byte
	at  map[event.ID][2]int // from, to
}

// handBytesPerMessage is the bound of a generation by cached states: with 65,536 of them, two are 40,000 clicks of 400
// bytes, or 12 s of 3,400 clicks a second.
const handBytesPerMessage = 128

func newHand(bound int) *hand {
	return &hand{bound: bound, latest: generation{at: make(map[event.ID][2]int)}, before: generation{at: make(map[event.ID][2]int)}}
}

// put keeps a copy of a hit's JSON.
func (h *hand) put(id event.ID, json []byte) {
	if len(h.latest.buf)+len(json) > h.bound {
		h.latest, h.before = h.before, h.latest
		h.latest.buf = h.latest.buf[:0]
		clear(h.latest.at)
	}
	from := len(h.latest.buf)
	h.latest.buf = append(h.latest.buf, json...)
	h.latest.at[id] = [2]int{from, len(h.latest.buf)}
}

// get returns what put kept, nil if it was forgotten. It is valid until the next put.
func (h *hand) get(id event.ID) []byte {
	for _, g := range [...]*generation{&h.latest, &h.before} {
		if at, ok := g.at[id]; ok {
			return g.buf[at[0]:at[1]]
		}
	}
	return nil
}
