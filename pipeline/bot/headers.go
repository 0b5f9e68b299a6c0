package bot

import (
	"carom/pipeline/event"
)

// headers is headers.tsv, compiled.
type headers struct {
	rules []headerRule
	// by header
	words [headerNames]headerWords
}

// headerRule fits where its word is in a header, or is not.
type headerRule struct {
	rule
	header headerName
	lacks  bool
	word   uint64 // its bit among its header's words
}

// headerWords are the words that rules look for in one header.
type headerWords struct {
	automaton *automaton
	all       uint64
	of        [hits]bool // whether any rule asks for them, of opens and of clicks
}

// headerName is one of the headers that rules can ask for.
type headerName uint8

const (
	headerPurpose headerName = iota // Sec-Purpose, Purpose, X-Purpose and X-Moz
	headerAccept
	headerNames // how many there are
)

var headerNameTexts = [headerNames]string{"purpose", "accept"}

const (
	// maxHeader bounds the work on one header, in bytes; what follows is not looked at.
	maxHeader = 512
	// maxHeaderRules is the bits of a word.
	maxHeaderRules = 64
	// maxWeights bounds the weights that one request gets.
	maxWeights = 4
)

// headerFinding is what the headers of one request say.
type headerFinding struct {
	rule    *rule // nil: nothing
	weights [maxWeights]*rule
	n       int
}

func (f *headerFinding) verdict(h hit) event.Verdict { return f.rule.verdict(h) }

func (f *headerFinding) appendWeights(dst []string) []string {
	for _, r := range f.weights[:f.n] {
		dst = append(dst, r.code)
	}
	return dst
}

// find returns the first rule that fits and has a verdict on such a hit, and the weights.
func (hs *headers) find(h hit, req *event.Request) (f headerFinding) {
	for name := range headerNames {
		value := req.Purpose
		if name == headerAccept {
			value = req.Accept
		}
		words := &hs.words[name]
		if value == "" || !words.of[h] {
			continue // what isn't there says nothing: many libraries send no Accept, and some logs keep none
		}
		found := words.scan(value[:min(len(value), maxHeader)])
		for i := range hs.rules {
			r := &hs.rules[i]
			if r.header != name || !r.says(h) || (found&r.word != 0) == r.lacks {
				continue
			}
			switch {
			case !r.weighs[h]:
				if f.rule == nil {
					f.rule = &r.rule
				}
			case f.n < maxWeights:
				f.weights[f.n] = &r.rule
				f.n++
			}
		}
	}
	return f
}

// scan returns the bits of the words that are in value.
func (w *headerWords) scan(value string) (found uint64) {
	var at state
	for end := 0; end < len(value) && found != w.all; {
		at, end = w.automaton.skip(value, end, at)
		for _, n := range w.automaton.ending(at) {
			found |= 1 << n
		}
	}
	return found
}
