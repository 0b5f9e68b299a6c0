package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
)

// Partitions lists the partitions of which s holds records of the log logID, in ascending order.
func Partitions(s *kv.Store, logID byte) (partitions []int32, err error) {
	first := []byte{kv.PrefixLog, logID}
	it, err := s.DB().NewIter(&pebble.IterOptions{LowerBound: first, UpperBound: kv.PrefixEnd(first)})
	if err != nil {
		return nil, fmt.Errorf("list partitions of log %d: %w", logID, err)
	}
	for ok := it.First(); ok; {
		p := binary.BigEndian.Uint16(it.Key()[len(first):])
		partitions = append(partitions, int32(p))
		ok = p < math.MaxUint16 && it.SeekGE(kv.AppendUint16(first[:len(first):len(first)], p+1))
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return nil, fmt.Errorf("list partitions of log %d: %w", logID, err)
	}
	return partitions, nil
}
