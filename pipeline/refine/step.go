package refine

import (
	"context"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// step is what one commit covers: changes of state in batch, and the output. It also remembers what it wrote
// that is not on disk yet and that somebody may look for.
type step struct {
	batch     *kv.Batch
	events    output
	addresses output
	rejects   output

	number   uint32                  // of this step, from 1
	created  []event.Key             // messages that became known
	entries  map[timelineEntry]place // timeline entries that were written, but for hits at hand: they know it themselves
	withheld []byte                  // withheld hits that were written
	alerts   map[event.ID]bool       // that were told (true), or need not be known any longer

	// created by prefix, as far as somebody asked.
	byPrefix map[prefix][]event.Key
	indexed  int

	recs []log.Record // scratch
}

type timelineEntry struct {
	key event.Key
	id  event.ID
}

func newStep(store *kv.Store) *step {
	return &step{
		// One batch serves all steps, so that it doesn't grow anew in each.
		batch:    store.DB().NewBatch(pebble.WithMaxRetainedSizeBytes(maxKept)),
		byPrefix: make(map[prefix][]event.Key), entries: make(map[timelineEntry]place), number: 1,
		alerts: make(map[event.ID]bool),
	}
}

// outputs lists what is written to the logs, in the order of Outputs.all.
func (s *step) outputs() [3]*output { return [...]*output{&s.events, &s.addresses, &s.rejects} }

var outputNames = [...]string{"events", "addresses", "rejects"}

func (s *step) reset() {
	s.batch.Reset()
	for _, o := range s.outputs() {
		o.reset()
	}
	s.number = max(s.number+1, 1)
	if cap(s.withheld) > maxKept {
		s.withheld = nil
	}
	s.withheld = s.withheld[:0]
	s.created, s.indexed = s.created[:0], 0
	clear(s.byPrefix)
	clear(s.entries)
	clear(s.alerts)
}

// createdWith returns the messages with a prefix that became known in this step. Few steps are asked, so the index is
// made when one is.
func (s *step) createdWith(pre prefix) []event.Key {
	for _, key := range s.created[s.indexed:] {
		p := prefixOf(key)
		s.byPrefix[p] = append(s.byPrefix[p], key)
	}
	s.indexed = len(s.created)
	return s.byPrefix[pre]
}

// output collects the records for one log. Keys and values lie in one buffer.
type output struct {
	buf  []byte
	recs []span
}

type span struct {
	key, value, end int // where they begin in buf, and where the value ends
	at              event.Millis
	head            event.Head // of a refined event
}

// withhold takes back the record that was added last. Its bytes stay until the step ends, so that a step has the same
// size whether or not its output is written.
func (o *output) withhold() { o.recs = o.recs[:len(o.recs)-1] }

// maxKept is the size beyond which a buffer is not kept for the next step.
const maxKept = 16 << 20

func (o *output) reset() {
	if cap(o.buf) > maxKept {
		o.buf = nil
	}
	o.buf, o.recs = o.buf[:0], o.recs[:0]
}

// write hands the records over, each with the log time of the input that released it, so that the log's bytes don't
// depend on where the steps end.
func (o *output) write(ctx context.Context, w log.Writer, b *kv.Batch, recs []log.Record) ([]log.Record, error) {
	if len(o.recs) == 0 {
		return recs, nil
	}
	recs = recs[:0]
	for i := range o.recs {
		r := &o.recs[i]
		recs = append(recs, log.Record{
			Time: r.at, Key: o.buf[r.key:r.value:r.value], Value: o.buf[r.value:r.end:r.end], Head: r.head,
		})
	}
	err := w.Write(ctx, b, recs)
	clear(recs)
	return recs, err
}

// full reports that the step has reached its bounds.
func (p *Partition) full() bool {
	bytes := p.step.batch.Len()
	for _, o := range p.step.outputs() {
		bytes += len(o.buf)
	}
	return bytes >= p.opts.StepBytes
}

// commit writes state, input offset and output as one batch, and begins a new step.
func (p *Partition) commit(ctx context.Context) error {
	begin := time.Now()
	s := p.step
	if err := p.cache.write(s.batch); err != nil {
		return err
	}
	if err := p.epochs.writeRolls(s.batch); err != nil {
		return err
	}
	if err := p.sources.write(s.batch); err != nil {
		return err
	}
	if err := p.known.write(p.keys, s.batch); err != nil {
		return err
	}
	if err := p.volume.write(p.keys, s.batch); err != nil {
		return err
	}
	p.scratch = p.meta.append(p.scratch[:0])
	if err := s.batch.Set(p.keys.table(nil, tableMeta), p.scratch, nil); err != nil {
		return fmt.Errorf("write meta: %w", err)
	}
	if err := p.cache.endStep(); err != nil {
		return fmt.Errorf("read states: %w", err)
	}
	writers := p.out.all()
	for i, o := range s.outputs() {
		var err error
		if s.recs, err = o.write(ctx, writers[i], s.batch, s.recs); err != nil {
			return fmt.Errorf("write %s: %w", outputNames[i], err)
		}
	}
	if err := p.store.Commit(s.batch); err != nil {
		return err
	}
	for _, w := range writers {
		w.Committed()
	}
	p.metrics.stepSeconds.Observe(time.Since(begin).Seconds())
	return p.committed()
}

// committed follows a commit: what was in memory for its sake goes.
func (p *Partition) committed() error {
	p.blank, p.erasing = false, false
	p.cache.committed()
	p.parked.committed()
	p.known.committed()
	p.logTime.Store(int64(p.meta.logTime))
	p.passed.Store(p.meta.offset)
	p.progress.passed(p.meta.offset, time.Now())
	if p.onPassed != nil {
		p.onPassed(p.meta.offset)
	}
	p.step.reset()
	if p.timers.exhausted() {
		return p.timers.load()
	}
	return nil
}
