package log

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"carom/pipeline/event"
)

// A stored record:
//
//	 0         1            9               ...
//	┌─────────┬────────────┬───────────────┬───────┬───────┐
//	│ version │ log time   │ key length    │ key   │ value │   log time big-endian, in milliseconds
//	└─────────┴────────────┴───────────────┴───────┴───────┘
//	                        uvarint
const (
	recordVersion byte = 1
	recordHeader       = 1 + 8
)

var errRecord = errors.New("log: malformed record")

func appendRecord(dst []byte, at event.Millis, key, value []byte) []byte {
	dst = append(dst, recordVersion)
	dst = binary.BigEndian.AppendUint64(dst, uint64(at))
	dst = binary.AppendUvarint(dst, uint64(len(key)))
	dst = append(dst, key...)
	return append(dst, value...)
}

// decodeRecord reads what appendRecord wrote. Key and Value point into src.
func decodeRecord(src []byte) (Record, error) {
	if len(src) < recordHeader {
		return Record{}, errRecord
	}
	if src[0] != recordVersion {
		return Record{}, fmt.Errorf("log: record has version %d, this Carom reads %d: use a newer Carom", src[0], recordVersion)
	}
	rec := Record{Time: event.Millis(binary.BigEndian.Uint64(src[1:]))}
	n, size := binary.Uvarint(src[recordHeader:])
	rest := src[min(len(src), recordHeader+max(size, 0)):]
	if size <= 0 || n > uint64(len(rest)) {
		return Record{}, errRecord
	}
	rec.Key, rec.Value = rest[:n:n], rest[n:]
	return rec, nil
}

// detach gives r memory of its own, in one piece.
func (r *Record) detach() {
	own := bytes.Join([][]byte{r.Key, r.Value}, nil)
	n := len(r.Key)
	r.Key, r.Value = own[:n:n], own[n:]
}
