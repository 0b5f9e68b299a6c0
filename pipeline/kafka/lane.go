package kafka

import (
	"slices"
	"sync"
	"time"
)

// lane sends the records of one partition, in order: one request is in flight at a time.
//
//	append ─▶ open ──full──▶ sealed … ─▶ flight ─▶ broker
//	            └── lingered, or flushed, and nothing in flight ──▶┘
type lane struct {
	p         *Producer
	kind      string
	topic     string
	partition int32
	kick      chan struct{} // there may be something to send

	mu      sync.Mutex // guards what follows
	open    *parcel    // nil: none
	flushed bool       // open need not linger
	sealed  []*parcel
	flight  *parcel
	hint    int // how large the open batch may become: as the last one
}

// append adds r to the open batch.
func (l *lane) append(r *record, o owner, mark int64) {
	weight := r.weight()
	l.mu.Lock()
	wake := false
	if l.open != nil && len(l.open.buf)+weight > l.p.batchBytes {
		l.sealLocked()
		wake = true
	}
	if l.open == nil {
		l.open = &parcel{buf: l.p.buffers.get(max(l.hint, setHead+weight))[:setHead], born: time.Now()}
		wake = true
	}
	l.open.buf = l.p.buffers.grow(l.open.buf, weight)
	l.open.add(r, o, mark, weight)
	l.mu.Unlock()
	if wake {
		l.wake()
	}
}

func (l *lane) sealLocked() {
	l.sealed = append(l.sealed, l.open)
	l.hint = len(l.open.buf)
	l.open, l.flushed = nil, false
}

// flush lets what was appended go as soon as nothing is in flight: whoever appended it has no more.
func (l *lane) flush() {
	l.mu.Lock()
	wake := l.open != nil && !l.flushed
	l.flushed = l.open != nil
	l.mu.Unlock()
	if wake {
		l.wake()
	}
}

func (l *lane) wake() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// oldest returns the lowest mark that is not acknowledged; it may be too low, never too high. ok is false if there is
// none.
func (l *lane) oldest() (mark int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.flight != nil && l.flight.first != noMark {
		return l.flight.first, true
	}
	for _, b := range l.sealed {
		if b.first != noMark {
			return b.first, true
		}
	}
	if l.open != nil && l.open.first != noMark {
		return l.open.first, true
	}
	return 0, false
}

// run sends until the producer is closed.
func (l *lane) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		b, wait := l.take()
		if b != nil {
			if !l.deliver(b) {
				return
			}
			continue
		}
		var lingered <-chan time.Time
		if wait > 0 {
			timer.Reset(wait)
			lingered = timer.C
		}
		select {
		case <-l.kick:
		case <-lingered:
		case <-l.p.ctx.Done():
			return
		}
	}
}

// take puts the next batch into flight, if one is due; else wait is when the open one will be, 0 if there is none.
func (l *lane) take() (b *parcel, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case len(l.sealed) > 0:
		b = l.sealed[0]
		l.sealed = slices.Delete(l.sealed, 0, 1)
	case l.open == nil:
		return nil, 0
	default:
		if wait = l.p.linger - time.Since(l.open.born); wait > 0 && !l.flushed {
			return nil, wait
		}
		b = l.open
		l.hint = len(b.buf)
		l.open, l.flushed = nil, false
	}
	l.flight = b
	return b, 0
}

// deliver sends b until it is acknowledged; false if the producer was closed first.
func (l *lane) deliver(b *parcel) bool {
	for tries := 0; ; {
		if !l.p.pack(l, b) {
			return false
		}
		err := l.p.send(l, b)
		if err == nil {
			l.p.trouble.passed(l)
			l.done(b)
			return true
		}
		if l.p.ctx.Err() != nil {
			return false
		}
		b.tainted = true
		if isTooLarge(err) && b.count > 1 {
			if err = l.halve(b); err == nil {
				l.p.metrics.splits.Inc()
				continue
			}
		}
		f := l.p.judge(l, b, err)
		l.p.trouble.failed(l, f)
		if !l.p.pause(f.backoff(tries)) {
			return false
		}
		tries++
	}
}

// halve leaves the first half of b in flight and puts the second before what is sealed.
func (l *lane) halve(b *parcel) error {
	l.mu.Lock() // oldest may look on
	defer l.mu.Unlock()
	second, err := b.split()
	if err != nil {
		return err
	}
	l.sealed = append([]*parcel{second}, l.sealed...)
	return nil
}

// done tells the owners of b's records, and gives its buffers back.
func (l *lane) done(b *parcel) {
	l.mu.Lock()
	l.flight = nil
	l.mu.Unlock()
	l.p.metrics.acknowledged(l.kind, b)
	for _, n := range b.notices {
		n.owner.acked(n.records, n.bytes)
	}
	// A request that was given up may be written still, by kafka-go's goroutine: it must not get to send another
	// batch's bytes to this partition.
	if !b.tainted {
		l.p.buffers.put(b.packed)
		if !l.p.squeeze.plain() {
			l.p.buffers.put(b.buf)
		}
	}
}
