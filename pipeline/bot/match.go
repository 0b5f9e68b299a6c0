package bot

import "fmt"

// match says how a pattern has to lie in an agent.
type match uint8

const (
	noMatch match = iota
	matchExact
	matchEmpty
	matchContains
	matchPrefix
	matchSuffix
	matchWord
	matchWordEnd
	matchAll
	matchExcept
)

// matchNames are the matches as agents.tsv has them.
var matchNames = [...]string{
	matchExact: "exact", matchEmpty: "empty", matchContains: "contains", matchPrefix: "prefix", matchSuffix: "suffix",
	matchWord: "word", matchWordEnd: "word_end", matchAll: "all", matchExcept: "except",
}

func (m match) String() string { return matchNames[m] }

func parseMatch(s string) (match, error) {
	for m, name := range matchNames {
		if name == s && name != "" {
			return match(m), nil
		}
	}
	return noMatch, fmt.Errorf("match %q: want exact, empty, contains, prefix, suffix, word, word_end, all or except", s)
}

// fits reports whether a pattern found at text[from:to] lies as it should.
func (m match) fits(text string, from, to int) bool {
	switch m {
	case matchPrefix:
		return from == 0
	case matchSuffix:
		return to == len(text)
	case matchWord:
		return (from == 0 || !isLetter(text[from-1])) && (to == len(text) || !isLetter(text[to]))
	case matchWordEnd:
		return to == len(text) || !isLetter(text[to])
	}
	return true
}

func isLetter(c byte) bool {
	c |= 0x20
	return 'a' <= c && c <= 'z'
}
