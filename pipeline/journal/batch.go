package journal

import (
	"encoding/binary"
	"errors"
	"fmt"

	"carom/kv"
	"carom/pipeline/event"
)

// A batch is one Pebble value, under the sequence number of its first record:
//
//	 key                                        value
//	┌────────────────────┬───────────────────┐ ┌────────┬────────┬─────┬────────┬─────┐
//	│ PrefixJournalBatch │ first sequence(8) │ │ header │ length │ … 1 │ length │ … 2 │ …
//	└────────────────────┴───────────────────┘ └────────┴────────┴─────┴────────┴─────┘
//	                                                     4 bytes  event
//	 header:
//	 0         1             9              17         21
//	┌─────────┬─────────────┬──────────────┬──────────┐
//	│ version │ commit time │ bytes before │ records  │   numbers big-endian, time in milliseconds
//	└─────────┴─────────────┴──────────────┴──────────┘
//
// "Bytes before" counts the bytes of all values since the journal was made. So the size of the journal is a
// subtraction, and stays exact over restarts and trimming. The checksum is Pebble's.
const (
	batchVersion byte = 1
	headerSize        = 1 + 8 + 8 + 4
	lengthSize        = 4
)

var errBatch = errors.New("journal: malformed batch")

// header is what a batch says of itself.
type header struct {
	time   event.Millis
	before int64
	count  int
}

// put writes h into the first bytes of value.
func (h header) put(value []byte) {
	value[0] = batchVersion
	binary.BigEndian.PutUint64(value[1:], uint64(h.time))
	binary.BigEndian.PutUint64(value[9:], uint64(h.before))
	binary.BigEndian.PutUint32(value[17:], uint32(h.count))
}

// decodeHeader returns the header of a batch, and its records.
func decodeHeader(value []byte) (header, []byte, error) {
	if len(value) < headerSize {
		return header{}, nil, errBatch
	}
	if value[0] != batchVersion {
		return header{}, nil, fmt.Errorf("journal: batch has version %d, this Carom reads %d: use a newer Carom", value[0], batchVersion)
	}
	h := header{
		time:   event.Millis(binary.BigEndian.Uint64(value[1:])),
		before: int64(binary.BigEndian.Uint64(value[9:])),
		count:  int(binary.BigEndian.Uint32(value[17:])),
	}
	records := value[headerSize:]
	if h.count < 1 || h.count > len(records)/lengthSize || h.before < 0 {
		return header{}, nil, errBatch
	}
	return h, records, nil
}

// nextRecord splits the first record off records.
func nextRecord(records []byte) (record, rest []byte, err error) {
	if len(records) < lengthSize {
		return nil, nil, errBatch
	}
	n := binary.BigEndian.Uint32(records)
	records = records[lengthSize:]
	if uint64(n) > uint64(len(records)) {
		return nil, nil, errBatch
	}
	return records[:n:n], records[n:], nil
}

// sliceRecords cuts the records with the numbers from up to, not including, to out of records.
func sliceRecords(records []byte, from, to int) ([]byte, error) {
	var err error
	rest := records
	for i := range to {
		if i == from {
			records = rest
		}
		if _, rest, err = nextRecord(rest); err != nil {
			return nil, err
		}
	}
	return records[:len(records)-len(rest)], nil
}

// appendEvent appends ev as a record.
func appendEvent(dst []byte, ev *event.Event) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, lengthSize)...)
	dst = ev.AppendBinary(dst)
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-lengthSize))
	return dst
}

const keySize = 1 + 8

func appendKey(dst []byte, sequence int64) []byte {
	return kv.AppendUint64(append(dst, kv.PrefixJournalBatch), uint64(sequence))
}

func batchKey(sequence int64) []byte { return appendKey(make([]byte, 0, keySize), sequence) }

func sequenceOf(key []byte) int64 { return int64(binary.BigEndian.Uint64(key[1:])) }
