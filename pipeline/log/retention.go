package log

import (
	"errors"
	"fmt"
	"time"

	"carom/pipeline/event"
)

// Retention says how much stays of a log whose readers have passed it.
type Retention struct {
	Keep     time.Duration `yaml:"keep" doc:"How long a record stays after it was written, from 1h on, where all stages have passed it; 0s: for ever."`
	MaxBytes int64         `yaml:"max_bytes" doc:"Bytes on disk that the log takes, some tables more or less, from 1048576 on: the oldest records that all stages have passed go earlier then; 0: any."`
}

const (
	minKeep     = time.Hour
	minMaxBytes = 1 << 20
)

// Validate names the first setting that can't be used.
func (r Retention) Validate() error {
	switch {
	case r.Keep != 0 && r.Keep < minKeep:
		return fmt.Errorf("keep: %v: want 0s, which keeps for ever, or at least %v", r.Keep, minKeep)
	case r.MaxBytes != 0 && r.MaxBytes < minMaxBytes:
		return fmt.Errorf("max_bytes: %d: want 0, which is no bound, or at least %d", r.MaxBytes, minMaxBytes)
	}
	return nil
}

// Retain removes the records before passed that r does not keep, and returns the oldest offset that is left and whether any
// went. The newest record stays.
func (l *Local) Retain(r Retention, now event.Millis, passed int64) (oldest int64, trimmed bool, err error) {
	return l.retain(l, r, now, passed)
}

// Retain is Local's.
func (m *Mirror) Retain(r Retention, now event.Millis, passed int64) (oldest int64, trimmed bool, err error) {
	return m.retain(m, r, now, passed)
}

type trimming interface {
	Bounds() (oldest, next int64)
	Trim(before int64) error
}

func (t table) retain(l trimming, r Retention, now event.Millis, passed int64) (oldest int64, trimmed bool, err error) {
	was, next := l.Bounds()
	end := min(passed, next-1)
	before := was
	if r.Keep > 0 && before < end {
		before, err = t.before(before, end, now.Add(-r.Keep))
	}
	if r.MaxBytes > 0 && before < end && err == nil {
		before, err = t.within(before, end, next, r.MaxBytes)
	}
	if err == nil && before > was {
		err = l.Trim(before)
	}
	if err != nil {
		return was, false, fmt.Errorf("trim log %d/%d: %w", t.log, t.partition, err)
	}
	oldest, _ = l.Bounds()
	return oldest, oldest > was, nil
}

// before returns the offset, from lo to hi, before which all records are older than cutoff: log time never runs back, so a
// search by halves finds it with some 40 seeks. There is a record at or after hi.
func (t table) before(lo, hi int64, cutoff event.Millis) (_ int64, err error) {
	if err := t.store.Enter(); err != nil {
		return lo, err
	}
	defer t.store.Leave()
	it, err := t.iter(lo, maxOffset)
	if err != nil {
		return lo, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for lo < hi {
		mid := lo + (hi-lo)/2
		if !it.SeekGE(t.key(mid)) {
			return lo, it.Error()
		}
		rec, err := decodeRecord(it.Value())
		if err != nil {
			return lo, fmt.Errorf("record %d: %w", offsetOf(it.Key()), err)
		}
		if rec.Time < cutoff {
			lo = min(hi, offsetOf(it.Key())+1)
		} else {
			hi = mid
		}
	}
	return lo, nil
}

// within returns the offset, from lo to hi, from which on the log takes at most so many bytes, or hi.
func (t table) within(lo, hi, next, most int64) (int64, error) {
	for lo < hi {
		// The first look is at all of it: mostly that is little enough.
		mid := lo
		size, err := t.store.RangeSize(t.key(mid), t.key(next))
		if err != nil || size <= most {
			return lo, err
		}
		for lo < hi {
			mid = lo + (hi-lo)/2
			if size, err = t.store.RangeSize(t.key(mid), t.key(next)); err != nil {
				return lo, err
			}
			if size > most {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
	}
	return lo, nil
}
