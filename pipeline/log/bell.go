package log

import "sync"

// Bell wakes all who wait for news, without anyone polling. The zero value is ready.
//
//	for !news() {               // fast path: no channel is made
//		rung := bell.Rung()
//		if news() { break }     // rung is older than this look, so no ring is missed
//		select { case <-rung: case <-ctx.Done(): … }
//	}
type Bell struct {
	mu sync.Mutex
	ch chan struct{} // nil while nobody waits; closed by Ring
}

// Rung returns a channel that the next Ring closes.
func (b *Bell) Rung() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

// Ring wakes all who wait. It allocates nothing.
func (b *Bell) Ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}
