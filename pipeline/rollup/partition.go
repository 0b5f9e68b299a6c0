package rollup

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
	"carom/pipeline/score"
)

// Partition keeps the cohorts of one partition of the log of events.
type Partition struct {
	o       Options
	scorer  *score.Scorer
	store   *kv.Store
	in      log.Reader
	number  int32
	log     *zap.Logger
	metrics *metrics

	passed    atomic.Int64
	publisher *publisher // nil: scores are not published
	alerter   *alerter   // nil: no alerts are told

	// Run's own.
	position position
	known    map[scope]struct{} // in the tables of names for sure
	// providers names those that mail goes to.
	providers *providers
	// The enrollments and cohort rows written last, which are those most likely to be read next.
	enrollments, rows *cache
	// disk is the store as the step found it.
	disk *kv.Lookup

	now   event.Millis // log time of what is counted
	sweep sweep

	completion, listed []byte // memory to work in
}

// Open reads where the partition stands in store; in itself is not asked before Run. If the cohorts in it were computed with another complete_after, or
// by a Carom that counted otherwise, it computes them anew, which reads all enrollments once. Where scores is not nil, it
// gets the score object of every sender that changes. reg may be nil.
func Open(o Options, so score.Options, store *kv.Store, in log.Reader, scores log.Writer, logger *zap.Logger, reg prometheus.Registerer) (*Partition, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("rollup: %w", err)
	}
	scorer, err := score.New(so)
	if err != nil {
		return nil, fmt.Errorf("score: %w", err)
	}
	p := &Partition{
		o: o, scorer: scorer, store: store, in: in, number: in.Partition(),
		log:      logger.Named("rollup").With(zap.Int32("partition", in.Partition())),
		position: position{basis: basisOf(o), origins: make(map[int32]event.Origin)},
		known:    make(map[scope]struct{}),

		enrollments: newCache(o.CacheEnrollments / 2),
		rows:        newCache(o.CacheRows / 2),
	}
	p.disk = store.NewLookup(appendHeader(nil, p.number, 0), appendHeader(nil, p.number, 0xff))
	p.providers = newProviders(p)
	p.metrics = newMetrics(reg, p.number, p.lag)
	if scores != nil {
		p.publisher = newPublisher(p, scores)
	}
	value, ok, err := store.Get(nil, p.metaKey(metaPosition))
	if err == nil && ok {
		err = p.position.decode(value)
	}
	if err == nil {
		err = p.loadSweep()
	}
	if err == nil {
		p.now = event.Now() // a rebuild is of now, which the log may have forgotten
		err = p.rebuild(basisOf(o))
	}
	if err != nil {
		return nil, fmt.Errorf("open rollup %d: %w", p.number, err)
	}
	p.passed.Store(p.position.next)
	return p, nil
}

// Run counts, and publishes the scores that change, until ctx is done, which is no error, or something fails. It is
// called once. It waits until its log is to be had, and fails if that is not the log that was counted.
func (p *Partition) Run(ctx context.Context) error {
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return p.countAll(ctx) })
	if p.publisher != nil {
		parts.Go(func() error { return p.publisher.run(ctx) })
	}
	if p.alerter != nil {
		parts.Go(func() error { return p.alerter.run(ctx) })
	}
	if err := parts.Wait(); err != nil {
		return fmt.Errorf("rollup %d: %w", p.number, err)
	}
	return nil
}

// PublishWhen has scores published only while fn says so: where the log of events is a copy that is being made, its end
// is not that of the log. Call it before Run.
func (p *Partition) PublishWhen(fn func() bool) { p.publisher.when = fn }

// countAll counts what the log holds and what comes.
func (p *Partition) countAll(ctx context.Context) error {
	if err := p.begin(ctx); err != nil {
		return unlessDone(ctx, err)
	}
	s := newStep(p)
	var recs []log.Record
	for {
		var err error
		recs, err = p.in.Read(ctx, p.position.next, p.o.StepRecords, recs[:0])
		switch {
		case errors.Is(err, log.ErrTrimmed) && p.skipTrimmed():
			continue
		case err != nil:
			return unlessDone(ctx, fmt.Errorf("read events: %w", err))
		}
		for rest := recs; len(rest) > 0; {
			n := untilErase(rest)
			if err := p.count(s, rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
			if err := p.expire(); err != nil {
				return err
			}
		}
		clear(recs)
	}
}

// begin compares the position with the log.
func (p *Partition) begin(ctx context.Context) error {
	if err := p.in.Refresh(ctx); err != nil {
		return fmt.Errorf("look at events: %w", err)
	}
	if _, end := p.in.Bounds(); p.position.next > end {
		return fmt.Errorf("counted up to offset %d, but the log ends at %d: it is not the log that was counted", p.position.next, end)
	}
	return nil
}

// unlessDone returns err, or nil if it came of ctx, which is no error.
func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// count takes recs in, all or none.
func (p *Partition) count(s *step, recs []log.Record) (err error) {
	defer func() { err = firstError(err, p.disk.End()) }()
	s.clear()
	p.now = recs[len(recs)-1].Time
	for i := range recs {
		if err := s.take(&recs[i]); err != nil {
			return err
		}
	}
	p.position.next = recs[len(recs)-1].Offset + 1
	b := p.store.NewBatch()
	defer func() { _ = b.Close() }()
	if err := s.write(b); err != nil {
		return err
	}
	if err := p.store.Commit(b); err != nil {
		return fmt.Errorf("commit counts: %w", err)
	}
	p.passed.Store(p.position.next)
	p.metrics.steps.Inc()
	if p.publisher != nil {
		p.publisher.changed(s.deltas.names)
	}
	if p.alerter != nil {
		p.alerter.changed(s.deltas.heard)
	}
	return nil
}

// skipTrimmed goes on at the oldest record that the log still holds, if that is further on. What came before is lost to
// the counts; to stop for it would not bring it back.
func (p *Partition) skipTrimmed() bool {
	oldest, _ := p.in.Bounds()
	lost := oldest - p.position.next
	if lost <= 0 {
		return false
	}
	p.metrics.skipped.WithLabelValues(skipTrimmed).Add(float64(lost))
	p.log.Error("log was trimmed before it was counted", zap.Int64("offset", p.position.next), zap.Int64("lost", lost))
	p.position.next = oldest
	return true
}

// lag returns how many records of the log are not counted yet, as far as is known.
func (p *Partition) lag() int64 {
	_, next := p.in.Bounds()
	return max(0, next-p.Passed())
}

// Passed returns the offset of the first input record that is not yet durably counted. It is safe while Run runs.
func (p *Partition) Passed() int64 { return p.passed.Load() }
