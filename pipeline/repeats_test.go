package pipeline

import (
	"math/rand/v2"
	"testing"
	"time"

	"carom/pipeline/event"
)

func numbered(i int) repeat {
	return repeatOf(&event.Event{Kind: event.Click, Ref: event.Ref{Link: uint32(i)}})
}

// TestRepeatsAgainstModel compares the set with a map, as long as neither is full.
func TestRepeatsAgainstModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 0))
	r := newRepeats(1<<17, 10*time.Second)
	model := map[repeat]event.Millis{}
	at := start
	for range 50_000 {
		at += event.Millis(rnd.IntN(50))
		p := numbered(rnd.IntN(500))
		last, ok := model[p]
		want := ok && at-last < 10_000
		if got := r.seen(p, at); got != want {
			t.Fatalf("seed %d: seen %v, want %v", seed, got, want)
		}
		if !want {
			r.add(p, at)
			model[p] = at
		}
	}
}

// TestRepeatsKeepTheFirst shows what two hits that raced each other leave behind.
func TestRepeatsKeepTheFirst(t *testing.T) {
	r := newRepeats(1, 10*time.Second)
	r.add(numbered(1), start+3)
	r.add(numbered(1), start)
	r.add(numbered(1), start+5)
	if !r.seen(numbered(1), start+9_999) || r.seen(numbered(1), start+10_000) {
		t.Error("the window doesn't begin with the first")
	}
}

// TestRepeatsForgetTheOldest fills the set beyond its bound: what was added last is known, and memory does not grow.
func TestRepeatsForgetTheOldest(t *testing.T) {
	const size = repeatShards * repeatWays
	r := newRepeats(size, time.Hour)
	const n = 20 * size
	for i := range n {
		r.add(numbered(i), start+event.Millis(i))
		if !r.seen(numbered(i), start+event.Millis(i)) {
			t.Fatalf("%d is forgotten at once", i)
		}
	}
	known, knownLate := 0, 0
	for i := range n {
		if r.seen(numbered(i), start+event.Millis(i)) {
			known++
			if i >= n/2 {
				knownLate++
			}
		}
	}
	if known > size || known < size*9/10 || knownLate != known {
		t.Errorf("%d are known, %d of the later half: want nearly %d, all of the later half", known, knownLate, size)
	}
}

func TestRepeatsSize(t *testing.T) {
	for n, want := range map[int]int{1: 512, 512: 512, 513: 512, 1024: 1024, 1 << 17: 1 << 17, maxRepeatEntries: maxRepeatEntries} {
		r := newRepeats(n, time.Second)
		if got := len(r.shards) * len(r.shards[0].sets) * repeatWays; got != want {
			t.Errorf("for %d entries there is room for %d, want %d", n, got, want)
		}
	}
}
