package log

import (
	"encoding/binary"
	"fmt"

	"carom/kv"
)

// jump is a gap in the offsets of a Local: its last one. It is stored as version(1)=1 │ from(8) │ to(8), big-endian.
type jump struct{ from, to int64 }

// Jump has the log logID of s, which nobody has open, go on by past offsets later. It is for a log that was restored from
// a copy: others may know offsets that the original gave out since, and what comes now must have none of those.
func Jump(s *kv.Store, logID byte, partition int32, past int64) error {
	l, err := NewLocal(s, logID, partition)
	if err != nil {
		return err
	}
	b := s.NewBatch()
	defer func() { _ = b.Close() }()
	value := kv.AppendUint64([]byte{placeVersion}, uint64(l.pendingEnd))
	err = b.Set(l.own(localJumped), kv.AppendUint64(value, uint64(l.pendingNext+past)), nil)
	if err == nil {
		err = s.Commit(b)
	}
	if err != nil {
		return fmt.Errorf("jump log %d/%d: %w", logID, partition, err)
	}
	return nil
}

func (l *Local) jumped() (j jump, err error) {
	value, ok, err := l.store.Get(nil, l.own(localJumped))
	switch {
	case err != nil || !ok:
		return jump{}, err
	case len(value) != 1+8+8 || value[0] != placeVersion:
		return jump{}, errPlace
	}
	return jump{int64(binary.BigEndian.Uint64(value[1:])), int64(binary.BigEndian.Uint64(value[9:]))}, nil
}
