package refine

import (
	"encoding/binary"
	"errors"
	"fmt"

	"carom/pipeline/event"
)

// fact is an event on its way through refine, with where it came from.
type fact struct {
	event.Event
	source  event.Source
	offset  int64        // of the input record that told it
	logTime event.Millis // of that record
	raw     []byte       // the event as it was journaled
}

// decode reads f.raw and mends what must not reach the state: a time that is none, a flag that is not the kind's.
func (f *fact) decode() error {
	if err := f.DecodeBinary(f.raw); err != nil {
		return err
	}
	if f.Time <= 0 || f.Time > maxMillis {
		f.Time = f.logTime
	}
	if f.SentAt < 0 || f.SentAt > maxMillis {
		f.SentAt = 0
	}
	if f.Kind != event.Sent {
		f.Flags &^= event.NotSent
	}
	return nil
}

// The first byte of what a relay writes, and of what later ones may: an envelope around an event.
const (
	envelopeFormat  = 0xC1
	envelopeFormats = 0xCF
	// eventFormats are the first bytes of events, now and in any future that is worth a guess.
	eventFormats = 0x1F
)

// enveloped reports whether raw is a record's whole value, because nobody could take an event out of it.
func (f *fact) enveloped() bool { return f.source.Incarnation == [16]byte{} }

// unreadable says, to those who look at the rejects, why f.raw is no event.
func (f *fact) unreadable(flaw error) string {
	first := byte(0)
	if len(f.raw) > 0 {
		first = f.raw[0]
	}
	switch {
	case f.enveloped() && first == envelopeFormat:
		return "an envelope that is damaged"
	case f.enveloped() && first > envelopeFormat && first <= envelopeFormats:
		return fmt.Sprintf("an envelope of format %#x, this Carom reads %#x: it was written by a newer Carom", first, envelopeFormat)
	case f.enveloped():
		return "a record that no Carom wrote: it has no envelope"
	case !errors.Is(flaw, event.ErrMalformed) && first <= eventFormats:
		return flaw.Error() + ": it was written by a newer Carom"
	}
	return flaw.Error()
}

// flaw says why f can't be worked with, "" if it can.
func (f *fact) flaw() string {
	switch {
	case f.Kind < event.Sent || f.Kind > event.Completed:
		return "unknown kind"
	case f.KnownBy < event.ByRef || f.KnownBy > event.ByMessageID:
		return "unknown way of knowing the message"
	case f.Kind == event.Sent && f.KnownBy != event.ByRef:
		return "a sent event without its ref"
	case f.Kind == event.Sent && f.aboutEnrollment():
		return "an enrollment is not sent"
	case f.KnownBy != event.ByKey && event.CleanMessageID(f.Message) == "":
		return "no message id"
	case f.KnownBy == event.ByMessageID && event.IsEnrollmentID(f.Message):
		return "an enrollment can't be known by a message id"
	case f.Actor.Verdict > event.Unknown:
		return "unknown verdict"
	case f.hit() && f.Actor.Verdict == event.NoVerdict:
		return "a hit without a verdict"
	}
	return f.tooLong()
}

// tooLong says that one of f's names is, "" if none is.
func (f *fact) tooLong() string {
	for _, text := range [...]string{f.Account, f.Sender, f.Sequence, f.Contact, f.Message, f.Recipient} {
		if len(text) > maxText {
			return "a name is too long"
		}
	}
	return ""
}

// hit reports whether f is an open or a click.
func (f *fact) hit() bool { return f.Kind == event.Open || f.Kind == event.Click }

// aboutEnrollment reports whether f speaks of an enrollment and no message.
func (f *fact) aboutEnrollment() bool { return event.IsEnrollmentID(f.Message) }

// The stored form of a fact that waits (the offset is in the key):
//
//	byte 0   format: 1
//	then     log time (uvarint), incarnation(16), sequence(8, big-endian), node: length (uvarint) and bytes
//	then     the event as it was journaled, to the end
const factFormat = 1

// maxNode bounds a node's name.
const maxNode = 1 << 10

func (f *fact) append(dst []byte) []byte {
	dst = append(dst, factFormat)
	dst = binary.AppendUvarint(dst, uint64(f.logTime))
	dst = append(dst, f.source.Incarnation[:]...)
	dst = binary.BigEndian.AppendUint64(dst, f.source.Sequence)
	dst = binary.AppendUvarint(dst, uint64(len(f.source.Node)))
	dst = append(dst, f.source.Node...)
	return append(dst, f.raw...)
}

// decodeFact reads what append wrote. The fact's raw bytes alias b.
func decodeFact(b []byte, offset int64) (*fact, error) {
	if err := checkFormat("waiting fact", b, factFormat); err != nil {
		return nil, err
	}
	f := &fact{offset: offset}
	d := decoder{rest: b[1:]}
	f.logTime = d.millis()
	copy(f.source.Incarnation[:], d.bytes(len(f.source.Incarnation)))
	f.source.Sequence = d.uint64()
	f.source.Node = string(d.bytes(int(d.uvarint(maxNode))))
	f.raw, d.rest = d.rest, nil
	if err := d.finish("waiting fact"); err != nil {
		return nil, err
	}
	if err := f.decode(); err != nil {
		return nil, fmt.Errorf("refine: waiting fact: %w", err)
	}
	return f, nil
}
