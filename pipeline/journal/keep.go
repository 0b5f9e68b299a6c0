package journal

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"carom/pipeline/event"
)

const (
	// watchEvery is how often the disk, the size and the age of the journal are looked at.
	watchEvery = time.Second
	// stallAfter is how long a write may take before its waiters are told that it failed. The edge's clients wait
	// longer than that.
	stallAfter = 5 * time.Second
	// retainedFraction of the capacity may be taken by what every reader has passed; well below the level at
	// which the node turns unready.
	retainedFraction = 0.5
	// trimFraction of the capacity is the least that is worth a trim, as long as nothing is short.
	trimFraction = 1.0 / 256
)

// Passed tells that reader, which must be one of Deps.Readers, needs nothing before offset any more, not even after a
// crash. Until every reader has said so for the first time, nothing is trimmed.
func (j *Journal) Passed(reader string, offset int64) {
	p := j.readers[reader]
	if p == nil {
		panic(fmt.Sprintf("BUG: journal reader %q is not registered", reader))
	}
	for {
		old := p.Load()
		if offset <= old || p.CompareAndSwap(old, offset) {
			return
		}
	}
}

// passedByAll returns the offset that every reader has passed.
func (j *Journal) passedByAll() int64 {
	if len(j.readers) == 0 {
		return 0
	}
	all := j.synced.Load()
	for _, p := range j.readers {
		all = min(all, p.Load())
	}
	return all
}

// watchLoop sees to it that nobody waits for a disk that does not answer, or for a store that has failed. It does no
// I/O, because that could hang with the disk.
func (j *Journal) watchLoop() {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			j.checkStall()
		case <-j.store.Failed():
			// The committer may hang in Pebble and never tell.
			j.fail(fmt.Errorf("append to journal: %w", j.store.Err()))
			return
		case <-j.committed:
			return
		}
	}
}

func (j *Journal) checkStall() {
	var waited time.Duration
	j.turnAway(ErrStalled, func() bool {
		if j.state.stalled || j.writing == nil {
			return false
		}
		waited = time.Since(j.writingSince)
		j.state.stalled = waited > stallAfter
		return j.state.stalled
	})
	if waited > stallAfter {
		j.log.Error("the disk does not answer", zap.Duration("waited", waited))
	}
}

// keepLoop measures and trims.
func (j *Journal) keepLoop() {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-j.stop:
			return
		case <-j.store.Failed():
			return
		}
		j.measure()
		if err := j.trim(event.Now()); err != nil {
			j.log.Error("trim failed, will be tried again", zap.Error(err))
		}
		j.assess()
	}
}

func (j *Journal) size() int64 { return j.end.Load() - j.before.Load() }

// measure sets the capacity: max_bytes, or what the disk has room for if that is less.
func (j *Journal) measure() {
	capacity := j.opts.MaxBytes
	if free, ok := j.store.DiskFree(); ok && j.opts.MinFreeBytes > 0 {
		room := int64(min(free, math.MaxInt64/2)) - j.opts.MinFreeBytes
		capacity = min(capacity, j.size()+max(room, 0))
	}
	j.capacity.Store(capacity)
}

// assess sets the level.
func (j *Journal) assess() {
	j.mu.Lock()
	defer j.mu.Unlock()
	was := j.level
	j.level = was.next(j.size(), j.capacity.Load())
	j.levelNow.Store(int32(j.level))
	if j.level == was {
		return
	}
	j.log.Warn("fill level changed", zap.Int32("from", int32(was)), zap.Int32("to", int32(j.level)),
		zap.Int64("size-bytes", j.size()), zap.Int64("capacity-bytes", j.capacity.Load()))
}

// Hold keeps all that is there from being trimmed until release is called, which can be called twice. Whoever holds for long
// fills the journal up.
func (j *Journal) Hold() (release func()) {
	// A trim that has begun is let end.
	j.rewriting.Lock()
	defer j.rewriting.Unlock()
	j.held.Add(1)
	return sync.OnceFunc(func() { j.held.Add(-1) })
}

// trim removes the batches that every reader has passed and that are older than the retention, or more than
// retainedFraction allows.
func (j *Journal) trim(now event.Millis) error {
	j.rewriting.Lock()
	defer j.rewriting.Unlock()
	if j.held.Load() > 0 {
		return nil
	}
	keep, err := j.trimPoint(now)
	if err != nil {
		return fmt.Errorf("trim journal: %w", err)
	}
	freed := keep.before - j.before.Load()
	if freed <= 0 || freed < int64(float64(j.capacity.Load())*trimFraction) && level(j.levelNow.Load()) == levelFine {
		return nil
	}
	// Readers are turned away first, so that none meets a hole.
	j.oldest.Store(keep.first)
	// From the journal's start, not from the oldest batch: tombstones that all start alike merge into one.
	if err := j.store.DeleteRange(batchKey(0), batchKey(keep.first)); err != nil {
		return fmt.Errorf("trim journal: %w", err)
	}
	j.before.Store(keep.before)
	j.metrics.trimmed.Add(float64(freed))
	return nil
}

// trimPoint returns the oldest batch that must stay. Sequence, time and bytes all grow from batch to batch, so "may
// go" is true up to some batch and false from there on, which a binary search over the sequences finds with some 40 seeks.
func (j *Journal) trimPoint(now event.Millis) (keep stored, err error) {
	passed := j.passedByAll()
	cutoff := now.Add(-j.opts.Retention)
	retained := int64(float64(j.capacity.Load()) * retainedFraction)
	end := j.end.Load()
	mayGo := func(b stored) bool {
		return b.end() <= passed && (b.time < cutoff || end-b.before > retained)
	}

	it, err := j.iter(j.synced.Load())
	if err != nil {
		return stored{}, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	if !it.Last() {
		return stored{header: header{before: j.before.Load()}}, it.Error()
	}
	// The newest batch stays. All before lo may go, keep may not.
	if keep, err = located(it); err != nil {
		return keep, err
	}
	for lo := j.oldest.Load(); lo < keep.first; {
		mid := lo + (keep.first-lo)/2
		b, err := batchAt(it, mid)
		if err != nil {
			return keep, err
		}
		if mayGo(b) {
			lo = max(b.end(), mid+1) // which lies behind the batch in a gap
		} else {
			keep = b
		}
	}
	return beforeGap(it, keep, passed)
}

// beforeGap returns the batch before keep, if there is a gap between the two that a reader stands in: it is to find its
// place again, although there is nothing to read in it.
func beforeGap(it *pebble.Iterator, keep stored, passed int64) (stored, error) {
	if passed >= keep.first || !it.SeekLT(batchKey(keep.first)) {
		return keep, it.Error()
	}
	b, err := located(it)
	if err == nil && b.end() < keep.first {
		keep = b
	}
	return keep, err
}

// batchAt returns the batch that holds sequence.
func batchAt(it *pebble.Iterator, sequence int64) (stored, error) {
	it.SeekLT(batchKey(sequence + 1))
	return located(it)
}
