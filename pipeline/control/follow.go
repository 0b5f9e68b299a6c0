package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

const (
	readAtOnce = 1024
	// staleAfter is how old what is known may be before a compacted log is read anew: half of what its removals stay.
	staleAfter = 84 * time.Hour
)

// follower is Run's own.
type follower struct {
	compacted bool
	place     place
	anew      *anew // while the whole log is read anew
}

// anew gathers what the log holds, so that the rest can be dropped at its end.
type anew struct {
	end  int64
	seen map[event.ContactKey]struct{} // hashes of keys of rows
}

// trimmer is a log that its follower may trim, because nobody else reads it.
type trimmer interface {
	Trim(before int64) error
	Rewrite(from, end int64, most int, fn log.Rewriting) (next int64, changed int, err error)
}

// Run follows the log until ctx is done, which is no error, or something fails. It is called once.
func (c *Controls) Run(ctx context.Context) error {
	parts, within := errgroup.WithContext(ctx)
	parts.Go(func() error { return c.run(within) })
	parts.Go(func() error { return c.handOver(within) })
	err := parts.Wait()
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return fmt.Errorf("follow controls: %w", err)
}

func (c *Controls) run(ctx context.Context) error {
	if err := c.in.Refresh(ctx); err != nil {
		return err
	}
	f := &c.follow
	if oldest, next := c.in.Bounds(); f.compacted && (event.Now() > f.place.end.Add(staleAfter) || f.place.next > next) || f.place.next < oldest {
		c.beginAnew()
	}
	var recs []log.Record
	for {
		if err := c.endAnew(); err != nil {
			return err
		}
		var err error
		recs, err = c.in.Read(ctx, f.place.next, readAtOnce, recs[:0])
		switch {
		case errors.Is(err, log.ErrTrimmed):
			c.beginAnew()
			continue
		case err != nil:
			return err
		}
		if err := c.apply(recs); err != nil {
			return err
		}
		clear(recs)
	}
}

// beginAnew goes back to the log's beginning.
func (c *Controls) beginAnew() {
	oldest, next := c.in.Bounds()
	c.logger.Info("reads all controls anew", zap.Int64("from", oldest), zap.Int64("to", next))
	c.follow.place.next = oldest
	c.follow.anew = &anew{end: next, seen: make(map[event.ContactKey]struct{})}
}

// endAnew drops, when the end is reached, what the log did not hold.
func (c *Controls) endAnew() error {
	f := &c.follow
	if f.anew == nil || f.place.next < f.anew.end {
		return nil
	}
	all := entriesKey()
	b := c.store.NewBatch()
	defer func() { _ = b.Close() }()
	var gone []Control
	err := c.each(all, all, func(key, value []byte) (bool, error) {
		if _, ok := f.anew.seen[rowHash(key)]; ok {
			return true, nil
		}
		entry, err := readRow(key, value)
		gone = append(gone, entry)
		return true, errors.Join(err, b.Delete(key, nil))
	})
	if err != nil {
		return err
	}
	f.anew = nil
	return c.commit(b, func() error {
		for i := range gone {
			if err := c.forget(&gone[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// rowHash stands for a row's key in memory.
func rowHash(key []byte) event.ContactKey { return event.ContactKeyOf("", string(key)) }

// apply puts records into rows and table.
func (c *Controls) apply(recs []log.Record) error {
	b := c.store.NewBatch()
	defer func() { _ = b.Close() }()
	changes := make([]change, 0, len(recs))
	for i := range recs {
		r := &recs[i]
		c.follow.place.next = r.Offset + 1
		ch, err := readRecord(r)
		if err != nil {
			c.metrics.foreign.Inc()
			c.logger.Warn("skipped a record that is no control: somebody else writes there, or a newer Carom", zap.Int64("offset", r.Offset), zap.Error(err))
			continue
		}
		if err := c.row(b, &ch); err != nil {
			return err
		}
		changes = append(changes, ch)
	}
	c.metrics.records.Add(float64(len(recs)))
	return c.commit(b, func() error { return c.remember(changes) })
}

// change is one record.
type change struct {
	Control
	removed bool
}

func readRecord(r *log.Record) (ch change, err error) {
	if len(r.Key) > 4*maxName {
		return ch, errControl
	}
	if ch.Control, err = parseLogKey(r.Key); err != nil {
		return ch, err
	}
	if len(r.Value) == 0 {
		ch.removed = true
		return ch, ch.check()
	}
	return ch, ch.decodeValue(r.Value)
}

// row writes or deletes the row of a record.
func (c *Controls) row(b *kv.Batch, ch *change) error {
	key := rowKey(&ch.Control)
	if anew := c.follow.anew; anew != nil {
		if ch.removed {
			delete(anew.seen, rowHash(key))
		} else {
			anew.seen[rowHash(key)] = struct{}{}
		}
	}
	if ch.removed {
		return b.Delete(key, nil)
	}
	return b.Set(key, ch.appendValue(nil), nil)
}

// commit puts rows and place on disk, and then changes the table.
func (c *Controls) commit(b *kv.Batch, change func() error) error {
	if _, next := c.in.Bounds(); c.follow.place.next >= next {
		c.follow.place.end = event.Now()
	}
	if c.follow.anew == nil { // else a restart begins anew as well
		if err := b.Set(placeKey(), c.follow.place.append(nil), nil); err != nil {
			return err
		}
	}
	if err := c.store.Commit(b); err != nil {
		return err
	}
	err := change()
	c.table.publish()
	c.passed.Store(c.follow.place.next)
	c.bell.Ring()
	if t, ok := c.in.(trimmer); ok && err == nil {
		err = trim(t, c.follow.place.next)
	}
	return err
}

// trim removes what was read. The newest record stays, because it holds the log's place, and is emptied: a contact who
// was erased since may be named in it.
func trim(t trimmer, before int64) error {
	if err := t.Trim(before); err != nil {
		return err
	}
	_, _, err := t.Rewrite(before-1, before, 1, func(key, _ []byte) ([]byte, []byte, bool, error) {
		return nil, nil, len(key) > 0, nil
	})
	return err
}

// remember changes the table as the rows were changed, in order.
func (c *Controls) remember(changes []change) error {
	for i := range changes {
		ch := &changes[i]
		if ch.removed {
			if err := c.forget(&ch.Control); err != nil {
				return err
			}
			continue
		}
		if !c.table.set(&ch.Control) {
			c.metrics.full.Inc()
			c.logger.Error("no room for an entry: it does not hold on this node; raise control.max_denied, control.max_self or control.max_webhooks", zap.Stringer("kind", ch.Kind))
		}
	}
	return nil
}

// forget takes an entry out of the table, unless the same contact is denied in the other way.
func (c *Controls) forget(entry *Control) error {
	twin := Control{Kind: DeniedKey, Account: entry.Account, Name: event.ContactKeyOf(entry.Account, entry.Name).String()}
	if entry.Kind == Denied {
		_, closer, err := c.store.DB().Get(rowKey(&twin))
		if err == nil {
			return closer.Close()
		}
		if !errors.Is(err, pebble.ErrNotFound) {
			return err
		}
	}
	c.table.remove(entry)
	return nil
}
