package api

import "sync"

// backlog holds answers that the client has not read yet. One goroutine adds, one takes.
type backlog struct {
	most int

	mu     sync.Mutex
	change sync.Cond
	buf    []byte
	closed bool // nothing will be added
	broken bool // nothing will be taken
}

func newBacklog(most int) *backlog {
	b := &backlog{most: most}
	b.change.L = &b.mu
	return b
}

// add appends a copy of answers. It waits while the backlog is full, so that it passes its bound by one add at most.
// After fail it does nothing.
func (b *backlog) add(answers []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.buf) >= b.most && !b.broken {
		b.change.Wait()
	}
	if b.broken {
		return
	}
	b.buf = append(b.buf, answers...)
	b.change.Broadcast()
}

// take waits for answers and returns all of them; the memory of spare, which was taken before, is used for the next.
// ok is false when there are none and none will come.
func (b *backlog) take(spare []byte) (answers []byte, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.buf) == 0 && !b.closed && !b.broken {
		b.change.Wait()
	}
	if len(b.buf) == 0 || b.broken {
		return nil, false
	}
	answers, b.buf = b.buf, spare[:0]
	b.change.Broadcast()
	return answers, true
}

// close says that nothing will be added.
func (b *backlog) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.change.Broadcast()
}

// fail says that nothing will be taken.
func (b *backlog) fail() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken, b.buf = true, nil
	b.change.Broadcast()
}

func (b *backlog) failed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.broken
}
