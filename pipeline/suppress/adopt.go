package suppress

import (
	"context"
	"errors"
	"fmt"
	"io"

	"go.uber.org/zap"

	"carom/kv"
	"carom/pipeline/event"
	"carom/pipeline/log"
)

// adopt gives a stage whose disk is empty back what it, or another worker, had published: the log of addresses does not reach
// back as far as suppressions hold. It goes on after the last fact that released a record. What was not published is lost:
// soft bounces that had not suppressed yet, providers' hours, facts that waited.
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
	at := position{origins: make(map[int32]event.Origin)}
	next := int64(0)
	var recs []log.Record
	for from < end {
		var err error
		if recs, err = p.before.Read(ctx, from, readAtOnce, recs[:0]); err != nil {
			return fmt.Errorf("read what was published: %w", err)
		}
		b := p.store.NewIndexedBatch()
		p.batch = b
		for i := range recs {
			from = recs[i].Offset + 1
			if from > end { // another worker goes on writing
				break
			}
			place, err := p.adoptRecord(&recs[i])
			if errors.Is(err, errForeign) {
				p.logger.Warn("skipped a record that is no suppression", zap.Int64("offset", recs[i].Offset), zap.Error(err))
				continue
			}
			if err != nil {
				return errors.Join(err, b.Close())
			}
			at.time = max(at.time, recs[i].Time)
			if place == nil {
				continue
			}
			next = max(next, place.Addresses+1)
			o := event.Origin{Partition: place.Partition, Offset: place.Offset, N: place.N}
			if last, ok := at.origins[o.Partition]; place.Heard && (!ok || o.After(last)) {
				at.origins[o.Partition] = o
			}
		}
		if err := errors.Join(p.commit(), b.Close()); err != nil {
			return err
		}
		clear(recs)
	}
	if next == 0 {
		return nil
	}
	if err := p.adoptHits(ctx); err != nil {
		return fmt.Errorf("count what bounced in several accounts: %w", err)
	}
	at.next, at.hashed = next, p.at.hashed
	p.at = at
	p.logger.Info("took over what was published before", zap.Int64("next", next))
	if err := p.step(ctx, func() error { return nil }); err != nil {
		return err
	}
	p.batch = p.store.NewIndexedBatch()
	defer func() { _ = p.batch.Close() }()
	return p.lookDue()
}

// adoptRecord makes rows of a record, and returns what released it.
func (p *Partition) adoptRecord(r *log.Record) (*wirePlace, error) {
	p.at.time = max(p.at.time, r.Time)
	if len(r.Value) == 0 {
		return nil, p.adoptRemoval(r.Key)
	}
	switch typeOf(r.Value) {
	case typeSuppression:
		var w wireSuppression
		e := &entry{}
		if err := decode(r.Value, &w); err != nil {
			return nil, fmt.Errorf("%w: %w", errForeign, err)
		}
		if err := decode(w.Facts, e); err != nil {
			return nil, fmt.Errorf("%w: %w", errForeign, err)
		}
		s := w.suppression()
		if e.account, e.name = s.Account, s.Address; !isName(e.name) {
			return nil, errForeign
		}
		return w.At, p.adoptEntry(e)
	case typeDecision:
		d, err := readDecision(r.Value)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errForeign, err)
		}
		var w wireDecision
		if err := decode(r.Value, &w); err != nil {
			return nil, fmt.Errorf("%w: %w", errForeign, err)
		}
		place := w.At
		w.At = nil
		id := event.ID(d.ID)
		errs := []error{p.set(p.decisionRow(id), encode(&w))}
		if name := normalName(d.Order.Address); isName(name) {
			errs = append(errs, p.set(append(p.ordersPrefix(d.Order.Account, name), id[:]...), nil))
		}
		if p.o.KeepDecisions > 0 {
			errs = append(errs, p.due(d.Made.Add(p.o.KeepDecisions), dueDecision, id[:]))
		}
		return place, errors.Join(errs...)
	case typeAccount:
		var a wireAccount
		if err := decode(r.Value, &a); err != nil {
			return nil, fmt.Errorf("%w: %w", errForeign, err)
		}
		return a.At, p.keepAccount(&a, false)
	}
	return nil, errForeign
}

// adoptEntry writes an entry and all that leads to it.
func (p *Partition) adoptEntry(e *entry) error {
	if isHashed(e.name) && !p.o.HashOnly {
		p.at.hashed++
	}
	errs := []error{p.forgetAdopted(e.account, e.name), p.set(p.entryKey(e.account, e.name), encode(e))}
	for i := range e.Messages {
		for j := range e.Messages[i].Bounces {
			if b := &e.Messages[i].Bounces[j]; b.Hard {
				errs = append(errs, p.set(p.waveKey(b.Time, e.account, e.name), nil))
			}
		}
	}
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
	errs := []error{p.drop(p.entryKey(account, name))}
	for i := range e.Messages {
		for j := range e.Messages[i].Bounces {
			errs = append(errs, p.drop(p.waveKey(e.Messages[i].Bounces[j].Time, account, name)))
		}
	}
	if e.Due != 0 {
		errs = append(errs, p.undue(e.Due, dueEntry, e))
	}
	if e.Asked != nil {
		errs = append(errs, p.undue(e.Asked.Due, dueInquiry, e))
	}
	return errors.Join(errs...)
}
