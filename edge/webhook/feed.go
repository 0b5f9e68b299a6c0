package webhook

import (
	"bytes"
	"context"
	"errors"

	"carom/pipeline/log"
)

// feedStep is how many records a feed reads at once.
const feedStep = 512

// feed reads one partition once for all webhooks: it wakes those whose accounts have news, and moves the others on.
type feed struct {
	h      *Hooks
	reader log.Reader
	at     int64 // everything before was looked at; guarded by h.mu
}

// run follows the partition until ctx is done or reading fails.
func (f *feed) run(ctx context.Context) error {
	var recs []log.Record
	for at := f.at; ; {
		var err error
		recs, err = f.reader.Read(ctx, at, feedStep, recs[:0])
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, log.ErrTrimmed):
			// The couriers find out by themselves what they missed.
			at, _ = f.reader.Bounds()
			f.pass(nil, at)
		case err != nil:
			return err
		default:
			at = recs[len(recs)-1].Offset + 1
			f.pass(accounts(recs), at)
			clear(recs)
		}
	}
}

// accounts returns the first record of each account by the beginning of its key, up to and with the slash.
func accounts(recs []log.Record) map[string]int64 {
	first := make(map[string]int64)
	for i := range recs {
		prefix := recs[i].Key[:bytes.IndexByte(recs[i].Key, '/')+1]
		if _, ok := first[string(prefix)]; !ok {
			first[string(prefix)] = recs[i].Offset
		}
	}
	return first
}

// pass tells the couriers what lies between f.at and next; nil: nobody knows.
func (f *feed) pass(first map[string]int64, next int64) {
	h, p := f.h, f.reader.Partition()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.couriers {
		s := c.steps[p]
		if !s.idle {
			continue
		}
		offset, news := first[string(c.wants.prefix)]
		switch {
		case first == nil:
			s.idle = false
		case s.read > f.at: // it was sent ahead
			s.idle = s.read >= next
		case news:
			s.read, s.idle = offset, false
		default:
			s.read = next
		}
		if !s.idle {
			c.bell.Ring()
		}
	}
	f.at = next
}
