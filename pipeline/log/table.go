package log

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
)

// table is where the records of one partition of a log lie in a store.
type table struct {
	store     *kv.Store
	log       byte
	partition int32
}

const maxOffset = 1<<63 - 1

// key returns the key of a record:
//
//	 0          1     2            4            12
//	┌───────────┬─────┬────────────┬────────────┐
//	│ PrefixLog │ log │ partition  │ offset     │   numbers big-endian
//	└───────────┴─────┴────────────┴────────────┘
func (t table) key(offset int64) []byte {
	k := append(make([]byte, 0, keySize), kv.PrefixLog, t.log)
	k = kv.AppendUint16(k, uint16(t.partition))
	return kv.AppendUint64(k, uint64(offset))
}

const keySize = 12

func offsetOf(key []byte) int64 { return int64(binary.BigEndian.Uint64(key[keySize-8:])) }

func (t table) iter(from, to int64) (*pebble.Iterator, error) {
	it, err := t.store.DB().NewIter(&pebble.IterOptions{LowerBound: t.key(from), UpperBound: t.key(to)})
	if err != nil {
		return nil, fmt.Errorf("read log %d/%d: %w", t.log, t.partition, err)
	}
	return it, nil
}

// await blocks until in, whose bell rings when there are new records, has one at from or later, and returns the end of
// its records.
func await(ctx context.Context, in Reader, bell *Bell, from int64) (next int64, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		oldest, next := in.Bounds()
		if from < oldest {
			return 0, fmt.Errorf("%w; oldest is %d", ErrTrimmed, oldest)
		}
		if from < next {
			return next, nil
		}
		rung := bell.Rung()
		if _, next := in.Bounds(); from < next {
			continue
		}
		select {
		case <-rung:
		case <-ctx.Done():
		}
	}
}
