package suppress

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
)

// Secret keys the hashes of addresses.
type Secret [32]byte

// Teller journals what suppress says itself: inquiries and alerts. It returns when that is durable.
type Teller interface {
	Facts(evs ...*event.Event) error
}

// Deps are what the stage works on.
type Deps struct {
	Secret Secret
	Store  *kv.Store
	In     log.Reader // addresses
	Out    log.Writer // suppressions
	Teller Teller
	// Known is the log of suppressions, where it outlives the store: a stage that knows nothing takes over what it holds.
	Known log.Reader
	// Partitions is how many partitions raw records have: each is asked for signs of life.
	Partitions int
	Logger     *zap.Logger
	Registerer prometheus.Registerer // may be nil
}

// Partition decides about addresses: the only one of the system.
type Partition struct {
	o          Options
	store      *kv.Store
	in         log.Reader
	out        log.Writer
	teller     Teller
	before     log.Reader // what was published before; nil: there is nothing to take over
	asked      int        // raw partitions
	rowsAtOnce int
	hashes     hashes
	known      *known // of entries and decisions
	logger     *zap.Logger
	metrics    *metrics

	passed atomic.Int64
	onPass func(offset int64)
	bell   log.Bell // rung when there is something to tell

	// Run's own.
	at      position
	wave    *wave // which is being undone or applied; nil: none
	nextDue event.Millis

	providers map[string]*providerHours

	// Of the step.
	batch   *kv.Batch
	place   wirePlace // of the record
	records []log.Record
	sure    bool     // known was there when the step began: one that came since lacks what the step wrote before
	fresh   []uint64 // of rows that known knows
	told    bool
}

// maxStepBytes bounds what one commit writes.
const maxStepBytes = 4 << 20

// Open reads where the stage stands; its log is not asked before Run.
func Open(o Options, d Deps) (*Partition, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("suppress: %w", err)
	}
	p := &Partition{
		o: o, store: d.Store, in: d.In, out: d.Out, teller: d.Teller, before: d.Known, asked: max(1, d.Partitions), rowsAtOnce: rowsAtOnce, hashes: hashes{d.Secret},
		logger: d.Logger.Named("suppress"), at: position{origins: make(map[int32]event.Origin)}, providers: make(map[string]*providerHours),
	}
	p.known = newKnown(d.Store, p.table(tableEntry), p.table(tableDecision))
	p.metrics = newMetrics(d.Registerer, p.lag)
	if err := p.restore(); err != nil {
		return nil, fmt.Errorf("open suppress: %w", err)
	}
	return p, nil
}

func (p *Partition) restore() error {
	p.batch = p.store.NewIndexedBatch()
	defer func() { _ = p.batch.Close() }()
	row, err := p.get(p.metaKey(metaPosition))
	if err == nil && row != nil {
		err = p.at.decode(row)
	}
	if err != nil {
		return err
	}
	w := &wave{}
	if ok, err := p.getJSON(p.metaKey(metaWave), w); err != nil {
		return err
	} else if ok {
		p.wave = w
	}
	p.passed.Store(p.done())
	return p.lookDue()
}

// done returns the offset before which everything is decided.
func (p *Partition) done() int64 {
	if p.wave != nil {
		return p.wave.Place.Addresses
	}
	return p.at.next
}

// Run decides until ctx is done, which is no error, or something fails. It is called once.
func (p *Partition) Run(ctx context.Context) error {
	parts, ctx := errgroup.WithContext(ctx)
	parts.Go(func() error { return p.decideAll(ctx) })
	parts.Go(func() error { return p.tellAll(ctx) })
	parts.Go(func() error { return p.known.build(ctx) })
	if err := parts.Wait(); err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	} else if err != nil {
		return fmt.Errorf("suppress: %w", err)
	}
	return nil
}

func (p *Partition) decideAll(ctx context.Context) error {
	if err := p.adopt(ctx); err != nil {
		return err
	}
	if err := p.finishWave(ctx); err != nil {
		return err
	}
	if err := p.switchNames(ctx); err != nil {
		return fmt.Errorf("switch hash_only: %w", err)
	}
	if err := p.in.Refresh(ctx); err != nil {
		return err
	}
	if _, end := p.in.Bounds(); p.at.next > end {
		return fmt.Errorf("decided up to offset %d, but the log ends at %d: it is not the log that was read", p.at.next, end)
	}
	p.tellPassed()
	var recs []log.Record
	for {
		if err := p.finishWave(ctx); err != nil {
			return err
		}
		var err error
		recs, err = p.in.Read(ctx, p.at.next, p.o.StepRecords, recs[:0])
		switch {
		case errors.Is(err, log.ErrTrimmed) && p.skipTrimmed():
			continue
		case err != nil:
			return err
		}
		for rest := recs; len(rest) > 0; {
			n := 0
			err := p.step(ctx, func() (err error) {
				for n < len(rest) && p.wave == nil && p.batch.Len() < maxStepBytes && err == nil {
					err = p.take(&rest[n])
					n++
				}
				return err
			})
			if err == nil {
				err = p.finishWave(ctx)
			}
			if err != nil {
				return err
			}
			rest = rest[n:]
		}
		clear(recs)
	}
}

// step makes what fn does one commit: rows, position, and what it publishes.
func (p *Partition) step(ctx context.Context, fn func() error) error {
	p.batch = p.store.NewIndexedBatch()
	defer func() { _ = p.batch.Close() }()
	p.records, p.told, p.sure = p.records[:0], false, p.known.ready()
	if err := fn(); err != nil {
		return err
	}
	if err := p.writeProviders(); err != nil {
		return err
	}
	if err := p.set(p.metaKey(metaPosition), p.at.append(nil)); err != nil {
		return err
	}
	if len(p.records) > 0 {
		p.publishOwn([]byte(keyPosition), p.at.wire())
	}
	if err := p.out.Write(ctx, p.batch, p.records); err != nil {
		return fmt.Errorf("write suppressions: %w", err)
	}
	if err := p.commit(); err != nil {
		return fmt.Errorf("commit suppressions: %w", err)
	}
	p.out.Committed()
	p.metrics.published.Add(float64(len(p.records)))
	clear(p.records)
	p.passed.Store(p.done())
	p.tellPassed()
	if p.told {
		p.bell.Ring()
	}
	return nil
}

// publish puts a record into the step's output.
func (p *Partition) publish(key, value []byte) {
	p.records = append(p.records, log.Record{Time: p.at.time, Key: key, Value: value})
}

// publishOwn publishes what is for a worker that takes over alone, where there may be one: a value, or that it is gone.
func (p *Partition) publishOwn(key []byte, value any) {
	switch {
	case p.before == nil:
	case value == nil:
		p.publish(key, nil)
	default:
		p.publish(key, encode(value))
	}
}

// take handles one record.
func (p *Partition) take(rec *log.Record) error {
	p.at.next = rec.Offset + 1
	p.at.time = max(p.at.time, rec.Time)
	if err := p.fireDue(); err != nil {
		return err
	}
	var f event.AddressFact
	if err := f.DecodeJSON(rec.Value); err != nil {
		p.metrics.skipped.WithLabelValues(skipRejected).Inc()
		p.logger.Error("a fact about an address can't be read", zap.Int64("offset", rec.Offset), zap.Error(err))
		return nil
	}
	if p.at.passed(f.Origin) {
		p.metrics.skipped.WithLabelValues(skipRepeated).Inc()
		return nil
	}
	p.place = wirePlace{rec.Offset, f.Origin.Partition, f.Origin.Offset, f.Origin.N}
	p.metrics.facts.WithLabelValues(f.Kind.String()).Inc()
	switch f.Kind {
	case event.Order:
		return p.order(&f)
	case event.Life:
		return p.life(&f)
	case event.Contact:
		return p.contact(&f)
	case event.Volume:
		return p.volume(&f)
	case event.Erase:
		return p.erase(&f)
	}
	return p.hear(&f)
}

// skipTrimmed goes on at the oldest record that the log still holds, if that is further on.
func (p *Partition) skipTrimmed() bool {
	oldest, _ := p.in.Bounds()
	lost := oldest - p.at.next
	if lost <= 0 {
		return false
	}
	if p.at.next > 0 { // a new stage begins where its log does
		p.metrics.skipped.WithLabelValues(skipTrimmed).Add(float64(lost))
		p.logger.Error("log was trimmed before it was read", zap.Int64("offset", p.at.next), zap.Int64("lost", lost))
	}
	p.at.next = oldest
	return true
}

func (p *Partition) lag() int64 {
	_, next := p.in.Bounds()
	return max(0, next-p.Passed())
}

// Passed returns the offset of the first input record that is not yet durably decided. It is safe while Run runs.
func (p *Partition) Passed() int64 { return p.passed.Load() }

// OnPassed has fn called, by Run's goroutine, with Passed: at the start, and whenever it has moved. Call it before Run.
func (p *Partition) OnPassed(fn func(offset int64)) { p.onPass = fn }

func (p *Partition) tellPassed() {
	if p.onPass != nil {
		p.onPass(p.passed.Load())
	}
}
