package rollup

import "carom/pipeline/event"

// tally is what facts add up to: for each kind whether there is any, and its extreme time: the first of sends and of
// completions, the last of all others. Minimum, maximum and "any" don't care about order or repetition, and so neither
// does anything that is computed from a tally.
type tally struct {
	seen uint16 // bit what
	at   [whatEnd]event.Millis
	// category of the soft and of the hard bounce: of several at one time the one with the highest number.
	category [bouncedHard - bouncedSoft + 1]uint8
}

func (t *tally) has(w what) bool { return t.seen&(1<<w) != 0 }

func (t *tally) add(w what, at event.Millis, category uint8) {
	if w == nothing {
		return
	}
	superseded := !t.has(w) || w.supersedes(at, t.at[w])
	if of := t.categoryOf(w); of != nil && (superseded || at == t.at[w]) {
		if superseded {
			*of = 0
		}
		*of = max(*of, category)
	}
	if superseded {
		t.at[w] = at
	}
	t.seen |= 1 << w
}

// categoryOf returns the category of bounces of kind w, nil if they are none.
func (t *tally) categoryOf(w what) *uint8 {
	if w != bouncedSoft && w != bouncedHard {
		return nil
	}
	return &t.category[w-bouncedSoft]
}

// bounceCategory returns the category of the last bounce; of two at one time, the hard one's.
func (t *tally) bounceCategory() uint8 {
	if t.has(bouncedSoft) && (!t.has(bouncedHard) || t.at[bouncedSoft] > t.at[bouncedHard]) {
		return *t.categoryOf(bouncedSoft)
	}
	return *t.categoryOf(bouncedHard)
}

// merge adds all that d adds up to.
func (t *tally) merge(d *tally) {
	for w := range whatEnd {
		if d.has(w) {
			var category uint8
			if of := d.categoryOf(w); of != nil {
				category = *of
			}
			t.add(w, d.at[w], category)
		}
	}
}

func (t *tally) forget(w what) {
	t.seen &^= 1 << w
	t.at[w] = 0
}

// supersedes reports whether of two facts of kind w the one at a is the one to remember.
func (w what) supersedes(a, b event.Millis) bool {
	if w == sent || w == completed {
		return a < b
	}
	return a > b
}

// last returns the latest of the kinds given.
func (t *tally) last(kinds ...what) (at event.Millis, ok bool) {
	for _, w := range kinds {
		if t.has(w) && (!ok || t.at[w] > at) {
			at, ok = t.at[w], true
		}
	}
	return at, ok
}

// bounced reports whether the last word is a bounce: none of the facts that lift one came later, and no reply at all.
func (t *tally) bounced() bool {
	bounce, ok := t.last(bouncedSoft, bouncedHard)
	return ok && t.stands(bounce)
}

// bouncedForGood reports the same of hard bounces. A hard bounce that was lifted does not make a later soft one hard.
func (t *tally) bouncedForGood() bool {
	bounce, ok := t.last(bouncedHard)
	return ok && t.stands(bounce)
}

func (t *tally) stands(bounce event.Millis) bool {
	lift, lifted := t.last(delivered, openedHuman, clickedHuman, replied)
	return !t.has(replied) && (!lifted || lift <= bounce)
}

// complained reports a complaint that was not taken back later. It is asked of one message: a report of "not spam" speaks
// of the mail it is about, and of no other.
func (t *tally) complained() bool {
	complaint, ok := t.last(complained)
	back, forgiven := t.last(forgiven)
	return ok && (!forgiven || back <= complaint)
}
