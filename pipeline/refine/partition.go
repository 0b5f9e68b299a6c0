package refine

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/burst"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// Partition refines one partition of the raw log. Run owns all of it but what Passed and Message read.
type Partition struct {
	opts     Options
	store    *kv.Store
	in       log.Reader
	out      Outputs
	ticker   log.Ticker
	log      *zap.Logger
	metrics  *metrics
	number   int32
	keys     keyspace
	ran      atomic.Bool
	passed   atomic.Int64
	logTime  atomic.Int64 // of the last committed record, for the lag
	onPassed func(int64)
	shipped  int64 // output of input records before it is in the logs
	rebuilds bool  // instead of failing, where the input was trimmed beyond the state

	progress progress

	// Run's own.
	meta    meta
	blank   bool // the store knows nothing of the partition yet: it begins with the oldest record
	epochs  *epochs
	cache   *cache
	timers  *timers
	parked  *parked
	sources *sources
	known   *knownContacts
	volume  volume
	erased  bool // some contact was erased
	erasing bool // the step has erased something
	step    *step
	now     now
	scratch []byte

	// Of one review.
	verdicts []burst.Verdict
	hand     *hand
	lost     life          // the latest hit that is no human's any longer
	again    event.Refined // what is published again
	reasons  []string
}

// now is the place in the log that is being worked on: all the clock that refine has.
type now struct {
	offset int64
	at     event.Millis
}

// Outputs are the logs that a partition writes.
type Outputs struct {
	Events    log.Writer // refined events, as event.Refined's JSON; key: account/sender
	Addresses log.Writer // what bears on addresses, as event.AddressFact's JSON; key: its Key
	Rejects   log.Writer // what couldn't be understood, as the JSON of a Reject; no key
}

// all lists the logs in the order in which they are written.
func (o Outputs) all() [3]log.Writer { return [...]log.Writer{o.Events, o.Addresses, o.Rejects} }

// Open reads what store knows of the partition, whose number is that of in; in itself is not asked before Run. Message
// answers from now on.
//
// The partition reports to reg under its number; reg may be nil. After an error of Run, the store and the writers must
// be opened anew, and then the partition.
func Open(o Options, store *kv.Store, in log.Reader, out Outputs, ticker log.Ticker, logger *zap.Logger, reg prometheus.Registerer) (*Partition, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("refine: %w", err)
	}
	number := in.Partition()
	if number < 0 || number > math.MaxUint16 {
		return nil, fmt.Errorf("refine: partition %d: want 0 to %d", number, math.MaxUint16)
	}
	o.Burst.Repeat = o.Repeat
	p := &Partition{
		opts: o, store: store, in: in, out: out, ticker: ticker,
		log:    logger.Named("refine").With(zap.Int32("partition", number)),
		number: number, keys: keyspace(number),
		step: newStep(store),
	}
	p.progress.log = p.log
	if err := p.load(); err != nil {
		return nil, fmt.Errorf("open refine partition %d: %w", number, err)
	}
	p.metrics = newMetrics(reg, number, p.lag, p.progress.left.Load)
	return p, p.count()
}

// load reads what Run keeps in memory.
func (p *Partition) load() (err error) {
	if err := p.loadMeta(); err != nil {
		return err
	}
	p.passed.Store(p.meta.offset)
	p.logTime.Store(int64(p.meta.logTime))
	if err := p.migrate(); err != nil {
		return fmt.Errorf("bring messages into epochs: %w", err)
	}
	if p.epochs, err = openEpochs(p.store, p.keys, event.Millis(p.opts.Keep.Milliseconds()), p.opts.RollBytes); err != nil {
		return err
	}
	p.cache = newCache(p.store, p.keys, p.epochs, p.opts.CacheMessages)
	p.hand = newHand(p.opts.CacheMessages * handBytesPerMessage)
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
	if err := p.loadErased(); err != nil {
		return err
	}
	p.known = newKnownContacts()
	if err := p.loadVolume(); err != nil {
		return err
	}
	return p.timers.load()
}

func (p *Partition) loadMeta() error {
	p.meta = meta{}
	value, ok, err := p.store.Get(nil, p.keys.table(nil, tableMeta))
	if err != nil {
		return err
	}
	if p.blank = !ok; p.blank {
		return nil
	}
	return p.meta.decode(value)
}

// count sets the gauges to what was found on disk.
func (p *Partition) count() error {
	waiting, err := p.timers.waiting()
	if err != nil {
		return err
	}
	p.metrics.waiting.Set(float64(waiting))
	p.metrics.parked.Set(float64(p.parked.total))
	return nil
}

// OnPassed has fn called, by Run's goroutine, with Passed: when Run has found its place, and after each commit. Call it
// before Run.
func (p *Partition) OnPassed(fn func(offset int64)) { p.onPassed = fn }

// Shipped says that the logs hold what input records before offset released, though the state may not know it: it was
// lost, or is older than what another owner of the partition did since. Refine brings the state up to there and writes
// nothing of it again; n of an origin goes on as if it did. Call it before Run.
func (p *Partition) Shipped(offset int64) { p.shipped = offset }

// RebuildTrimmed has Run delete a state that the input has left behind, which is an error otherwise, and rebuild it from
// the oldest record that there is. That is for an input which forgets by age, whoever reads it. Call it before Run.
func (p *Partition) RebuildTrimmed() { p.rebuilds = true }

// Passed returns the offset of the first input record that is not yet durably behind the partition: all before it may
// be trimmed. It shrinks only when a state is deleted to be rebuilt; without a state it is 0 until Run has seen the input.
func (p *Partition) Passed() int64 { return p.passed.Load() }

// lag returns how many input records wait, and the log time up to which the input was read.
func (p *Partition) lag() (records int64, at event.Millis) {
	_, next := p.in.Bounds()
	return max(0, next-p.Passed()), event.Millis(p.logTime.Load())
}

var errRan = errors.New("refine: Run was called twice")
