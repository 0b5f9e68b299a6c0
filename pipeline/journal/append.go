package journal

import (
	"fmt"
	"sync"
	"sync/atomic"

	"carom/pipeline/event"
)

const (
	// maxBatchBytes bounds the open batch: some 5,000 events, far more than can wait at once in normal use. Append
	// waits for room beyond it. One call that is larger gets a batch of its own.
	maxBatchBytes = 1 << 20
	// maxAppendBytes bounds one call.
	maxAppendBytes = 8 << 20
	// keptBatches bounds the free list: one open, one written, and some whose waiters are still being told.
	keptBatches = 8
	// keptScratchBytes is the largest scratch buffer that is kept: that of a bulk's commit.
	keptScratchBytes = 2 * maxBatchBytes
)

// batch collects records until the committer takes it.
type batch struct {
	value   []byte // room for the header, then the records
	count   int
	waiters []waiter // one for each call that gave records

	// refs counts who may still touch the batch: the committer, and those who tell the waiters. The last to leave gives
	// it back.
	refs    atomic.Int32
	settled atomic.Bool
	err     error        // set when settled
	told    atomic.Int32 // how many waiters are told, or taken on by somebody who tells them
}

// waiter is who wants to know how a batch ended.
type waiter struct {
	class Class
	done  func(error)
}

func (b *batch) fits(n int) bool { return b.count == 0 || len(b.value)+n <= maxBatchBytes }

// settle says how b ended; only the first call counts, and is to see to it that the waiters are told. With a stalled disk
// the watcher settles a batch that the committer still writes.
func (b *batch) settle(err error) (first bool) {
	if !b.settled.CompareAndSwap(false, true) {
		return false
	}
	b.err = err
	return true
}

// freshLocked returns an empty batch that is referenced once, for the committer. j.mu is held, or j is not shared yet.
func (j *Journal) freshLocked() *batch {
	var b *batch
	if n := len(j.free); n > 0 {
		b, j.free = j.free[n-1], j.free[:n-1]
	} else {
		b = &batch{value: make([]byte, headerSize, 4<<10)}
	}
	b.refs.Store(1)
	return b
}

// release gives up one reference to b.
func (j *Journal) release(b *batch) {
	if b.refs.Add(-1) > 0 {
		return
	}
	clear(b.waiters)
	b.value, b.count, b.waiters, b.err = b.value[:headerSize], 0, b.waiters[:0], nil
	b.settled.Store(false)
	b.told.Store(0)
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.free) < keptBatches && cap(b.value) <= 2*maxBatchBytes {
		j.free = append(j.free, b)
	}
}

// Append journals evs, as neighbours in one batch, and returns when they are on disk (see Options.Durability). It may
// wait for the disk, but not much longer than stallAfter. With an error other than ErrStalled and one from the disk,
// nothing was recorded; with these two, the events may turn up or not, but never twice.
func (j *Journal) Append(class Class, evs ...*event.Event) error {
	p := j.parkings.Get().(*parking)
	defer j.parkings.Put(p)
	j.AppendThen(class, p.done, evs...)
	return p.wait()
}

// AppendThen is Append that doesn't wait for the disk. When evs are there, or can't be, it calls done once, with what
// Append would return: maybe before it returns itself, else on a goroutine that has others to tell as well. So done must
// neither wait for anything nor panic. Nothing of evs is kept.
func (j *Journal) AppendThen(class Class, done func(error), evs ...*event.Event) {
	w := waiter{class, done}
	err := j.admit(class)
	if err == nil && len(evs) > 0 {
		err = j.append(w, evs)
	}
	if err != nil || len(evs) == 0 {
		j.tell(w, err)
	}
}

// admit returns why nothing of a class is recorded now, nil if it is.
func (j *Journal) admit(class Class) error {
	switch {
	case level(j.levelNow.Load()).admits(class):
		return nil
	case class == Essential:
		return ErrFull
	}
	return ErrShed
}

// append adds evs to the open batch. With an error, w is not told.
func (j *Journal) append(w waiter, evs []*event.Event) error {
	if j.store.ReadOnly() {
		return ErrReadOnly
	}
	s := scratches.Get().(*scratch)
	defer s.put()
	for _, ev := range evs {
		before := len(s.buf)
		s.buf = appendEvent(s.buf, ev)
		// An event that is larger could be written, but never read again.
		if len(s.buf)-before > lengthSize+event.MaxBinaryBytes || len(s.buf) > maxAppendBytes {
			return fmt.Errorf("%w: over %d bytes in one event, or %d in all", ErrTooLarge, event.MaxBinaryBytes, maxAppendBytes)
		}
	}
	return j.enqueue(w, s.buf, len(evs))
}

// enqueue adds count encoded records to the open batch.
func (j *Journal) enqueue(w waiter, records []byte, count int) error {
	j.mu.Lock()
	for j.state.refusal() == nil && !j.open.fits(len(records)) {
		j.room.Wait()
	}
	if err := j.state.refusal(); err != nil {
		j.mu.Unlock()
		return err
	}
	b := j.open
	first := b.count == 0
	b.value = append(b.value, records...)
	b.count += count
	b.waiters = append(b.waiters, w)
	j.mu.Unlock()
	if first {
		select {
		case j.kick <- struct{}{}:
		default: // a kick is on its way
		}
	}
	return nil
}

// parking is where an Append waits.
type parking struct {
	group sync.WaitGroup
	err   error
	done  func(error)
}

func newParking() any {
	p := new(parking)
	p.done = func(err error) {
		p.err = err
		p.group.Done()
	}
	p.group.Add(1)
	return p
}

// wait returns what done was called with. After it p can be used again.
func (p *parking) wait() error {
	p.group.Wait()
	p.group.Add(1)
	return p.err
}

// scratch is a buffer to encode into outside the mutex.
type scratch struct{ buf []byte }

var scratches = sync.Pool{New: func() any { return &scratch{buf: make([]byte, 0, 1<<10)} }}

func (s *scratch) put() {
	if cap(s.buf) > keptScratchBytes {
		return
	}
	s.buf = s.buf[:0]
	scratches.Put(s)
}
