package refine

import (
	"encoding/binary"
	"fmt"

	"carom/pipeline/event"
)

// The stored form of a message's state:
//
//	byte 0   format: 1
//	byte 1   standing: 1 provisional, 2 registered, 3 enrollment
//	byte 2   1 if the timeline is truncated
//	then     flags, sent_at, links, recorded kinds, firsts, hits, facts     uvarint each
//	         account, sender, sequence, contact, message, recipient         length (uvarint) and bytes, each
//	         marks: the bits (uvarint), and of each that is set its time    uvarint
//	         recent hits: their number (uvarint), and of each
//	             time (uvarint), kind(1), class(1), link (uvarint), client(8, big-endian)
//
// Times are milliseconds; one before 1970 does not come this far.
const stateFormat = 1

const (
	// maxText bounds each string of an identity; the edges allow far less.
	maxText = 8 << 10
	// maxMillis is the end of the year 9999, the last that RFC 3339 can write.
	maxMillis = 253402300799999
	// allMarks and allKinds are the bits that may be set.
	allMarks = 1<<numMarks - 1
	allKinds = 1<<(event.Completed+1) - 1
)

func (s *state) append(dst []byte) []byte {
	dst = append(dst, stateFormat, byte(s.standing), boolByte(s.truncated))
	dst = binary.AppendUvarint(dst, uint64(s.ref.Flags))
	dst = binary.AppendUvarint(dst, uint64(s.ref.SentAt))
	dst = binary.AppendUvarint(dst, uint64(s.links))
	dst = binary.AppendUvarint(dst, uint64(s.recorded))
	dst = binary.AppendUvarint(dst, uint64(s.firsts))
	dst = binary.AppendUvarint(dst, uint64(s.hits))
	dst = binary.AppendUvarint(dst, uint64(s.facts))
	for _, text := range [...]string{
		s.ref.Account, s.ref.Sender, s.ref.Sequence, s.ref.Contact, s.ref.Message, s.recipient,
	} {
		dst = binary.AppendUvarint(dst, uint64(len(text)))
		dst = append(dst, text...)
	}
	dst = binary.AppendUvarint(dst, uint64(s.marks.set))
	for k := range numMarks {
		if s.marks.has(k) {
			dst = binary.AppendUvarint(dst, uint64(s.marks.time[k]))
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.recent)))
	for _, h := range s.recent {
		dst = binary.AppendUvarint(dst, uint64(h.time))
		dst = append(dst, byte(h.kind), byte(h.class))
		dst = binary.AppendUvarint(dst, uint64(h.link))
		dst = binary.BigEndian.AppendUint64(dst, h.client)
	}
	return dst
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// decode reads what append wrote into s, which must be new. s keeps no part of b.
func (s *state) decode(b []byte) error {
	if err := checkFormat("message state", b, stateFormat); err != nil {
		return err
	}
	// One copy serves all strings.
	d := decoder{rest: b[1:], text: string(b[1:])}
	s.standing = standing(d.byte(byte(provisional), byte(enrollment)))
	s.truncated = d.byte(0, 1) == 1
	s.ref.Flags = event.Flags(d.uvarint(1<<32 - 1))
	s.ref.SentAt = d.millis()
	s.links = uint32(d.uvarint(1<<32 - 1))
	s.recorded = kindSet(d.uvarint(allKinds))
	s.firsts = kindSet(d.uvarint(allKinds))
	s.hits = uint32(d.uvarint(maxTimelineHits))
	s.facts = uint32(d.uvarint(maxTimelineFacts))
	for _, text := range [...]*string{
		&s.ref.Account, &s.ref.Sender, &s.ref.Sequence, &s.ref.Contact, &s.ref.Message, &s.recipient,
	} {
		*text = d.string(maxText)
	}
	s.marks.set = uint16(d.uvarint(allMarks))
	for k := range numMarks {
		if s.marks.has(k) {
			s.marks.time[k] = d.millis()
		}
	}
	if n := int(d.uvarint(maxRecent)); n > 0 {
		s.recent = make([]hit, n)
	}
	for i := range s.recent {
		s.recent[i] = hit{
			time: d.millis(), kind: event.Kind(d.byte(byte(event.Open), byte(event.Click))),
			class: class(d.byte(0, byte(classMachine))), link: uint32(d.uvarint(1<<32 - 1)), client: d.uint64(),
		}
	}
	return d.finish("message state")
}

// decoder reads stored bytes one value after the other; the first that is not as it must be spoils the rest.
type decoder struct {
	rest []byte
	text string // a copy of which rest is the end; may be empty if no string is read
	bad  bool
}

func (d *decoder) fail() { d.bad, d.rest = true, nil }

func (d *decoder) byte(low, high byte) byte {
	if len(d.rest) < 1 || d.rest[0] < low || d.rest[0] > high {
		d.fail()
		return low
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) uint64() uint64 {
	if len(d.rest) < 8 {
		d.fail()
		return 0
	}
	v := binary.BigEndian.Uint64(d.rest)
	d.rest = d.rest[8:]
	return v
}

func (d *decoder) uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 || v > limit {
		d.fail()
		return 0
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) millis() event.Millis { return event.Millis(d.uvarint(maxMillis)) }

func (d *decoder) string(limit uint64) string {
	n := int(d.uvarint(limit))
	if n > len(d.rest) {
		d.fail()
		return ""
	}
	at := len(d.text) - len(d.rest)
	d.rest = d.rest[n:]
	return d.text[at : at+n]
}

// bytes returns the next n bytes, which alias the input.
func (d *decoder) bytes(n int) []byte {
	if n > len(d.rest) {
		d.fail()
		return nil
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) finish(what string) error {
	if d.bad || len(d.rest) > 0 {
		return fmt.Errorf("%w: %s", errDamaged, what)
	}
	return nil
}
