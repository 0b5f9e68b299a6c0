package api

import "sync"

// budget bounds the answers that wait in memory for the clients of all bulks together.
type budget struct {
	most int

	mu     sync.Mutex
	change sync.Cond // of this and every backlog of it
	used   int
}

func newBudget(most int) *budget {
	b := &budget{most: most}
	b.change.L = &b.mu
	return b
}

// backlog holds the answers of one bulk that its client has not read yet, in pieces. One goroutine adds, one takes.
type backlog struct {
	b *budget
	// All below is guarded by b.mu.
	pieces [][]byte
	held   int  // bytes added and not yet given back
	closed bool // nothing will be added
	broken bool // nothing will be taken
}

const (
	// ownBacklog is what a bulk may hold even when others have used up the budget: else they could stop it for good.
	ownBacklog = 256 << 10
	// pieceBytes is how much is written at once, and counts as movement.
	pieceBytes = 64 << 10
)

var piecePool = sync.Pool{New: func() any { return new([pieceBytes]byte) }}

func newBacklog(b *budget) *backlog { return &backlog{b: b} }

// add takes in a copy of answers. It waits while there is no room, so that the bound is passed by one add at most. After
// fail it does nothing.
func (l *backlog) add(answers []byte) {
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	for l.held >= ownBacklog && l.b.used >= l.b.most && !l.broken {
		l.b.change.Wait()
	}
	if l.broken {
		return
	}
	l.held += len(answers)
	l.b.used += len(answers)
	for len(answers) > 0 {
		last := len(l.pieces) - 1
		if last < 0 || len(l.pieces[last]) == pieceBytes {
			l.pieces = append(l.pieces, piecePool.Get().(*[pieceBytes]byte)[:0])
			last++
		}
		n := min(len(answers), pieceBytes-len(l.pieces[last]))
		l.pieces[last] = append(l.pieces[last], answers[:n]...)
		answers = answers[n:]
	}
	l.b.change.Broadcast()
}

// take waits for answers and returns a piece of them, to be given back. ok is false when there are none and none will
// come.
func (l *backlog) take() (piece []byte, ok bool) {
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	for len(l.pieces) == 0 && !l.closed {
		l.b.change.Wait()
	}
	if len(l.pieces) == 0 {
		return nil, false
	}
	piece = l.pieces[0]
	l.pieces[0] = nil
	l.pieces = l.pieces[1:]
	return piece, true
}

// giveBack says that a piece was written.
func (l *backlog) giveBack(piece []byte) {
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	l.release(len(piece))
	piecePool.Put((*[pieceBytes]byte)(piece[:pieceBytes]))
}

func (l *backlog) release(n int) {
	l.held -= n
	l.b.used -= n
	l.b.change.Broadcast()
}

// close says that nothing will be added.
func (l *backlog) close() {
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	l.closed = true
	l.b.change.Broadcast()
}

// fail says that nothing will be taken, and gives back what is held.
func (l *backlog) fail() {
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	l.broken, l.pieces = true, nil
	l.release(l.held)
}

func (l *backlog) failed() bool {
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	return l.broken
}
