package journal

import (
	"errors"
	"fmt"

	"carom/kv"
	"carom/pipeline/event"
)

// Jump has the journal in s, which nobody has open, go on by past sequences later, and returns the sequence that it left
// off at and the one that comes next.
//
// It is for a journal that was restored from a copy. The original may have given out sequences after the copy was made, and
// others know records by them: what is heard now must have none of those, or it would be taken for a repeat and dropped. A
// tick stands on either side of the gap, so that a reader who stands in it has its place; nothing is made of one.
//
//	│ … │ tick │            gap            │ tick │ what is heard from now on …
//	     next                               next+past
func Jump(s *kv.Store, past int64) (next, to int64, err error) {
	if past < 2 {
		return 0, 0, fmt.Errorf("jump journal by %d: want 2 or more", past)
	}
	j := &Journal{store: s}
	if err := j.loadEnds(); err != nil {
		return 0, 0, err
	}
	next = j.tail.next
	at := tail{next: next, time: max(j.tail.time, event.Now()), bytes: j.tail.bytes}
	b := s.NewBatch()
	defer func() { _ = b.Close() }()
	for _, sequence := range []int64{next, next + past - 1} {
		value := appendEvent(make([]byte, headerSize), &event.Event{Kind: event.Tick, Time: at.time})
		header{time: at.time, before: at.bytes, count: 1}.put(value)
		at.bytes += int64(len(value))
		err = errors.Join(err, b.Set(batchKey(sequence), value, nil))
	}
	if err == nil {
		err = s.Commit(b)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("jump journal: %w", err)
	}
	return next, next + past, nil
}
