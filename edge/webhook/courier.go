package webhook

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"carom/pipeline/event"
	"carom/pipeline/log"
)

const (
	// readStep is how many records a courier reads at once.
	readStep = 128
	// keepEvery is how often the place of a webhook is written down that has nothing to deliver: what is passed over is not
	// looked at again after a restart.
	keepEvery = time.Minute
	// brokenPause is how long a courier rests when it can't read or write.
	brokenPause = 5 * time.Second
	// stopPause is how long one waits for its end after it told all nodes to stop. If somebody resumed it meanwhile, which
	// ends nothing, it goes on.
	stopPause = 10 * time.Second
)

// courier delivers to one webhook what this node's partitions have.
type courier struct {
	h      *Hooks
	hook   Hook
	state  state
	wants  selection
	logger *zap.Logger
	bell   log.Bell
	steps  map[int32]*step // the map does not change
	order  []int32         // its keys

	// The courier's own.
	row   row
	batch batch
	kept  time.Time // when the row was written last
	recs  []log.Record

	mu     sync.Mutex // guards what follows
	status status
}

// step is how far a courier has looked; guarded by Hooks.mu.
type step struct {
	read int64 // the first record that was not looked at
	idle bool  // read is where the feed is, which moves it on
}

// status is what others are told.
type status struct {
	row   row
	clean bool // nothing was looked at that was not delivered
	tried outcome
	next  time.Time // of the next request, if the last has failed
}

func (h *Hooks) newCourier(ctx context.Context, hook Hook, s state) (*courier, error) {
	c := &courier{
		h: h, hook: hook, state: s, wants: hook.selection(), steps: make(map[int32]*step),
		logger: h.logger.With(zap.String("account", hook.Account), zap.String("webhook", hook.Name)),
		batch:  batch{lines: hook.Format == FormatLines}, kept: time.Now(),
	}
	var known bool
	var err error
	if c.row, known, err = readRow(h.store, hook.ID); err != nil {
		return nil, fmt.Errorf("read the place of a webhook: %w", err)
	}
	if err := c.settle(ctx, known); err != nil {
		return nil, fmt.Errorf("find the place of a webhook: %w", err)
	}
	for p, at := range c.row.places {
		c.steps[p] = &step{read: at.next}
	}
	c.order = slices.Sorted(maps.Keys(c.steps))
	c.tell(nil, time.Time{})
	return c, writeRow(h.store, hook.ID, &c.row, h.store.Commit)
}

// settle makes the row that of this definition, this resumption and this node's partitions.
func (c *courier) settle(ctx context.Context, known bool) error {
	var tag [idBytes]byte
	if _, err := hex.Decode(tag[:], []byte(c.hook.tag())); err != nil {
		panic("BUG: a tag that is not hexadecimal: " + err.Error())
	}
	resumed := c.row.serial != c.state.Serial && c.state.Serial != 0
	if c.row.tag != tag || resumed {
		c.row.tag, c.row.failing, c.row.tried, c.row.attempts = tag, 0, 0, 0
		for p, at := range c.row.places {
			at.end = at.next
			c.row.places[p] = at
		}
	}
	for p, r := range c.h.readers {
		at, ok := c.row.places[p]
		if !ok {
			var err error
			if at, err = c.beginning(ctx, r, known); err != nil {
				return err
			}
		}
		// Where it was resumed long ago is where another disk of this node has gone on from.
		if from, ok := c.state.from(p); ok && resumed && (known || c.state.At >= at.notBefore) {
			at = place{next: from, end: from, fresh: noneFresh}
		}
		c.row.places[p] = at
	}
	for p := range c.row.places {
		if c.h.readers[p] == nil { // another node's by now
			delete(c.row.places, p)
		}
	}
	c.row.serial = c.state.Serial
	return nil
}

// beginning is where the webhook begins in a partition in which it has no place: with what came after it was made. The
// partition may have been another node's, or this one's on another disk, which has delivered all but what it was trying.
// So it begins where trying would have ended by now; and with what had not been copied by anybody, however old it is.
func (c *courier) beginning(ctx context.Context, r log.Reader, known bool) (at place, err error) {
	now := event.Now()
	_, end := r.Bounds()
	at.made = min(c.hook.Created, now) // clocks differ
	if c.hook.Configured && !known && end > 0 {
		at.made = now // it begins when it is seen first; where nothing is, it may have been seen on another disk
	}
	at.notBefore = max(at.made, now.Add(-c.h.o.RetryFor))
	if at.fresh = noneFresh; end == 0 && c.h.copied != nil {
		at.fresh = unknownFresh
	}
	at.next, err = firstAt(ctx, r, at.notBefore)
	at.end = at.next
	return at, err
}

// refreshed finds out what is fresh in a partition that was empty when the webhook began there, once it no longer is.
func (c *courier) refreshed(p int32) error {
	at := c.row.places[p]
	copied, ok := int64(0), false
	if at.fresh == unknownFresh {
		copied, ok = c.h.copied(p)
	}
	if !ok {
		return nil
	}
	if at.fresh = copied; copied == 0 && c.hook.Configured { // nobody had seen it before
		at.fresh = noneFresh
	}
	c.row.places[p] = at
	return writeRow(c.h.store, c.hook.ID, &c.row, c.h.store.Commit) // what was copied moves on
}

// firstAt returns the offset of the first record that has a log time, or where the log ends if none has: log time never
// runs back.
func firstAt(ctx context.Context, r log.Reader, t event.Millis) (int64, error) {
	lo, hi := r.Bounds()
	for lo < hi {
		mid := lo + (hi-lo)/2
		recs, err := r.Read(ctx, mid, 1, nil)
		switch {
		case errors.Is(err, log.ErrTrimmed):
			oldest, _ := r.Bounds()
			if lo = max(lo, oldest); lo <= mid {
				return 0, err
			}
		case err != nil:
			return 0, err
		case recs[0].Time < t:
			lo = recs[0].Offset + 1
		default:
			hi = mid
		}
	}
	return lo, nil
}

// run delivers until ctx is done.
func (c *courier) run(ctx context.Context) {
	defer func() {
		if err := writeRow(c.h.store, c.hook.ID, &c.row, c.h.store.CommitNoSync); err != nil {
			c.logger.Error("the place of a webhook was not kept", zap.Error(err))
		}
	}()
	begun := c.row.inFlight()
	for ctx.Err() == nil {
		rung := c.bell.Rung()
		var err error
		if begun {
			err = c.collectAgain(ctx)
		} else {
			err = c.collect(ctx)
		}
		if err == nil {
			switch wait := c.batch.since.Add(c.hook.maxWait(&c.h.o)); {
			case begun, c.batch.full, c.batch.events > 0 && !time.Now().Before(wait):
				if err = c.deliver(ctx, begun); err == nil {
					begun = false
					continue
				}
			case c.batch.events > 0:
				c.rest(ctx, rung, time.Until(wait))
				continue
			default:
				if err = c.passOver(); err == nil {
					c.rest(ctx, rung, keepEvery)
					continue
				}
			}
		}
		if ctx.Err() == nil {
			c.logger.Error("a webhook rests, because this node can't read or write", zap.Error(err))
			c.rest(ctx, nil, brokenPause)
		}
	}
}

// rest waits for the bell or for some time.
func (c *courier) rest(ctx context.Context, rung <-chan struct{}, most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-rung:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// collect puts into the batch what there is and what it has room for.
func (c *courier) collect(ctx context.Context) error {
	if len(c.order) == 0 {
		return nil
	}
	for range c.order {
		// Each partition is the first in its turn, so that none waits for another for ever.
		p := c.order[0]
		c.order = append(c.order[1:], p)
		for !c.batch.full {
			to, some := c.h.unread(c, p)
			if !some {
				break
			}
			if err := c.take(ctx, p, to, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// unread reports whether there is something that the courier has not looked at, and up to where. If there is nothing, the
// feed moves it on from now on.
func (h *Hooks) unread(c *courier, p int32) (to int64, some bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, to := c.steps[p], h.feeds[p].at
	if s.idle || s.read >= to {
		s.idle = true
		return to, false
	}
	return to, true
}

// collectAgain puts the events into the batch that were in it before a restart.
func (c *courier) collectAgain(ctx context.Context) error {
	c.batch.reset()
	for _, p := range slices.Sorted(maps.Keys(c.row.places)) {
		at := c.row.places[p]
		c.move(p, at.next)
		_, end := c.h.readers[p].Bounds()
		if err := c.take(ctx, p, min(at.end, end), false); err != nil {
			return err
		}
		c.move(p, max(at.end, c.read(p)))
	}
	return nil
}

func (c *courier) read(p int32) int64 {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	return c.steps[p].read
}

func (c *courier) move(p int32, read int64) {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	c.steps[p].read, c.steps[p].idle = read, false
}

// take looks at records before the offset to, which are there, and puts those that are wanted into the batch; bounded: as
// long as it has room.
func (c *courier) take(ctx context.Context, p int32, to int64, bounded bool) error {
	reader, at := c.h.readers[p], c.read(p)
	maxEvents, maxBytes, wait := c.hook.maxEvents(&c.h.o), c.hook.maxBytes(&c.h.o), c.hook.maxWait(&c.h.o)
	defer func() { c.move(p, at) }()
	for at < to {
		var err error
		c.recs, err = reader.Read(ctx, at, readStep, c.recs[:0])
		if errors.Is(err, log.ErrTrimmed) {
			if err = c.miss(reader, &at); err == nil {
				continue
			}
		}
		if err == nil {
			err = c.refreshed(p)
		}
		if err != nil {
			return err
		}
		for i := range c.recs {
			r := &c.recs[i]
			if r.Offset >= to {
				at = to
				break
			}
			if c.isWanted(r, p) {
				if bounded && !c.batch.fits(len(r.Value), maxEvents, maxBytes) {
					c.batch.full = true
					return nil
				}
				if c.batch.events == 0 {
					c.begun()
				}
				c.batch.add(r.Value, time.Now())
			}
			at = r.Offset + 1
		}
		clear(c.recs)
		if bounded && c.batch.events > 0 && time.Since(c.batch.since) >= wait { // in the middle of a long way
			c.batch.full = true
			return nil
		}
	}
	return nil
}

// miss goes on where the log begins now.
func (c *courier) miss(reader log.Reader, at *int64) error {
	oldest, _ := reader.Bounds()
	if oldest <= *at {
		return log.ErrTrimmed
	}
	c.row.missed += oldest - *at
	c.h.metrics.missed.Add(float64(oldest - *at))
	c.logger.Error("the log was trimmed before a webhook had looked at it", zap.Int64("records", oldest-*at), zap.Int32("partition", reader.Partition()))
	*at = oldest
	return nil
}

func (c *courier) isWanted(r *log.Record, p int32) bool {
	if !hasPrefix(r.Key, c.wants.prefix) {
		return false
	}
	if at := c.row.places[p]; !at.has(r.Offset, r.Time) {
		return false
	}
	var e event.Refined
	if err := e.DecodeJSON(r.Value); err != nil {
		c.h.metrics.foreign.Inc()
		c.logger.Warn("passed over a record that is no event", zap.Int64("offset", r.Offset), zap.Error(err))
		return false
	}
	return c.wants.match(&e)
}

func hasPrefix(key, prefix []byte) bool {
	return len(key) >= len(prefix) && string(key[:len(prefix)]) == string(prefix)
}

// passOver takes note that nothing before what was looked at is to be delivered.
func (c *courier) passOver() error {
	c.mark(func(at *place, read int64) { at.next, at.end = read, read })
	c.batch.reset()
	c.tell(nil, time.Time{})
	if time.Since(c.kept) < keepEvery {
		return nil
	}
	c.kept = time.Now()
	return writeRow(c.h.store, c.hook.ID, &c.row, c.h.store.CommitNoSync)
}

// mark changes all places by how far was looked.
func (c *courier) mark(change func(at *place, read int64)) {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	for p, s := range c.steps {
		at := c.row.places[p]
		change(&at, s.read)
		c.row.places[p] = at
	}
}

// deliver sends the batch until it is taken, or nobody is to try any more; then it waits for ctx. An error is this node's.
func (c *courier) deliver(ctx context.Context, begun bool) error {
	if !begun {
		c.mark(func(at *place, read int64) { at.end = read })
		// If this is lost, the batch may be another one after a restart: its events come again in any case.
		if err := writeRow(c.h.store, c.hook.ID, &c.row, c.h.store.CommitNoSync); err != nil {
			return err
		}
	}
	if c.batch.events > 0 {
		c.batch.end()
		id := batchID(&c.hook, c.row.places)
		if err := c.insist(ctx, id); err != nil || ctx.Err() != nil {
			return err
		}
		c.row.last = event.Now()
		c.row.delivered += int64(c.batch.events)
		c.row.told = c.row.missed
		c.h.metrics.events.Add(float64(c.batch.events))
	}
	for p, at := range c.row.places {
		at.next = at.end
		c.row.places[p] = at
	}
	c.row.failing, c.row.tried, c.row.attempts = 0, 0, 0
	c.batch.reset()
	c.kept = time.Now()
	c.tell(nil, time.Time{})
	return writeRow(c.h.store, c.hook.ID, &c.row, c.h.store.Commit)
}

// insist sends the batch until it is taken or ctx is done.
func (c *courier) insist(ctx context.Context, id string) error {
	for since := time.Now(); ; {
		o := c.post(ctx, id)
		if ctx.Err() != nil {
			return nil
		}
		c.h.metrics.requests.WithLabelValues(o.result).Inc()
		if c.tell(&o, time.Time{}); o.result == resultDelivered {
			return nil
		}
		// By the steady clock: one that was set, or a node that was down, is no day of trying.
		c.row.tried += time.Since(since).Milliseconds()
		since = time.Now()
		c.row.attempts++
		if c.row.failing == 0 {
			c.row.failing = event.Now()
			c.logger.Warn("a webhook was not delivered; it is tried again", zap.String("result", o.result), zap.String("reason", o.detail))
		}
		if err := writeRow(c.h.store, c.hook.ID, &c.row, c.h.store.CommitNoSync); err != nil {
			return err
		}
		pause := max(c.h.pause(c.row.attempts), o.retryAfter)
		switch {
		case o.result == resultGone:
			pause = max(pause, c.stop(ctx, Disabled, o.detail))
		case c.row.tried >= c.h.o.RetryFor.Milliseconds():
			pause = max(pause, c.stop(ctx, Paused, fmt.Sprintf("no batch was taken for %v; at last: %s", c.h.o.RetryFor, o.detail)))
		}
		c.tell(&o, time.Now().Add(pause))
		c.rest(ctx, nil, pause)
		if ctx.Err() != nil {
			return nil
		}
	}
}

func (c *courier) post(ctx context.Context, id string) outcome {
	s, err := c.hook.openSecrets(c.h.sealer)
	if err != nil {
		return outcome{result: resultUnsigned, detail: err.Error()}
	}
	return c.h.post(ctx, &c.hook, s, id, &c.batch, c.row.missed-c.row.told)
}

// pause doubles from one failed request to the next, and varies so that not all come at once.
func (h *Hooks) pause(attempts int64) time.Duration {
	d := h.o.RetryMost
	if shift := attempts - 1; shift < 32 && h.o.RetryFirst < d>>shift {
		d = h.o.RetryFirst << shift
	}
	return d/2 + rand.N(d/2+1)
}

// stop tells all nodes to send no more, and its account that it is so. If that can't be told now, this one tries on, and
// tells it the next time. It returns how long to wait for this node to hear of it, which ends the courier.
func (c *courier) stop(ctx context.Context, what, reason string) time.Duration {
	s := c.state.rest(&c.hook, what, reason)
	err := c.h.alert(&c.hook, &s, c.row.failing)
	if err == nil {
		err = c.h.controls.Set(ctx, s.control(&c.hook))
	}
	if err != nil {
		c.logger.Error("a webhook should rest, and that could not be told; it is tried on", zap.String("state", what), zap.Error(err))
		return 0
	}
	c.logger.Error("a webhook rests until somebody resumes it or changes it", zap.String("state", what), zap.String("reason", reason))
	return stopPause
}

// begun shows others, before they see how far was looked, that not all of it is delivered.
func (c *courier) begun() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status.clean = false
}

// looked returns how far was looked at each partition.
func (c *courier) looked() map[int32]int64 {
	c.h.mu.Lock()
	defer c.h.mu.Unlock()
	at := make(map[int32]int64, len(c.steps))
	for p, s := range c.steps {
		at[p] = s.read
	}
	return at
}

// tell shows others how it stands; o is the last request if it is another one.
func (c *courier) tell(o *outcome, next time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	shown := c.row
	shown.places = maps.Clone(c.row.places)
	c.status.row, c.status.clean = shown, c.batch.events == 0 && !c.row.inFlight()
	if o != nil {
		c.status.tried, c.status.next = *o, next
	}
}
