package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"carom/pipeline/event"
)

// The value of a raw record:
//
//	byte 0    version: 0xC1
//	byte 1-   fields in protobuf wire format, in ascending order
//
//	 1 incarnation   16 bytes   of the journal
//	 2 sequence      varint     in that journal
//	 3 node          bytes      its name
//	 4 event         bytes      event.Event.AppendBinary
//
// A tick has field 4 alone: nobody heard it. A reader skips fields that it does not know, so a field may be added
// without a new version; a change of meaning needs one. The version is no byte that a binary event begins with, and
// no letter, so an event without an envelope, or JSON, is not mistaken for one.
const rawVersion byte = 0xC1

const (
	rawIncarnation protowire.Number = 1
	rawSequence    protowire.Number = 2
	rawNode        protowire.Number = 3
	rawEvent       protowire.Number = 4
)

// maxNode bounds the name of a node in an envelope.
const maxNode = 255

var errRaw = errors.New("kafka: malformed raw record")

// appendRaw appends the value of the raw record of the event ev, in its binary form, that was journaled at src.
func appendRaw(dst []byte, src event.Source, ev []byte) []byte {
	dst = append(dst, rawVersion)
	if src.Incarnation != [16]byte{} {
		dst = protowire.AppendTag(dst, rawIncarnation, protowire.BytesType)
		dst = protowire.AppendBytes(dst, src.Incarnation[:])
	}
	if src.Sequence != 0 {
		dst = protowire.AppendTag(dst, rawSequence, protowire.VarintType)
		dst = protowire.AppendVarint(dst, src.Sequence)
	}
	if src.Node != "" {
		dst = protowire.AppendTag(dst, rawNode, protowire.BytesType)
		dst = protowire.AppendString(dst, src.Node)
	}
	dst = protowire.AppendTag(dst, rawEvent, protowire.BytesType)
	return protowire.AppendBytes(dst, ev)
}

// rawSize is the length of what appendRaw appends.
func rawSize(src event.Source, ev []byte) int {
	const tag = 1
	n := 1 + tag + protowire.SizeBytes(len(ev))
	if src.Incarnation != [16]byte{} {
		n += tag + protowire.SizeBytes(len(src.Incarnation))
	}
	if src.Sequence != 0 {
		n += tag + protowire.SizeVarint(src.Sequence)
	}
	if src.Node != "" {
		n += tag + protowire.SizeBytes(len(src.Node))
	}
	return n
}

// OpenEnvelope returns the event, in its binary form, of a raw record's value; it points into value.
func OpenEnvelope(value []byte) ([]byte, error) {
	_, ev, err := decodeRaw(value)
	return ev, err
}

// decodeRaw reads what appendRaw wrote. ev points into value.
func decodeRaw(value []byte) (src event.Source, ev []byte, err error) {
	src, node, ev, err := cutRaw(value)
	src.Node = string(node)
	return src, ev, err
}

// cutRaw is decodeRaw without a copy: the source's node is apart, and points into value too. Of fields that come twice
// the last counts, as always in this encoding.
func cutRaw(value []byte) (src event.Source, node, ev []byte, err error) {
	if len(value) == 0 {
		return event.Source{}, nil, nil, fmt.Errorf("%w: empty", errRaw)
	}
	if value[0] != rawVersion {
		return event.Source{}, nil, nil, fmt.Errorf("%w: version %#x, this Carom reads %#x", errRaw, value[0], rawVersion)
	}
	for rest := value[1:]; len(rest) > 0; {
		num, typ, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return event.Source{}, nil, nil, fmt.Errorf("%w: tag: %w", errRaw, protowire.ParseError(n))
		}
		field := rest[n:]
		if n = protowire.ConsumeFieldValue(num, typ, field); n < 0 {
			return event.Source{}, nil, nil, fmt.Errorf("%w: field %d: %w", errRaw, num, protowire.ParseError(n))
		}
		if err := setRaw(num, typ, field[:n], &src, &node, &ev); err != nil {
			return event.Source{}, nil, nil, err
		}
		rest = field[n:]
	}
	if ev == nil {
		return event.Source{}, nil, nil, fmt.Errorf("%w: no event", errRaw)
	}
	return src, node, ev, nil
}

// setRaw stores one field, whose encoding is known to be whole.
func setRaw(num protowire.Number, typ protowire.Type, field []byte, src *event.Source, node, ev *[]byte) error {
	want := protowire.BytesType
	switch num {
	case rawSequence:
		want = protowire.VarintType
	case rawIncarnation, rawNode, rawEvent:
	default:
		return nil
	}
	if typ != want {
		return fmt.Errorf("%w: field %d has wire type %d, want %d", errRaw, num, typ, want)
	}
	if num == rawSequence {
		src.Sequence, _ = protowire.ConsumeVarint(field)
		return nil
	}
	text, _ := protowire.ConsumeBytes(field)
	switch {
	case num == rawIncarnation && len(text) != len(src.Incarnation):
		return fmt.Errorf("%w: incarnation of %d bytes, want %d", errRaw, len(text), len(src.Incarnation))
	case num == rawNode && len(text) > maxNode:
		return fmt.Errorf("%w: node's name of %d bytes, want at most %d", errRaw, len(text), maxNode)
	case num == rawIncarnation:
		copy(src.Incarnation[:], text)
	case num == rawNode:
		*node = text
	default:
		*ev = text[:len(text):len(text)]
	}
	return nil
}

// RawPartition returns which of n partitions of the raw topic has the facts of a message.
func RawPartition(key event.Key, n int32) int32 {
	return int32(binary.BigEndian.Uint32(key[:4]) % uint32(n))
}

// KeyPartition returns which of n partitions has a key, as Kafka's own producers in Java compute it, so that other
// programs find the same.
func KeyPartition(key []byte, n int32) int32 {
	return int32(murmur2(key)&0x7fffffff) % n
}

// murmur2 is the hash of Kafka's org.apache.kafka.common.utils.Utils.murmur2.
func murmur2(b []byte) uint32 {
	const (
		seed = 0x9747b28c
		m    = 0x5bd1e995
	)
	h := uint32(seed) ^ uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		k := binary.LittleEndian.Uint32(b) * m
		k = (k ^ k>>24) * m
		h = h*m ^ k
	}
	if len(b) > 0 {
		for i, c := range b {
			h ^= uint32(c) << (8 * i)
		}
		h *= m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}
