package refine

import (
	"encoding/binary"
	"errors"
	"fmt"

	"carom/pipeline/event"
)

// meta is where the partition stands in its input:
//
//	byte 0       format: 2
//	bytes 1-8    offset of the next input record
//	bytes 9-12   events that the processing of that record has released already
//	bytes 13-16  rejects that it has written already
//	bytes 17-24  log time up to which all timers have fired
//	bytes 25-28  facts about addresses that the processing of that record has released already; not in format 1
//
// The three numbers are zero unless a commit fell into the middle of a record, which happens when many timers fall due
// at once. Because of them a record's output does not depend on where the commits fall.
type meta struct {
	offset    int64
	events    int32
	rejects   int32
	logTime   event.Millis
	addresses int32
}

const (
	metaFormat = 2
	metaBytes  = 29

	metaFormat1 = 1 // before there was a log of addresses; read, no longer written
	metaBytes1  = 25
)

// errDamaged is wrapped by every error about stored bytes that refine did not write.
var errDamaged = errors.New("refine: damaged state")

func (m meta) append(dst []byte) []byte {
	dst = append(dst, metaFormat)
	dst = binary.BigEndian.AppendUint64(dst, uint64(m.offset))
	dst = binary.BigEndian.AppendUint32(dst, uint32(m.events))
	dst = binary.BigEndian.AppendUint32(dst, uint32(m.rejects))
	dst = binary.BigEndian.AppendUint64(dst, uint64(m.logTime))
	return binary.BigEndian.AppendUint32(dst, uint32(m.addresses))
}

func (m *meta) decode(b []byte) error {
	want := metaBytes
	if len(b) > 0 && b[0] == metaFormat1 {
		want = metaBytes1
	} else if err := checkFormat("meta", b, metaFormat); err != nil {
		return err
	}
	if len(b) != want {
		return fmt.Errorf("%w: meta has %d bytes, want %d", errDamaged, len(b), want)
	}
	*m = meta{
		offset:  int64(binary.BigEndian.Uint64(b[1:])),
		events:  int32(binary.BigEndian.Uint32(b[9:])),
		rejects: int32(binary.BigEndian.Uint32(b[13:])),
		logTime: event.Millis(binary.BigEndian.Uint64(b[17:])),
	}
	if want == metaBytes {
		m.addresses = int32(binary.BigEndian.Uint32(b[25:]))
	}
	if m.offset < 0 || m.events < 0 || m.rejects < 0 || m.logTime < 0 || m.addresses < 0 {
		return fmt.Errorf("%w: meta has a negative number", errDamaged)
	}
	return nil
}

// checkFormat refuses bytes of a newer format than this Carom writes, and bytes of none.
func checkFormat(what string, b []byte, format byte) error {
	switch {
	case len(b) == 0:
		return fmt.Errorf("%w: %s is empty", errDamaged, what)
	case b[0] > format:
		return fmt.Errorf("refine: %s of format %d, this Carom reads %d: it was written by a newer one", what, b[0], format)
	case b[0] != format:
		return fmt.Errorf("%w: %s of format %d", errDamaged, what, b[0])
	}
	return nil
}
