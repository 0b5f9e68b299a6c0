package suppress

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
)

const (
	tellAtOnce = 256
	// tellAgain is how long what the journal did not take waits for the next try.
	tellAgain = time.Second
)

// tellAll journals what the outbox holds, and what comes. An event may be journaled twice if the process ends in between:
// refine knows alerts by their id, and an inquiry that is answered twice was answered.
func (p *Partition) tellAll(ctx context.Context) error {
	for {
		rung := p.bell.Rung()
		keys, evs, err := p.outbox()
		if err != nil {
			return fmt.Errorf("read what is to be journaled: %w", err)
		}
		if len(evs) == 0 {
			select {
			case <-rung:
				continue
			case <-ctx.Done():
				return nil
			}
		}
		if err := p.teller.Facts(evs...); err != nil {
			p.logger.Error("inquiries and alerts can't be journaled; they are tried again", zap.Error(err))
			select {
			case <-time.After(tellAgain):
				continue
			case <-ctx.Done():
				return nil
			}
		}
		b := p.store.NewBatch()
		for _, key := range keys {
			err = errors.Join(err, b.Delete(key, nil))
		}
		if err := errors.Join(err, p.store.Commit(b), b.Close()); err != nil {
			return fmt.Errorf("note what was journaled: %w", err)
		}
		p.metrics.told.Add(float64(len(evs)))
	}
}

// outbox returns what is to be journaled, oldest first.
func (p *Partition) outbox() (keys [][]byte, evs []*event.Event, err error) {
	if err := p.store.Enter(); err != nil {
		return nil, nil, err
	}
	defer p.store.Leave()
	table := p.table(tableOutbox)
	it, err := p.store.DB().NewIter(&pebble.IterOptions{LowerBound: table, UpperBound: kv.PrefixEnd(table)})
	if err != nil {
		return nil, nil, err
	}
	for ok := it.First(); ok && err == nil && len(evs) < tellAtOnce; ok = it.Next() {
		var row []byte
		if row, err = openRow(it.Value()); err == nil {
			ev := &event.Event{}
			err = ev.DecodeBinary(row)
			keys, evs = append(keys, append([]byte(nil), it.Key()...)), append(evs, ev)
		}
	}
	return keys, evs, errors.Join(err, it.Error(), it.Close())
}
