package journal

import (
	"bytes"
	"errors"
	"fmt"
)

// Rewrite hands the records of the next batches from sequence from on to fn, some max or a few more, and puts what it
// returns in the place of those of which it returns something. That must be of the same length, because the sizes of the
// batches before are part of each. It returns the sequence to go on at, and ends at the first batch that reaches beyond
// the sequence end. What fn gets is its own during the call only.
func (j *Journal) Rewrite(from, end int64, most int, fn func(value []byte) (instead []byte, err error)) (next int64, changed int, err error) {
	j.rewriting.Lock() // so that nothing that was trimmed comes back
	defer j.rewriting.Unlock()
	j.life.RLock()
	defer j.life.RUnlock()
	if j.closed.Load() {
		return from, 0, ErrClosed
	}
	end = min(end, j.synced.Load())
	next = max(from, j.oldest.Load())
	it, err := j.iter(end)
	if err != nil {
		return next, 0, err
	}
	b := j.store.NewBatch()
	defer func() { _ = b.Close() }()
	ok := it.SeekLT(batchKey(next+1)) || it.First()
	for read := 0; ok && read < most && err == nil; ok = it.Next() {
		var old stored
		if old, err = located(it); err != nil || old.end() > end {
			break
		}
		if old.end() <= next { // next is in a gap
			continue
		}
		next, read = old.end(), read+old.count
		n, value, rewriteErr := rewriteBatch(it.Value(), old, fn)
		if err = rewriteErr; n > 0 && err == nil {
			changed += n
			err = b.Set(it.Key(), value, nil)
		}
	}
	if err = errors.Join(err, it.Error(), it.Close()); err == nil && changed > 0 {
		err = j.store.Commit(b)
	}
	if err != nil {
		return from, 0, fmt.Errorf("rewrite journal: %w", err)
	}
	return next, changed, nil
}

// rewriteBatch returns a batch's value with other records in it.
func rewriteBatch(value []byte, old stored, fn func([]byte) ([]byte, error)) (changed int, _ []byte, err error) {
	value = bytes.Clone(value)
	for rest := value[headerSize:]; len(rest) > 0; {
		var rec []byte
		if rec, rest, err = nextRecord(rest); err != nil {
			return 0, nil, err
		}
		instead, err := fn(rec)
		switch {
		case err != nil:
			return 0, nil, err
		case instead == nil:
		case len(instead) != len(rec):
			return 0, nil, fmt.Errorf("batch %d: %d bytes for a record of %d", old.first, len(instead), len(rec))
		default:
			copy(rec, instead)
			changed++
		}
	}
	return changed, value, nil
}
