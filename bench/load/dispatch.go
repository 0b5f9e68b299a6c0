package load

import (
	"sync"
	"time"
)

// dispatcher hands the requests of an open loop, in order, to clients that are free: those that are due to a client
// that asks, and later ones, when their time comes, to those that wait. These are served in the order in which they
// came, so that all connections are used.
type dispatcher struct {
	now func() time.Duration // since the beginning

	mu      sync.Mutex // guards what follows
	next    cursor
	waiting []*turn // a ring
	head, n int
	stopped bool

	// came wakes the pacer when a client is free again after there was none for a request that was due.
	came    chan struct{}
	starved bool
}

// turn is one client's place in the line.
type turn struct {
	wake chan order // holds one
}

// order is a request that a client is to send.
type order struct {
	start time.Duration // when it should be sent
	free  bool          // a client was waiting at that time
	ok    bool          // false: there are no more
}

func newDispatcher(s *schedule, clients int, now func() time.Duration) *dispatcher {
	return &dispatcher{now: now, next: cursor{schedule: s}, waiting: make([]*turn, clients), came: make(chan struct{}, 1)}
}

// peek returns when the next request should start. What nobody was free for in the warm-up is left out once that is over:
// it would count nowhere, and those that count would wait for it.
func (d *dispatcher) peek() (start time.Duration, ok bool) {
	start, ok = d.next.peek()
	if ok && start < d.next.warm && d.now() >= d.next.warm {
		d.next.i = d.next.before(d.next.warm)
		return d.next.peek()
	}
	return start, ok
}

// take returns the next request for a client, and waits until it should start.
func (d *dispatcher) take(t *turn) order {
	d.mu.Lock()
	start, ok := d.peek()
	if !ok || d.stopped {
		d.mu.Unlock()
		return order{}
	}
	if start <= d.now() {
		// If others wait the pacer is late, and that is not the server's doing.
		o := order{start: start, free: d.n > 0, ok: true}
		d.next.take(start)
		d.mu.Unlock()
		return o
	}
	d.waiting[(d.head+d.n)%len(d.waiting)] = t
	d.n++
	starved := d.starved
	d.starved = false
	d.mu.Unlock()
	if starved {
		d.came <- struct{}{} // has room: the pacer waits for it, and nobody else finds starved set
	}
	return <-t.wake
}

// release hands out what is due to those who wait, and returns how long the next request takes to come. ok is false
// when there are no more requests, and then all who wait are told so. Without a free client it waits for one.
func (d *dispatcher) release() (next time.Duration, ok bool) {
	d.mu.Lock()
	for {
		start, more := d.peek()
		if !more || d.stopped {
			for d.n > 0 {
				d.hand(order{})
			}
			d.mu.Unlock()
			return 0, false
		}
		if start > d.now() {
			d.mu.Unlock()
			return start, true
		}
		if d.n > 0 {
			d.next.take(start)
			d.hand(order{start: start, free: true, ok: true})
			continue
		}
		d.starved = true
		d.mu.Unlock()
		<-d.came
		d.mu.Lock()
	}
}

// hand gives an order to who has waited longest. Its channel has room, because it is in the line once.
func (d *dispatcher) hand(o order) {
	t := d.waiting[d.head]
	d.head = (d.head + 1) % len(d.waiting)
	d.n--
	t.wake <- o
}

// stop ends the handing out. The pacer may wait or sleep: it is told by came, or finds out when it wakes.
func (d *dispatcher) stop() {
	d.mu.Lock()
	d.stopped = true
	starved := d.starved
	d.starved = false
	for d.n > 0 {
		d.hand(order{})
	}
	d.mu.Unlock()
	if starved {
		d.came <- struct{}{}
	}
}

// left calls tell for the requests that should have started before the end and were handed to nobody, in runs of n that
// start at about the same time.
func (d *dispatcher) left(tell func(start time.Duration, n int64)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	const runs = 10_000
	_, _ = d.peek() // behind the warm-up
	total := int64(d.next.count(d.now()) + fraction)
	step := max((total-d.next.i)/runs, 1)
	for {
		start, ok := d.next.peek()
		if !ok || start > d.now() {
			return
		}
		n := min(step, max(total-d.next.i, 1))
		d.next.i += n - 1
		d.next.take(start)
		tell(start, n)
	}
}
