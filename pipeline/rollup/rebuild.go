package rollup

import (
	"bytes"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"go.uber.org/zap"

	"carom/kv"
)

// rebuildRows is how many rows one commit of a rebuild covers. Tests lower it.
var rebuildRows = 4096

// rebuild is how far the cohorts have been computed anew, kept as long as that lasts:
//
//	┌─────────┬───────┬────────────────┬─────────────────────────────────┐
//	│ version │ rules │ complete_after │ key of the last row that was    │
//	│ 1       │       │                │ counted; empty at the beginning │
//	└─────────┴───────┴────────────────┴─────────────────────────────────┘
type rebuild struct {
	basis
	done []byte
}

func (r *rebuild) append(dst []byte) []byte {
	return append(r.basis.append(append(dst, rebuildVersion)), r.done...)
}

func (r *rebuild) decode(value []byte) error {
	s := openValue(value, rebuildVersion, "rebuild")
	r.basis = s.basis()
	r.done = bytes.Clone(s.rest)
	return s.err
}

// rebuild computes all cohorts anew from the enrollments, for they were computed by another basis, or a rebuild was cut
// short. Only what lies beyond maxFacts can't be had again: sends of messages that long enrollments forgot.
func (p *Partition) rebuild(want basis) error {
	var r rebuild
	value, begun, err := p.store.Get(nil, p.metaKey(metaRebuild))
	if err == nil && begun {
		err = r.decode(value)
	}
	if err != nil {
		return fmt.Errorf("read rebuild: %w", err)
	}
	if !begun && p.position.basis == want {
		return nil
	}
	p.log.Info("computing cohorts anew", zap.Bool("resumed", begun && r.basis == want))
	if !begun || r.basis != want {
		if r, err = p.beginRebuild(want); err != nil {
			return err
		}
	}
	p.position.basis = want
	for more := true; more; {
		if more, err = p.rebuildSome(&r); err != nil {
			return err
		}
	}
	p.log.Info("cohorts are computed")
	return nil
}

func (p *Partition) beginRebuild(want basis) (rebuild, error) {
	r := rebuild{basis: want}
	b := p.store.NewBatch()
	defer func() { _ = b.Close() }()
	if err := p.freeze(b); err != nil {
		return r, fmt.Errorf("begin rebuild: %w", err)
	}
	from := appendHeader(nil, p.number, tableCompletion)
	if err := b.DeleteRange(from, kv.PrefixEnd(from), nil); err != nil {
		return r, fmt.Errorf("begin rebuild: %w", err)
	}
	if err := b.Set(p.metaKey(metaRebuild), r.append(nil), nil); err != nil {
		return r, fmt.Errorf("begin rebuild: %w", err)
	}
	return r, p.store.Commit(b)
}

// rebuildSome counts some more rows. When there are none left, it ends the rebuild.
func (p *Partition) rebuildSome(r *rebuild) (more bool, err error) {
	s := newStep(p)
	defer func() { err = firstError(err, p.disk.End()) }()
	b := p.store.NewBatch()
	defer func() { _ = b.Close() }()
	if more, err = s.recount(r, b); err != nil {
		return false, fmt.Errorf("rebuild cohorts: %w", err)
	}
	if err := p.writeRows(s.deltas, b); err != nil {
		return false, err
	}
	if more {
		err = b.Set(p.metaKey(metaRebuild), r.append(nil), nil)
	} else {
		err = p.endRebuild(b)
	}
	if err != nil {
		return false, fmt.Errorf("rebuild cohorts: %w", err)
	}
	return more, p.store.Commit(b)
}

func (p *Partition) endRebuild(b *kv.Batch) error {
	if err := b.Delete(p.metaKey(metaRebuild), nil); err != nil {
		return err
	}
	return b.Set(p.metaKey(metaPosition), p.position.append(nil), nil)
}

// recount collects what the next rows of enrollments and nameless opens count as.
func (s *step) recount(r *rebuild, b *kv.Batch) (more bool, err error) {
	from := appendHeader(nil, s.p.number, tableEnrollment)
	to := kv.PrefixEnd(appendHeader(nil, s.p.number, tableNameless))
	if len(r.done) > 0 {
		from = append(bytes.Clone(r.done), 0) // the key after
	}
	it, err := s.p.store.DB().NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return false, err
	}
	defer func() { err = firstError(err, it.Close()) }()
	ok := it.First()
	for n := 0; ok && n < rebuildRows; n++ {
		switch it.Key()[headerSize-1] {
		case tableEnrollment:
			err = s.recountEnrollment(it.Key(), it.Value(), b)
		case tableCohort: // lies between the two
			ok = it.SeekGE(appendHeader(nil, s.p.number, tableNameless))
			continue
		case tableNameless:
			err = s.recountNameless(it.Key()[headerSize:], it.Value())
		}
		if err != nil {
			return false, err
		}
		r.done = append(r.done[:0], it.Key()...)
		ok = it.Next()
	}
	return ok, it.Error()
}

func (s *step) recountEnrollment(key, value []byte, b *kv.Batch) error {
	in, _, err := cutScope(key[headerSize:])
	if err != nil {
		return err
	}
	if err := s.state.decode(value); err != nil {
		return err
	}
	s.contribution(&s.after)
	s.deltas.addContribution(s.deltas.scope(in), &s.after, 1)
	return s.p.list(b, key, &contribution{}, &s.after)
}

func (s *step) recountNameless(key, value []byte) error {
	var in scope
	var err error
	if in.account, key, err = kv.CutName(key); err != nil {
		return err
	}
	if in.sender, _, err = kv.CutName(key); err != nil {
		return err
	}
	var o namelessOpen
	if err := o.decode(value); err != nil {
		return err
	}
	in.sequence = o.sequence
	if o.counts {
		s.deltas.at(s.deltas.scope(in), o.at)[cAnonymousOpened]++
	}
	return nil
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
