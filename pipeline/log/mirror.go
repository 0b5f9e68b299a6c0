package log

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
)

const (
	// mirrorRecords and mirrorBytes bound what Run commits at once.
	mirrorRecords = 1024
	mirrorBytes   = 4 << 20
	// mirrorFar is how many offsets behind its source a mirror says how it gets on, at most every mirrorReport.
	mirrorFar    = 10_000
	mirrorReport = 10 * time.Second
)

// Mirror is a local copy of one partition of a log that is kept elsewhere: the same records under the same offsets,
// without those that were written twice. It can be read whether or not the source can be reached.
//
// Offsets have gaps, which Read passes over. What the source lost before it was copied is a gap, too.
type Mirror struct {
	table
	logger  *zap.Logger
	metrics *mirrorMetrics

	onPassed func(offset int64)
	passed   atomic.Int64

	// Run's own.
	place   place
	scratch []byte
	report  time.Time // when it was last said how far behind the mirror is; zero: it is not
	foreign time.Time // when it was last said that records are none of ours

	// trimming serialises Trim.
	trimming sync.Mutex

	mu     sync.Mutex // guards what follows
	oldest int64      // what is before was trimmed
	next   int64      // the offset after the last committed record

	bell Bell
}

var _ Reader = (*Mirror)(nil)

// OpenMirror opens the copy that is log logID of s, where nobody else may write it. reg may be nil.
func OpenMirror(s *kv.Store, logID byte, partition int32, logger *zap.Logger, reg prometheus.Registerer) (*Mirror, error) {
	m := &Mirror{
		table:   table{s, logID, partition},
		logger:  logger.Named("mirror").With(zap.Int32("partition", partition)),
		metrics: newMirrorMetrics(reg, partition),
	}
	value, ok, err := s.Get(nil, m.own(mirrorPlace))
	if err == nil {
		err = m.place.decode(value, ok)
	}
	if err == nil {
		m.oldest, err = m.trimmed()
	}
	if err != nil {
		return nil, fmt.Errorf("open mirror %d/%d: %w", logID, partition, err)
	}
	m.next = m.place.end
	m.passed.Store(m.place.next)
	return m, nil
}

// Partition returns the number of the partition.
func (m *Mirror) Partition() int32 { return m.partition }

// Bounds returns the oldest offset that can be read, and the one after the last record that was copied. It may lie
// before Passed: a source's last records may be none that are copied.
func (m *Mirror) Bounds() (oldest, next int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.oldest, m.next
}

// Refresh does nothing: the copy is at hand.
func (m *Mirror) Refresh(context.Context) error { return nil }

// OnPassed has fn called, by Run's goroutine, with Passed: at the start, and whenever it has moved. Call it before Run.
func (m *Mirror) OnPassed(fn func(offset int64)) { m.onPassed = fn }

// Passed returns the source's offset that is copied next: all records before it are here, durably, but for those that
// the source has lost. It is safe while Run runs.
func (m *Mirror) Passed() int64 { return m.passed.Load() }

// Read appends copied records from offset from on to dst, at most max, and waits until there is one.
func (m *Mirror) Read(ctx context.Context, from int64, max int, dst []Record) ([]Record, error) {
	if max <= 0 {
		return dst, nil
	}
	next, err := await(ctx, m, &m.bell, from)
	if err == nil {
		dst, err = m.read(from, next, max, dst)
	}
	if err != nil {
		return dst, fmt.Errorf("read mirror %d/%d from %d: %w", m.log, m.partition, from, err)
	}
	return dst, nil
}

// read reads up to max records from offset from on, before next, before which there is one.
func (m *Mirror) read(from, next int64, max int, dst []Record) ([]Record, error) {
	if err := m.store.Enter(); err != nil {
		return dst, err
	}
	defer m.store.Leave()
	it, err := m.iter(from, next)
	if err != nil {
		return dst, err
	}
	had := len(dst)
	for ok := it.First(); ok && len(dst) < had+max; ok = it.Next() {
		rec, err := decodeRecord(it.Value())
		if err != nil {
			return dst[:had], errors.Join(fmt.Errorf("record %d: %w", offsetOf(it.Key()), err), it.Close())
		}
		rec.Offset = offsetOf(it.Key())
		rec.detach()
		dst = append(dst, rec)
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return dst[:had], err
	}
	// Records that Trim took since await looked at the bounds are no gap. It moves oldest before it removes them.
	if oldest, _ := m.Bounds(); from < oldest || len(dst) == had {
		return dst[:had], fmt.Errorf("%w; oldest is %d", ErrTrimmed, oldest)
	}
	return dst, nil
}

// Run copies what in holds from Passed on, until ctx is done, which is no error, or something fails. It is called
// once; after it has failed, the mirror must be opened anew.
func (m *Mirror) Run(ctx context.Context, in Reader) error {
	var recs []Record
	m.tellPassed()
	for {
		var err error
		recs, err = in.Read(ctx, m.place.next, mirrorRecords, recs[:0])
		switch {
		case errors.Is(err, ErrTrimmed) && m.skipTrimmed(in):
			continue
		case err != nil && ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("mirror %d/%d: read its source: %w", m.log, m.partition, err)
		}
		for rest := recs; len(rest) > 0; {
			n, err := m.step(rest)
			if err != nil {
				return fmt.Errorf("mirror %d/%d: %w", m.log, m.partition, err)
			}
			rest = rest[n:]
		}
		clear(recs)
		m.tell(in)
	}
}

// step copies records until mirrorBytes, and returns how many.
func (m *Mirror) step(recs []Record) (n int, err error) {
	b := m.store.NewBatch()
	defer func() { _ = b.Close() }()
	copied, skipped, foreign := 0, 0, 0
	for ; n < len(recs) && b.Len() < mirrorBytes; n++ {
		r := &recs[n]
		if r.Offset < m.place.next {
			return 0, fmt.Errorf("the source gave offset %d where %d was asked for", r.Offset, m.place.next)
		}
		m.place.next = r.Offset + 1
		switch o := r.Head.Origin; {
		case !ours(r.Head):
			foreign++
			continue
		case m.place.had(o):
			skipped++
			continue
		}
		m.place.time = max(m.place.time, r.Time)
		m.place.end = m.place.next
		m.scratch = appendRecord(m.scratch[:0], m.place.time, r.Key, r.Value)
		if err := b.Set(m.key(r.Offset), m.scratch, nil); err != nil {
			return 0, fmt.Errorf("copy record %d: %w", r.Offset, err)
		}
		copied++
	}
	m.tellForeign(foreign)
	m.scratch = m.place.append(m.scratch[:0])
	if err := b.Set(m.own(mirrorPlace), m.scratch, nil); err != nil {
		return 0, fmt.Errorf("copy records: %w", err)
	}
	if err := m.store.Commit(b); err != nil {
		return 0, fmt.Errorf("commit a copy: %w", err)
	}
	m.committed(copied > 0)
	m.metrics.records.Add(float64(copied))
	m.metrics.repeated.Add(float64(skipped))
	return n, nil
}

// committed shows readers what is on disk now.
func (m *Mirror) committed(grown bool) {
	m.passed.Store(m.place.next)
	m.mu.Lock()
	m.next = m.place.end
	m.mu.Unlock()
	if grown {
		m.bell.Ring()
	}
	m.tellPassed()
}

func (m *Mirror) tellPassed() {
	if m.onPassed != nil {
		m.onPassed(m.place.next)
	}
}

// tellForeign says now and then that records are skipped.
func (m *Mirror) tellForeign(records int) {
	if records == 0 {
		return
	}
	m.metrics.foreign.Add(float64(records))
	if time.Since(m.foreign) >= mirrorReport {
		m.logger.Warn("skipped records without the headers of an event: somebody else writes there", zap.Int("records", records), zap.Int64("before", m.place.next))
		m.foreign = time.Now()
	}
}

// ours reports whether a record is a refined event with all that tells it from others.
func ours(h event.Head) bool {
	return h.Kind != 0 && h.Origin.Partition >= 0 && h.Origin.Partition < mirrorOrigins
}

// skipTrimmed goes on at the oldest record that the source still holds, if that is further on. What came before is
// lost to this node; to stop for it would not bring it back.
func (m *Mirror) skipTrimmed(in Reader) bool {
	oldest, _ := in.Bounds()
	lost := oldest - m.place.next
	if lost <= 0 {
		return false
	}
	if m.place.next > 0 { // a new copy begins where the source does
		m.metrics.lost.Add(float64(lost))
		m.logger.Error("source was trimmed before it was copied", zap.Int64("offset", m.place.next), zap.Int64("lost", lost))
	}
	m.place.next = oldest
	// A log that is empty by now and stays silent would else be waited for, for ever.
	m.passed.Store(oldest)
	m.tellPassed()
	return true
}

// tell says now and then how far behind a mirror is that is far behind.
func (m *Mirror) tell(in Reader) {
	_, next := in.Bounds()
	behind := max(0, next-m.place.next)
	m.metrics.behind.Set(float64(behind))
	switch {
	case behind < mirrorFar:
		if !m.report.IsZero() {
			m.logger.Info("has caught up", zap.Int64("offset", m.place.next))
		}
		m.report = time.Time{}
	case time.Since(m.report) >= mirrorReport:
		m.logger.Info("catches up", zap.Int64("offset", m.place.next), zap.Int64("behind", behind))
		m.report = time.Now()
	}
}

// Trim removes the records before offset before, of those that are there.
func (m *Mirror) Trim(before int64) error {
	m.trimming.Lock()
	defer m.trimming.Unlock()

	// Readers are turned away first, so that none meets a hole.
	m.mu.Lock()
	before = min(before, m.next)
	if before <= m.oldest {
		m.mu.Unlock()
		return nil
	}
	m.oldest = before
	m.mu.Unlock()

	b := m.store.NewBatch()
	defer func() { _ = b.Close() }()
	// From the log's start, not from the oldest record: tombstones that all start alike merge into one.
	err := errors.Join(
		b.DeleteRange(m.key(0), m.key(before), nil),
		b.Set(m.own(mirrorTrimmed), kv.AppendUint64([]byte{placeVersion}, uint64(before)), nil))
	if err == nil {
		// If it does not reach the disk, the records are there again, and trimmed again.
		err = m.store.CommitNoSync(b)
	}
	if err != nil {
		return fmt.Errorf("trim mirror %d/%d: %w", m.log, m.partition, err)
	}
	return nil
}
