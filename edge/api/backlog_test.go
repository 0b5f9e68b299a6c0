package api

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func TestBacklog(t *testing.T) {
	l := newBacklog(newBudget(1 << 20))
	var want strings.Builder
	for i := range 5 {
		part := strings.Repeat(string(rune('a'+i)), 40_000)
		want.WriteString(part)
		l.add([]byte(part))
	}
	l.close()
	var got strings.Builder
	for piece, ok := l.take(); ok; piece, ok = l.take() {
		got.Write(piece)
		l.giveBack(piece)
	}
	if got.String() != want.String() {
		t.Errorf("%d bytes came out of %d", got.Len(), want.Len())
	}
	if l.held != 0 || l.b.used != 0 {
		t.Errorf("held %d, used %d", l.held, l.b.used)
	}
}

// Bulks share the budget, but each has something of its own.
func TestBacklogsShareABudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(1 << 20)
		greedy, other := newBacklog(b), newBacklog(b)
		greedy.add(make([]byte, 2<<20)) // passes the bound by one add
		other.add(make([]byte, ownBacklog))

		var added atomic.Bool
		go func() { greedy.add([]byte("x")); added.Store(true) }()
		for held := 2<<20 + ownBacklog; held >= 1<<20; held -= pieceBytes {
			synctest.Wait()
			if added.Load() {
				t.Fatalf("the bound was passed: %d bytes are held", held)
			}
			piece, _ := greedy.take()
			greedy.giveBack(piece)
		}
		synctest.Wait()
		if !added.Load() {
			t.Fatal("add still waits when there is room")
		}

		other.fail()
		other.add(make([]byte, 1<<20))
		if other.held != 0 || !other.failed() {
			t.Errorf("holds %d after its client has gone", other.held)
		}
	})
}

// Whoever waits for room or for answers goes on when the client is gone, or all was said.
func TestBacklogEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newBacklog(newBudget(1))
		l.add(make([]byte, ownBacklog))
		var added, ended atomic.Bool
		go func() { l.add([]byte("x")); added.Store(true) }()
		synctest.Wait()
		l.fail()
		synctest.Wait()
		if !added.Load() {
			t.Error("add waits for a client that is gone")
		}

		l = newBacklog(newBudget(1))
		go func() { _, ok := l.take(); ended.Store(!ok) }()
		synctest.Wait()
		l.close()
		synctest.Wait()
		if !ended.Load() {
			t.Error("take waits for answers that won't come")
		}
	})
}
