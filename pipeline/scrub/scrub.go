package scrub

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
)

const (
	// recordsAtOnce is how many records one commit covers; restTimes how many times as long as that took the scrubber
	// rests then, so that it takes a fifth of a core and of the disk at most.
	recordsAtOnce = 2048
	restTimes     = 4
	// lookEvery is how often it looks for erases, maxAtOnce how many one pass serves.
	lookEvery = time.Second
	maxAtOnce = 4096
	sayEvery  = 30 * time.Second
)

// Job is an erased contact: what was sent to him later stays. Or it is an address of his (event.AddressKeyOf), which orders name.
type Job struct {
	Contact event.ContactKey
	At      event.Millis
}

// Source tells of erases, and is told when nothing is left of them.
type Source interface {
	// Jobs returns erases that are done in the state, at most limit.
	Jobs(limit int) ([]Job, error)
	// Done says that no log holds anything of these.
	Done([]Job) error
	// Buried reports whether the message of a fact without a ref was erased.
	Buried(*event.Event) (bool, error)
}

// Log is what is rewritten.
type Log struct {
	Name string
	// End returns the offset up to which records may be rewritten.
	End func() int64
	// Rewrite rewrites some records from an offset on that lie before end, and returns the offset to go on at, which is
	// from as long as end is in the middle of records that are rewritten together.
	Rewrite func(from, end int64, most int, w *Work) (next int64, changed int, err error)
}

// Scrubber scrubs logs.
type Scrubber struct {
	store   *kv.Store
	source  Source
	logs    []Log
	log     *zap.Logger
	records prometheus.Counter
	blanked prometheus.Counter
	passing prometheus.Gauge
	rest    func(ctx context.Context, d time.Duration) error
}

// New returns a scrubber of logs, whose names are theirs for good. It starts nothing.
func New(store *kv.Store, source Source, logs []Log, logger *zap.Logger, reg prometheus.Registerer) *Scrubber {
	s := &Scrubber{
		store: store, source: source, logs: logs, log: logger.Named("scrub"), rest: rest,
		records: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_scrub_records_total", Help: "Records of logs that were looked at for erased contacts.",
		}),
		blanked: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carom_scrub_blanked_total", Help: "Records that were blanked because their contact was erased.",
		}),
		passing: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "carom_scrub_contacts_count", Help: "Erased contacts whose traces are being removed from logs.",
		}),
	}
	if reg != nil {
		reg.MustRegister(s.records, s.blanked, s.passing)
	}
	return s
}

func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run scrubs whenever there is something to, until ctx is done, which is no error, or something fails.
func (s *Scrubber) Run(ctx context.Context) error {
	for {
		jobs, err := s.source.Jobs(maxAtOnce)
		if err == nil && len(jobs) > 0 {
			err = s.pass(ctx, jobs)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("scrub logs: %w", err)
		}
		if s.rest(ctx, lookEvery) != nil {
			return nil
		}
	}
}

// pass goes through all logs once.
func (s *Scrubber) pass(ctx context.Context, jobs []Job) error {
	w := newWork(jobs, s.source)
	s.passing.Set(float64(len(jobs)))
	defer s.passing.Set(0)
	begun, said := time.Now(), time.Now()
	p, err := s.place(w)
	if err != nil {
		return err
	}
	blanked := 0
	for ; p.log < len(s.logs); p = (place{w.digest, p.log + 1, 0}) {
		l := s.logs[p.log]
		for end := l.End(); p.offset < end; {
			took := time.Now()
			next, changed, err := l.Rewrite(p.offset, max(end, l.End()), recordsAtOnce, w)
			if err != nil {
				return fmt.Errorf("%s: %w", l.Name, err)
			}
			if next <= p.offset { // the reader is in the middle of what can be rewritten as a whole only
				if err := s.rest(ctx, lookEvery); err != nil {
					return err
				}
				continue
			}
			s.records.Add(float64(next - p.offset))
			s.blanked.Add(float64(changed))
			blanked += changed
			p.offset = next
			if err := s.keep(p); err != nil {
				return err
			}
			if time.Since(said) > sayEvery {
				said = time.Now()
				s.log.Info("removes traces of erased contacts", zap.String("log", l.Name), zap.Int64("offset", next), zap.Int64("end", end), zap.Int("contacts", len(jobs)))
			}
			if err := s.rest(ctx, restTimes*time.Since(took)); err != nil {
				return err
			}
		}
	}
	// Before Done, so that the next erase of the same contact does not begin where this pass ended.
	if err := s.keep(place{}); err != nil {
		return err
	}
	if err := s.source.Done(jobs); err != nil {
		return err
	}
	s.log.Info("no log holds traces of contacts who were erased", zap.Int("contacts", len(jobs)), zap.Int("records", blanked), zap.Duration("took", time.Since(begun)))
	return nil
}

// place is where a pass is: format(1)=1 | digest of its jobs(16) | log(2) | offset(8), big-endian. Another set of jobs
// begins anew.
type place struct {
	digest event.ContactKey
	log    int
	offset int64
}

const (
	placeFormat byte = 1
	placeBytes       = 1 + 16 + 2 + 8
)

func placeKey() []byte { return []byte{kv.PrefixScrub} }

func (s *Scrubber) keep(p place) error {
	value := append([]byte{placeFormat}, p.digest[:]...)
	value = kv.AppendUint64(kv.AppendUint16(value, uint16(p.log)), uint64(p.offset))
	b := s.store.NewBatch()
	defer func() { _ = b.Close() }()
	if err := b.Set(placeKey(), value, nil); err != nil {
		return err
	}
	// If it is lost, some is done again. It must not be kept before what was rewritten, and no log's Rewrite returns
	// before that is on disk.
	return s.store.CommitNoSync(b)
}

func (s *Scrubber) place(w *Work) (place, error) {
	p := place{digest: w.digest}
	value, ok, err := s.store.Get(nil, placeKey())
	if err != nil || !ok || len(value) != placeBytes || value[0] != placeFormat || event.ContactKey(value[1:17]) != w.digest {
		return p, err
	}
	p.log, p.offset = int(binary.BigEndian.Uint16(value[17:])), int64(binary.BigEndian.Uint64(value[19:]))
	return p, nil
}
