package refine

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// Partition refines one partition of the raw log. Run owns all of it but what Passed and Message read.
type Partition struct {
	opts     Options
	store    *kv.Store
	in       log.Reader
	events   log.Writer
	rejects  log.Writer
	ticker   log.Ticker
	log      *zap.Logger
	metrics  *metrics
	number   int32
	keys     keyspace
	ran      atomic.Bool
	passed   atomic.Int64
	logTime  atomic.Int64 // of the last committed record, for the lag
	onPassed func(int64)

	// Run's own.
	meta    meta
	cache   *cache
	timers  *timers
	parked  *parked
	sources *sources
	step    *step
	now     now
	scratch []byte
}

// now is the place in the log that is being worked on: all the clock that refine has.
type now struct {
	offset int64
	at     event.Millis
}

// Open reads where the partition stands in store; the partition's number is that of in. A store without state begins
// at the oldest record of in. It fails if state and input don't belong together.
//
// The partition reports to reg under its number; reg may be nil. After an error of Run, the store and the writers must
// be opened anew, and then the partition.
func Open(o Options, store *kv.Store, in log.Reader, events, rejects log.Writer, ticker log.Ticker, logger *zap.Logger, reg prometheus.Registerer) (*Partition, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("refine: %w", err)
	}
	number := in.Partition()
	if number < 0 || number > math.MaxUint16 {
		return nil, fmt.Errorf("refine: partition %d: want 0 to %d", number, math.MaxUint16)
	}
	p := &Partition{
		opts: o, store: store, in: in, events: events, rejects: rejects, ticker: ticker,
		log:    logger.Named("refine").With(zap.Int32("partition", number)),
		number: number, keys: keyspace(number),
		step: newStep(store),
	}
	if err := p.load(); err != nil {
		return nil, fmt.Errorf("open refine partition %d: %w", number, err)
	}
	p.metrics = newMetrics(reg, number, p.lag)
	return p, p.count()
}

// load reads what Run keeps in memory.
func (p *Partition) load() (err error) {
	if err := p.loadMeta(); err != nil {
		return err
	}
	p.passed.Store(p.meta.offset)
	p.logTime.Store(int64(p.meta.logTime))
	p.cache = newCache(p.store, p.keys, p.opts.CacheMessages)
	p.timers = &timers{
		store: p.store, keys: p.keys, bound: defaultFront,
		floor: timerKey{due: p.meta.logTime, offset: math.MaxInt64},
	}
	if p.parked, err = openParked(p.store, p.keys); err != nil {
		return err
	}
	if p.sources, err = openSources(p.store, p.keys); err != nil {
		return err
	}
	return p.timers.load()
}

func (p *Partition) loadMeta() error {
	oldest, next := p.in.Bounds()
	value, ok, err := p.store.Get(nil, p.keys.table(nil, tableMeta))
	switch {
	case err != nil:
		return err
	case !ok:
		p.meta.offset = oldest
		return nil
	}
	if err := p.meta.decode(value); err != nil {
		return err
	}
	if p.meta.offset > next {
		return fmt.Errorf("the state is at input offset %d, but the input ends at %d: they don't belong together", p.meta.offset, next)
	}
	if p.meta.offset < oldest {
		return fmt.Errorf("the state is at input offset %d: %w; the oldest is %d", p.meta.offset, log.ErrTrimmed, oldest)
	}
	return nil
}

// count sets the gauges to what was found on disk.
func (p *Partition) count() error {
	waiting, err := p.timers.count(timerSettle)
	if err != nil {
		return err
	}
	p.metrics.waiting.Set(float64(waiting))
	p.metrics.parked.Set(float64(p.parked.total))
	return nil
}

// OnPassed has fn called, by Run's goroutine, after each commit with the new Passed. Call it before Run.
func (p *Partition) OnPassed(fn func(offset int64)) { p.onPassed = fn }

// Passed returns the offset of the first input record that is not yet durably behind the partition: all before it may
// be trimmed. It never shrinks.
func (p *Partition) Passed() int64 { return p.passed.Load() }

// lag returns how many input records wait, and the log time up to which the input was read.
func (p *Partition) lag() (records int64, at event.Millis) {
	_, next := p.in.Bounds()
	return max(0, next-p.Passed()), event.Millis(p.logTime.Load())
}

var errRan = errors.New("refine: Run was called twice")
