package bot

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// scanAll returns every (end, pattern) that the automaton finds.
func scanAll(a *automaton, text string) (found [][2]int) {
	var at state
	for end := 0; end < len(text); {
		at, end = a.skip(text, end, at)
		for _, n := range a.ending(at) {
			found = append(found, [2]int{end, int(n)})
		}
	}
	return found
}

// searchAll is what scanAll must find: every pattern looked for at every place, the longest first.
func searchAll(patterns []string, text string) (found [][2]int) {
	text = lower(text)
	for end := 1; end <= len(text); end++ {
		var here [][2]int
		for i, p := range patterns {
			if strings.HasSuffix(text[:end], p) {
				here = append(here, [2]int{end, i})
			}
		}
		slices.SortStableFunc(here, func(a, b [2]int) int { return len(patterns[b[1]]) - len(patterns[a[1]]) })
		found = append(found, here...)
	}
	return found
}

func noException(int) bool { return false }

// TestAutomatonAgainstSearch compares the automaton with a plain search, on few letters, so that patterns overlap.
func TestAutomatonAgainstSearch(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	word := func(letters string, n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = letters[rnd.IntN(len(letters))]
		}
		return string(b)
	}
	for range 300 {
		var patterns []string
		for range 1 + rnd.IntN(8) {
			if p := word("ab/\xc3", 1+rnd.IntN(5)); !slices.Contains(patterns, p) {
				patterns = append(patterns, p)
			}
		}
		a, err := newAutomaton(patterns, noException)
		if err != nil {
			t.Fatal(err)
		}
		text := word("abAB/x\xc3", rnd.IntN(60))
		if got, want := scanAll(a, text), searchAll(patterns, text); !slices.Equal(got, want) {
			t.Fatalf("seed %d: patterns %q in %q: found %v, want %v", seed, patterns, text, got, want)
		}
	}
}

// TestExceptionHides shows that an exception hides what ends where it ends, and nothing else.
func TestExceptionHides(t *testing.T) {
	patterns := []string{"bot", "cubot", "ot", "xcubot"}
	a, err := newAutomaton(patterns, func(i int) bool { return i == 1 })
	if err != nil {
		t.Fatal(err)
	}
	got := scanAll(a, "bot cubot xcubot")
	want := [][2]int{{3, 0}, {3, 2}, {16, 3}}
	if !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
}

func TestAutomatonIsBounded(t *testing.T) {
	fits := strings.Repeat("a", maxStates-1)
	if _, err := newAutomaton([]string{fits}, noException); err != nil {
		t.Errorf("%d states: %v", maxStates, err)
	}
	if _, err := newAutomaton([]string{fits + "a"}, noException); err == nil {
		t.Errorf("%d states are taken", maxStates+1)
	}
}

func TestAutomatonOfEveryLetter(t *testing.T) {
	var patterns []string
	for c := range 256 {
		if c < 'A' || c > 'Z' {
			patterns = append(patterns, string([]byte{byte(c)}))
		}
	}
	a, err := newAutomaton(patterns, noException)
	if err != nil {
		t.Fatal(err)
	}
	for c := range 256 {
		text := string([]byte{byte(c)})
		if got, want := scanAll(a, text), searchAll(patterns, text); !slices.Equal(got, want) {
			t.Errorf("%q: found %v, want %v", text, got, want)
		}
	}
}
