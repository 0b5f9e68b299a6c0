package api

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
)

// A cursor says where in a log to go on. Its text is base64url, without padding, of
//
//	 0         1     2           4        12
//	+---------+-----+-----------+--------+
//	| version | log | partition | offset |
//	| 1       | e,j | big-end.  | b.-e.  |
//	+---------+-----+-----------+--------+
//
// where the offset is that of the first record that was not seen yet. To clients it is opaque.
type cursor struct {
	log       byte
	partition uint16
	offset    int64
}

const (
	cursorVersion = 1
	cursorBytes   = 12
	// maxCursor bounds the text of any cursor, ours or of rollup, in bytes.
	maxCursor = 4096

	logEvents  byte = 'e'
	logJournal byte = 'j'
)

var errCursor = errors.New("want a cursor that this path has answered before")

func (c cursor) append(dst []byte) []byte {
	var b [cursorBytes]byte
	b[0], b[1] = cursorVersion, c.log
	binary.BigEndian.PutUint16(b[2:], c.partition)
	binary.BigEndian.PutUint64(b[4:], uint64(c.offset))
	return base64.RawURLEncoding.AppendEncode(dst, b[:])
}

func (c cursor) String() string { return string(c.append(nil)) }

// parseCursor reads a cursor of one partition of one log.
func parseCursor(text string, log byte, partition uint16) (cursor, error) {
	var b [cursorBytes]byte
	if len(text) != base64.RawURLEncoding.EncodedLen(cursorBytes) {
		return cursor{}, errCursor
	}
	if n, err := base64.RawURLEncoding.Strict().Decode(b[:], []byte(text)); err != nil || n != cursorBytes {
		return cursor{}, errCursor // the decoder passes over line ends: n
	}
	c := cursor{log: b[1], partition: binary.BigEndian.Uint16(b[2:]), offset: int64(binary.BigEndian.Uint64(b[4:]))}
	if b[0] != cursorVersion || c.log != log || c.partition != partition || c.offset < 0 {
		return cursor{}, errCursor
	}
	return c, nil
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
