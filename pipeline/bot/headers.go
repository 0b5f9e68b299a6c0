package bot

import "carom/pipeline/event"

// headers is headers.tsv, compiled: words in the headers by which a request says that nobody asked for it.
type headers struct {
	rules     []rule
	automaton *automaton // a pattern's number is its rule's
}

// maxPurpose bounds the work on the headers, in bytes; what follows is not looked at.
const maxPurpose = 512

// find returns the first rule that fits and has a verdict on such a hit, or nil.
func (hs *headers) find(h hit, purpose string) *rule {
	if purpose == "" {
		return nil
	}
	purpose = purpose[:min(len(purpose), maxPurpose)]
	best := none
	var at state
	for end := 0; end < len(purpose); {
		at, end = hs.automaton.skip(purpose, end, at)
		for _, n := range hs.automaton.ending(at) {
			if int(n) < best && hs.rules[n].verdicts[h] != event.NoVerdict {
				best = int(n)
			}
		}
	}
	if best == none {
		return nil
	}
	return &hs.rules[best]
}
