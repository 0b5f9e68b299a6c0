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
	// keptBatches bounds the free list: one open, one written, one whose waiters are still leaving.
	keptBatches = 4
	// keptScratchBytes is the largest scratch buffer that is kept: that of a bulk's commit.
	keptScratchBytes = 2 * maxBatchBytes
)

// batch collects records until the committer takes it.
type batch struct {
	value []byte // room for the header, then the records
	count int

	// refs counts who may still touch the batch: the committer, and every Append that waits for it. The last to
	// leave gives it back.
	refs    atomic.Int32
	settled atomic.Bool
	done    sync.WaitGroup // done when settled; err is set before
	err     error
}

func (b *batch) fits(n int) bool { return b.count == 0 || len(b.value)+n <= maxBatchBytes }

// settle tells b's waiters how it ended; only the first call counts. With a stalled disk the watcher settles a batch
// that the committer still writes.
func (b *batch) settle(err error) {
	if b.settled.CompareAndSwap(false, true) {
		b.err = err
		b.done.Done()
	}
}

// freshLocked returns an empty batch that is referenced once, for the committer. j.mu is held, or j is not shared yet.
func (j *Journal) freshLocked() *batch {
	var b *batch
	if n := len(j.free); n > 0 {
		b, j.free = j.free[n-1], j.free[:n-1]
	} else {
		b = &batch{value: make([]byte, headerSize, 4<<10)}
	}
	b.value, b.count, b.err = b.value[:headerSize], 0, nil
	b.settled.Store(false)
	b.refs.Store(1)
	b.done.Add(1)
	return b
}

// release gives up one reference to b. The caller has waited for b, or is the committer.
func (j *Journal) release(b *batch) {
	if b.refs.Add(-1) > 0 {
		return
	}
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
	if !level(j.levelNow.Load()).admits(class) {
		err := ErrShed
		if class == Essential {
			err = ErrFull
		}
		j.metrics.refused(class, err)
		return err
	}
	err := j.append(evs...)
	if err != nil {
		j.metrics.refused(class, err)
	}
	return err
}

func (j *Journal) append(evs ...*event.Event) error {
	if len(evs) == 0 {
		return nil
	}
	if j.store.ReadOnly() {
		return ErrReadOnly
	}
	s := scratches.Get().(*scratch)
	for _, ev := range evs {
		before := len(s.buf)
		s.buf = appendEvent(s.buf, ev)
		// An event that is larger could be written, but never read again.
		if len(s.buf)-before > lengthSize+event.MaxBinaryBytes || len(s.buf) > maxAppendBytes {
			s.put()
			return fmt.Errorf("%w: over %d bytes in one event, or %d in all", ErrTooLarge, event.MaxBinaryBytes, maxAppendBytes)
		}
	}
	b, err := j.enqueue(s.buf, len(evs))
	s.put()
	if err != nil {
		return err
	}
	b.done.Wait()
	err = b.err
	j.release(b)
	return err
}

// enqueue adds count encoded records to the open batch, which it returns with a reference.
func (j *Journal) enqueue(records []byte, count int) (*batch, error) {
	j.mu.Lock()
	for j.state.refusal() == nil && !j.open.fits(len(records)) {
		j.room.Wait()
	}
	if err := j.state.refusal(); err != nil {
		j.mu.Unlock()
		return nil, err
	}
	b := j.open
	first := b.count == 0
	b.value = append(b.value, records...)
	b.count += count
	b.refs.Add(1)
	j.mu.Unlock()
	if first {
		select {
		case j.kick <- struct{}{}:
		default: // a kick is on its way
		}
	}
	return b, nil
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
