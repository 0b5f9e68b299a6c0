package api

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
)

// A cursor says where in a log to go on: at the first record of each partition that was not seen yet. To clients it is
// opaque. Its text is base64url, without padding, of one of these. A log of one partition:
//
//	 0         1     2           4        12
//	+---------+-----+-----------+--------+
//	| version | log | partition | offset |
//	| 1       | e,j | big-end.  | b.-e.  |
//	+---------+-----+-----------+--------+
//
// A log of several, where the offsets are those of partitions 0, 1, 2, ...:
//
//	 0         1     2
//	+---------+-----+------------+--------+--------+---
//	| version | log | partitions | offset | offset | ...
//	| 2       | e,r | varint     | varint | varint |
//	+---------+-----+------------+--------+--------+---
type cursor struct {
	log       byte
	partition uint16 // of a log of one partition; else 0
	offset    int64  // of a log of one partition; else 0
	offsets   []int64
}

const (
	cursorVersion  = 1
	cursorsVersion = 2
	cursorBytes    = 12
	// maxCursor bounds the text of a cursor of one partition, and of rollup, in bytes.
	maxCursor = 4096
	// maxOffsetBytes is what the varint of an offset takes at most.
	maxOffsetBytes = 9

	logEvents  byte = 'e'
	logJournal byte = 'j'
	logRejects byte = 'r'
)

var errCursor = errors.New("want a cursor that this path has answered before")

// longestCursor bounds the text of a cursor of a log of n partitions, in bytes: 49,166 of 4096.
func longestCursor(n int) int {
	return max(maxCursor, base64.RawURLEncoding.EncodedLen(2+binary.MaxVarintLen16+n*maxOffsetBytes))
}

func (c cursor) append(dst []byte) []byte {
	if c.offsets == nil {
		var b [cursorBytes]byte
		b[0], b[1] = cursorVersion, c.log
		binary.BigEndian.PutUint16(b[2:], c.partition)
		binary.BigEndian.PutUint64(b[4:], uint64(c.offset))
		return base64.RawURLEncoding.AppendEncode(dst, b[:])
	}
	var stack [512]byte
	b := append(stack[:0], cursorsVersion, c.log)
	b = binary.AppendUvarint(b, uint64(len(c.offsets)))
	for _, offset := range c.offsets {
		b = binary.AppendUvarint(b, uint64(offset))
	}
	return base64.RawURLEncoding.AppendEncode(dst, b)
}

func (c cursor) String() string { return string(c.append(nil)) }

// parseCursor reads a cursor of one partition of one log.
func parseCursor(text string, log byte, partition uint16) (cursor, error) {
	if len(text) != base64.RawURLEncoding.EncodedLen(cursorBytes) {
		return cursor{}, errCursor
	}
	b, err := decodeCursor(text)
	if err != nil || len(b) != cursorBytes {
		return cursor{}, errCursor
	}
	c := cursor{log: b[1], partition: binary.BigEndian.Uint16(b[2:]), offset: int64(binary.BigEndian.Uint64(b[4:]))}
	if b[0] != cursorVersion || c.log != log || c.partition != partition || c.offset < 0 {
		return cursor{}, errCursor
	}
	return c, nil
}

// parseCursors reads a cursor of all n partitions of a log.
func parseCursors(text string, log byte, n int) (cursor, error) {
	if len(text) > longestCursor(n) {
		return cursor{}, errCursor
	}
	b, err := decodeCursor(text)
	if err != nil || len(b) < 2 || b[0] != cursorsVersion || b[1] != log {
		return cursor{}, errCursor
	}
	b = b[2:]
	if told, ok := cutOffset(&b); !ok || told != int64(n) {
		return cursor{}, errCursor
	}
	c := cursor{log: log, offsets: make([]int64, n)}
	for i := range c.offsets {
		var ok bool
		if c.offsets[i], ok = cutOffset(&b); !ok {
			return cursor{}, errCursor
		}
	}
	if len(b) > 0 {
		return cursor{}, errCursor
	}
	return c, nil
}

// otherShape says of how many partitions a cursor of a log is; 0 if it is none.
func otherShape(text string, log byte) int64 {
	b, err := decodeCursor(text)
	switch {
	case err != nil || len(b) < 2 || b[1] != log:
		return 0
	case b[0] == cursorVersion && len(b) == cursorBytes:
		return 1
	case b[0] != cursorsVersion:
		return 0
	}
	b = b[2:]
	n, _ := cutOffset(&b)
	return n
}

// decodeCursor refuses line ends, which the decoder passes over.
func decodeCursor(text string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err == nil && base64.RawURLEncoding.EncodedLen(len(b)) != len(text) {
		return nil, errCursor
	}
	return b, err
}

// cutOffset cuts an offset off b; only its shortest form is one.
func cutOffset(b *[]byte) (int64, bool) {
	v, n := binary.Uvarint(*b)
	if n <= 0 || n > maxOffsetBytes || n > 1 && (*b)[n-1] == 0 {
		return 0, false
	}
	*b = (*b)[n:]
	return int64(v), true
}

func badCursor(field string, err error) *problem {
	return newProblem(http.StatusBadRequest, "bad-cursor", "The cursor can't be read", field+": "+err.Error()).at(field)
}

// goneCursor is for a cursor whose place the log does not hold: trimmed, or of a log that was since made anew.
func goneCursor(field, detail string, oldest cursor) *problem {
	p := newProblem(http.StatusGone, "cursor-gone", "The log no longer holds this place", field+": "+detail).at(field)
	p.Oldest = oldest.String()
	return p
}
