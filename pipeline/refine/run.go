package refine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// silence is how long a log must be silent before a tick moves its clock on, DESIGN §9.
const silence = time.Second

// Run refines until ctx is done, and then returns nil, or until something fails. It can be called once. It waits until
// the input is to be had, and fails if state and input don't belong together.
func (p *Partition) Run(ctx context.Context) error {
	if p.ran.Swap(true) {
		return errRan
	}
	parts, running := errgroup.WithContext(ctx)
	live := p.epochs.live()
	parts.Go(func() error { return p.readRolls(running, live) })
	parts.Go(func() error { return p.run(running) })
	err := parts.Wait()
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // what was not committed is read again
	}
	return fmt.Errorf("refine partition %d: %w", p.number, err)
}

// run refines until something fails, which may be ctx.
func (p *Partition) run(ctx context.Context) error {
	if err := p.begin(ctx); err != nil {
		return err
	}
	var recs []log.Record
	for {
		var err error
		if recs, err = p.read(ctx, recs[:0]); err == nil {
			err = p.refine(ctx, recs)
		}
		clear(recs)
		if errors.Is(err, log.ErrTrimmed) && p.rebuilds {
			// The input forgot by age while it was waited for. Nothing of a step is open then.
			err = p.beginAgain(ctx, err)
		}
		if err != nil {
			return err
		}
	}
}

// begin finds the place in the input from which to go on.
func (p *Partition) begin(ctx context.Context) error {
	if err := p.in.Refresh(ctx); err != nil {
		return fmt.Errorf("look at input: %w", err)
	}
	if p.leftBehind() && !p.blank {
		if err := p.drop(); err != nil {
			return fmt.Errorf("delete the state: %w", err)
		}
	}
	oldest, next := p.in.Bounds()
	if p.blank {
		p.meta.offset = max(p.meta.offset, oldest)
		p.passed.Store(p.meta.offset)
	}
	switch {
	case p.meta.offset > next:
		return fmt.Errorf("the state is at input offset %d, but the input ends at %d: they don't belong together", p.meta.offset, next)
	case p.shipped > next:
		return fmt.Errorf("output is shipped up to input offset %d, but the input ends at %d: it lost records, and what comes in their place would be taken for repeats: restore it, or begin anew with other logs", p.shipped, next)
	case p.meta.offset < oldest:
		return fmt.Errorf("the state is at input offset %d: %w; the oldest is %d", p.meta.offset, log.ErrTrimmed, oldest)
	}
	p.log.Info("refine started", zap.Int64("offset", p.meta.offset))
	if p.onPassed != nil {
		p.onPassed(p.meta.offset) // a partition may be silent for long, and Kafka forgets what it is not told again
	}
	to := p.shipped
	if next-p.meta.offset > farBehind {
		to = next
	}
	if to > p.meta.offset {
		p.progress.begin(p.meta.offset, to, time.Now())
	}
	return nil
}

// beginAgain begins where the input now does, or returns why it was called if that is no further on.
func (p *Partition) beginAgain(ctx context.Context, why error) error {
	from := p.meta.offset
	if err := p.begin(ctx); err != nil {
		return err
	}
	if p.meta.offset == from {
		return why
	}
	return nil
}

// leftBehind reports whether the input was trimmed beyond a state that may be rebuilt, or that is yet to begin.
func (p *Partition) leftBehind() bool {
	oldest, _ := p.in.Bounds()
	return p.rebuilds && p.meta.offset < oldest
}

// drop deletes the state, all of it or nothing.
func (p *Partition) drop() error {
	oldest, _ := p.in.Bounds()
	p.log.Warn("the input no longer holds what follows the state: the state is deleted, and rebuilt from the oldest record",
		zap.Int64("offset", p.meta.offset), zap.Int64("oldest", oldest), zap.Int64("lost", oldest-p.meta.offset))
	b := p.store.NewBatch()
	defer func() { _ = b.Close() }()
	from := p.keys.all(nil)
	if err := b.DeleteRange(from, kv.PrefixEnd(from), nil); err != nil {
		return err
	}
	for i := range p.epochs.rows {
		p.epochs.rows[i].roll.drop() // who still reads it must not miss what is gone
	}
	if err := p.store.Commit(b); err != nil {
		return err
	}
	p.metrics.rebuilds.Inc()
	p.step.reset()
	if err := p.load(); err != nil {
		return err
	}
	return p.count()
}

// withheld reports whether the logs hold already what is released now.
func (p *Partition) withheld() bool { return p.now.offset < p.shipped }

// read waits for input. While something waits that is due and the log is silent, it ticks.
func (p *Partition) read(ctx context.Context, recs []log.Record) ([]log.Record, error) {
	silentSince := time.Now()
	for {
		next := p.timers.next()
		recs, err := p.readUntil(ctx, recs, tickAt(silentSince, next))
		switch {
		case err == nil || ctx.Err() != nil:
			return recs, err
		case !errors.Is(err, context.DeadlineExceeded) || next == nil:
			return recs, fmt.Errorf("read input: %w", err)
		}
		if err := p.ticker.Tick(ctx); err != nil {
			// Nothing is lost: what waits goes on waiting, and the next try is a second away.
			p.metrics.tickErrors.Inc()
			p.log.Warn("tick not appended", zap.Error(err))
		}
		silentSince = time.Now()
	}
}

// tickAt returns when a log that has been silent needs a tick for the timer; the zero time for never. One that is days
// away needs none before.
func tickAt(silentSince time.Time, next *timer) time.Time {
	if next == nil {
		return time.Time{}
	}
	// As a duration and not as a date, so that the monotonic clock stays in.
	return silentSince.Add(max(silence, next.due.Time().Sub(silentSince)))
}

func (p *Partition) readUntil(ctx context.Context, recs []log.Record, deadline time.Time) ([]log.Record, error) {
	if !deadline.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	return p.in.Read(ctx, p.meta.offset, p.opts.StepRecords, recs)
}

// refine works recs off. It may commit at any point between two units of work, because the output doesn't depend on
// where it does.
func (p *Partition) refine(ctx context.Context, recs []log.Record) (err error) {
	defer func() { err = errors.Join(err, p.cache.endStep()) }() // which a commit ended, unless something failed
	for i := range recs {
		for {
			done, err := p.advance(&recs[i])
			if err != nil {
				return fmt.Errorf("input offset %d: %w", recs[i].Offset, err)
			}
			if done {
				break
			}
			if err := p.commit(ctx); err != nil {
				return err
			}
		}
		if p.full() {
			if err := p.commit(ctx); err != nil {
				return err
			}
		}
	}
	return p.commit(ctx)
}

// advance does what one record asks for: first the timers that are due by its log time, then its own fact. If it
// returns false, the step must be committed, and then it goes on where it left off.
func (p *Partition) advance(rec *log.Record) (done bool, err error) {
	switch {
	case rec.Offset < p.meta.offset:
		return false, fmt.Errorf("the input gave offset %d where %d was asked for", rec.Offset, p.meta.offset)
	case rec.Offset > p.meta.offset: // topics have gaps
		p.meta = meta{offset: rec.Offset, logTime: p.meta.logTime}
	}
	if p.erasing {
		return false, nil // what was erased is looked for on disk
	}
	p.now = now{offset: rec.Offset, at: max(rec.Time, p.meta.logTime)}
	if done, err := p.fire(); err != nil || !done {
		return false, err
	}
	if done, err := p.forgetEpochs(); err != nil || !done {
		return false, err
	}
	f := fact{source: rec.Source, offset: rec.Offset, logTime: p.now.at, raw: rec.Value}
	flaw := f.decode()
	if flaw == nil && f.KnownBy == event.ByRef && p.parked.changed(prefixOf(f.Key)) {
		return false, nil // it may release what is parked, and that is read from disk
	}
	if flaw == nil && f.Kind == event.Inquiry && !p.settled() {
		return false, nil // what it asks is looked for on disk
	}
	if flaw == nil && f.Kind == event.Erase {
		erase := f // a copy, because what erases keeps it: other facts need no place on the heap
		if done, err := p.erase(&erase); err != nil || !done {
			return false, err
		}
	} else if err := p.intake(&f, flaw); err != nil {
		return false, err
	}
	p.meta = meta{offset: rec.Offset + 1, logTime: p.now.at}
	p.metrics.records.Inc()
	return true, nil
}

// fire has all timers fire that are due. It returns false if the step must be committed first.
func (p *Partition) fire() (done bool, err error) {
	for {
		if p.timers.exhausted() {
			return false, nil
		}
		next := p.timers.next()
		if next == nil || next.due > p.now.at {
			return true, nil
		}
		if p.full() || next.what == timerPark && p.parked.hidden(prefix(next.value)) {
			return false, nil
		}
		t, err := p.timers.pop(p.step.batch)
		if err != nil {
			return false, err
		}
		if err := p.fired(t); err != nil {
			return false, err
		}
	}
}

func (p *Partition) fired(t timer) error {
	switch t.what {
	case timerClick:
		return p.settle(t)
	case timerWhole:
		return p.settleWhole(t)
	case timerPark:
		return p.expire(t)
	case timerVolume:
		p.tellVolumes()
		return nil
	case timerAlert:
		return p.forgetAlert(t)
	}
	return fmt.Errorf("%w: timer of kind %d", errDamaged, t.what)
}

// intake takes in one record.
func (p *Partition) intake(f *fact, flaw error) error {
	if p.sources.pass(f.source, p.now.at) {
		p.metrics.dropped(dropSeen)
		return nil
	}
	switch {
	case flaw != nil:
		return p.reject(f, rejectUndecodable, f.unreadable(flaw))
	case f.Kind == event.Tick:
		return nil
	case f.enveloped():
		return p.reject(f, rejectUndecodable, "an event without an envelope: it names no journal")
	case f.hasBody():
		return p.take(f)
	}
	if flaw := f.flaw(); flaw != "" {
		return p.reject(f, rejectBadFact, flaw)
	}
	return p.attribute(f)
}
