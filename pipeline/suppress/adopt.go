package suppress

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// adopt gives a stage whose disk is empty back what it, or another worker, had published: the log of addresses does not reach
// back as far as suppressions hold. It goes on where the last step that was published as a whole had ended; what came behind
// that is decided again, with the same result. What is not published is lost: soft bounces that had not suppressed yet, and
// providers' hours.
func (p *Partition) adopt(ctx context.Context) error {
	if p.before == nil || p.at.next > 0 {
		return nil
	}
	if c, ok := p.before.(io.Closer); ok { // it reads ahead, and is read once
		defer func() { _ = c.Close() }()
	}
	if err := p.before.Refresh(ctx); err != nil {
		return err
	}
	from, end := p.before.Bounds()
	last, err := p.lastPosition(ctx, from, end)
	if err != nil {
		return fmt.Errorf("look for where another worker was: %w", err)
	}
	if last == nil {
		return nil
	}
	at := position{origins: make(map[int32]event.Origin)}
	var w wirePosition
	if err := json.Unmarshal(last.Value, &w); err != nil {
		return fmt.Errorf("read where another worker was: %w", err)
	}
	at.take(&w)
	if err := p.adoptAll(ctx, from, last.Offset); err != nil {
		return fmt.Errorf("read what was published: %w", err)
	}
	if err := p.adoptHits(ctx); err != nil {
		return fmt.Errorf("count what bounced in several accounts: %w", err)
	}
	at.waiting, at.hashed = p.at.waiting, p.at.hashed
	p.at = at
	p.place = wirePlace{Addresses: at.next - 1}
	p.logger.Info("took over what was published before", zap.Int64("next", at.next))
	if err := p.step(ctx, func() error { return nil }); err != nil {
		return err
	}
	p.batch = p.store.NewIndexedBatch()
	defer func() { _ = p.batch.Close() }()
	return p.lookDue()
}

// lastPosition finds the last record that ends a step, which is near the end. nil: there is none.
func (p *Partition) lastPosition(ctx context.Context, oldest, end int64) (last *log.Record, err error) {
	for n := int64(4 * readAtOnce); last == nil && end > oldest; n *= 4 {
		from := max(oldest, end-n)
		err := p.eachKnown(ctx, from, end, func(r *log.Record) error {
			if string(r.Key) == keyPosition && typeOf(r.Value) == typePosition {
				kept := *r
				last = &kept
			}
			return nil
		})
		if err != nil || from == oldest {
			return last, err
		}
	}
	return last, nil
}

// eachKnown calls fn with the published records of some offsets.
func (p *Partition) eachKnown(ctx context.Context, from, end int64, fn func(*log.Record) error) error {
	var recs []log.Record
	for from < end {
		var err error
		if recs, err = p.before.Read(ctx, from, readAtOnce, recs[:0]); err != nil {
			return err
		}
		for i := range recs {
			from = recs[i].Offset + 1
			if from > end { // another worker goes on writing
				return nil
			}
			if err := fn(&recs[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// adoptAll makes rows of all records up to the one that ends the last step.
func (p *Partition) adoptAll(ctx context.Context, from, end int64) (err error) {
	p.batch = p.store.NewIndexedBatch()
	defer func() { err = errors.Join(err, p.batch.Close()) }()
	// An adoption that was cut short left some.
	rows := p.table(tableMeta)[:headerSize-1]
	if err := p.batch.DeleteRange(rows, kv.PrefixEnd(rows), nil); err != nil {
		return err
	}
	p.at.waiting, p.at.hashed, p.wave = 0, 0, nil
	err = p.eachKnown(ctx, from, end, func(r *log.Record) error {
		p.at.time = max(p.at.time, r.Time)
		if err := p.adoptRecord(r); errors.Is(err, errForeign) {
			p.logger.Warn("skipped a record that is no suppression", zap.Int64("offset", r.Offset), zap.Error(err))
		} else if err != nil {
			return err
		}
		if p.batch.Len() < maxStepBytes {
			return nil
		}
		if err := errors.Join(p.commit(), p.batch.Close()); err != nil {
			return err
		}
		p.batch = p.store.NewIndexedBatch()
		return nil
	})
	if err == nil {
		err = p.commit()
	}
	return err
}

// adoptRecord makes rows of a record.
func (p *Partition) adoptRecord(r *log.Record) error {
	if len(r.Value) == 0 {
		return p.adoptRemoval(r.Key)
	}
	switch typeOf(r.Value) {
	case typeSuppression:
		var w wireSuppression
		e := &entry{}
		if err := errors.Join(decode(r.Value, &w), decode(w.Facts, e)); err != nil {
			return fmt.Errorf("%w: %w", errForeign, err)
		}
		s := w.suppression()
		if e.account, e.name = s.Account, s.Address; !isName(e.name) {
			return errForeign
		}
		return p.adoptEntry(e)
	case typeDecision:
		return p.adoptDecision(r.Value)
	case typeAccount:
		var a wireAccount
		if err := decode(r.Value, &a); err != nil {
			return fmt.Errorf("%w: %w", errForeign, err)
		}
		return p.keepAccount(&a, false)
	case typeWaiting:
		var w wireWaiting
		var f event.AddressFact
		if err := errors.Join(json.Unmarshal(r.Value, &w), f.DecodeJSON(w.Fact)); err != nil {
			return fmt.Errorf("%w: %w", errForeign, err)
		}
		return p.setWaiting(&f)
	case typeWave:
		w := wireWave{Wave: &wave{}}
		if err := json.Unmarshal(r.Value, &w); err != nil {
			return fmt.Errorf("%w: %w", errForeign, err)
		}
		p.wave = w.Wave
		return p.keepWave()
	case typePosition:
		return nil
	}
	return errForeign
}

func (p *Partition) adoptDecision(value []byte) error {
	var w wireDecision
	if err := decode(value, &w); err != nil {
		return fmt.Errorf("%w: %w", errForeign, err)
	}
	d, err := w.decision()
	if err != nil {
		return fmt.Errorf("%w: %w", errForeign, err)
	}
	w.At = nil
	id := event.ID(d.ID)
	errs := []error{p.set(p.decisionRow(id), encode(&w))}
	if name := normalName(d.Order.Address); isName(name) {
		errs = append(errs, p.set(append(p.ordersPrefix(d.Order.Account, name), id[:]...), nil))
	}
	if p.o.KeepDecisions > 0 {
		errs = append(errs, p.due(d.Made.Add(p.o.KeepDecisions), dueDecision, id[:]))
	}
	return errors.Join(errs...)
}

// adoptEntry writes an entry and all that leads to it.
func (p *Partition) adoptEntry(e *entry) error {
	if isHashed(e.name) && !p.o.HashOnly {
		p.at.hashed++
	}
	errs := []error{p.forgetAdopted(e.account, e.name), p.set(p.entryKey(e.account, e.name), encode(e)), p.indexHard(e, nil)}
	if e.Due != 0 {
		errs = append(errs, p.due(e.Due, dueEntry, entryRef(e)))
	}
	if e.Asked != nil {
		errs = append(errs, p.due(e.Asked.Due, dueInquiry, entryRef(e)))
	}
	return errors.Join(errs...)
}

// adoptHits makes the global entries that were not published, because too few accounts' mail had bounced.
func (p *Partition) adoptHits(ctx context.Context) error {
	from, end := p.table(tableEntry), kv.PrefixEnd(p.table(tableEntry))
	for from != nil && ctx.Err() == nil {
		b := p.store.NewIndexedBatch()
		p.batch = b
		var keys [][]byte
		err := p.scan(from, end, func(key, _ []byte) (bool, error) {
			keys = append(keys, key)
			return len(keys) < readAtOnce, nil
		})
		from = nil
		for _, key := range keys {
			if err == nil {
				err = p.adoptHitsOf(key)
			}
			if len(keys) == readAtOnce {
				from = append(key, 0)
			}
		}
		if err == nil {
			err = p.commit()
		}
		if err := errors.Join(err, b.Close()); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (p *Partition) adoptHitsOf(key []byte) error {
	account, name, err := cutEntryRef(key[headerSize:])
	if err != nil || account == "" {
		return err
	}
	e, _, err := p.load(account, name)
	if err != nil || !e.Shared {
		return err
	}
	if name, err = p.name("", name); err != nil {
		return err
	}
	g, known, err := p.load("", name)
	if err != nil || !g.takeHits(account, e.hits()) {
		return err
	}
	if !known {
		g.Original, g.Changed = e.Original, e.Changed
		if p.o.Keep > 0 {
			g.Due = e.Changed.Add(p.o.Keep)
			if err := p.due(g.Due, dueEntry, entryRef(g)); err != nil {
				return err
			}
		}
	}
	return p.set(p.entryKey("", name), encode(g))
}

// adoptRemoval takes back what a record before it had said, if the topic still has that.
func (p *Partition) adoptRemoval(key []byte) error {
	if string(key) == keyWave {
		p.wave = nil
		return p.keepWave()
	}
	if f, ok := cutWaitingKey(key); ok {
		row, err := p.get(p.waitingKey(&f))
		if err != nil || row == nil {
			return err
		}
		return p.unwait(p.waitingKey(&f), row)
	}
	account, name, id, ok := cutKey(key)
	switch {
	case !ok:
		return errForeign
	case name == "":
		return p.drop(p.decisionRow(id))
	}
	return p.forgetAdopted(account, name)
}

// forgetAdopted drops an entry of an earlier record with all that leads to it: it may name who was erased since.
func (p *Partition) forgetAdopted(account, name string) error {
	e, known, err := p.load(account, name)
	if err != nil || !known {
		return err
	}
	return p.forget(e)
}

// forget drops an entry's row and all that leads to it.
func (p *Partition) forget(e *entry) error {
	errs := []error{p.drop(p.entryKey(e.account, e.name))}
	for _, at := range e.hardTimes() {
		errs = append(errs, p.drop(p.waveKey(at, e.account, e.name)))
	}
	if e.Due != 0 {
		errs = append(errs, p.undue(e.Due, dueEntry, e))
	}
	if e.Asked != nil {
		errs = append(errs, p.undue(e.Asked.Due, dueInquiry, e))
	}
	return errors.Join(errs...)
}
