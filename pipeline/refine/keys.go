package refine

import (
	"encoding/binary"

	"carom/kv"
	"carom/pipeline/event"
)

// A partition's keys. Numbers are big-endian.
//
//	0x30 | partition(2) | 0                                      meta
//	                    | 1 | message key(16)                    a message's state
//	                    | 2 | message key(16) | event id(16)     timeline: the refined event as it was published
//	                    | 3 | due(8) | offset(8) | what(1)       timers, in the order in which they fire
//	                    | 4 | message key(16) | offset(8)        parked facts; the key's last 12 bytes may be zero
//	                    | 5 | incarnation(16)                    how far each source was read
//	                    | 16 …                                   of contacts and erases: contacts.go, erase.go
type table byte

const (
	tableMeta table = iota
	tableMessages
	tableTimeline
	tableTimers
	tableParked
	tableSources
)

// keyspace appends the keys of one partition.
type keyspace uint16

const tableBytes = 4 // prefix, partition, table

// all appends what all keys of the partition start with.
func (k keyspace) all(dst []byte) []byte {
	return kv.AppendUint16(append(dst, kv.PrefixRefine), uint16(k))
}

func (k keyspace) table(dst []byte, t table) []byte { return append(k.all(dst), byte(t)) }

func (k keyspace) message(dst []byte, key event.Key) []byte {
	return append(k.table(dst, tableMessages), key[:]...)
}

// partial appends what all messages start with whose ids share the first four bytes of their hash.
func (k keyspace) partial(dst []byte, p prefix) []byte {
	return append(k.table(dst, tableMessages), p[:]...)
}

func (k keyspace) timeline(dst []byte, key event.Key) []byte {
	return append(k.table(dst, tableTimeline), key[:]...)
}

func (k keyspace) timelineEntry(dst []byte, key event.Key, id event.ID) []byte {
	return append(k.timeline(dst, key), id[:]...)
}

func (k keyspace) timer(dst []byte, t timerKey) []byte {
	dst = kv.AppendUint64(k.table(dst, tableTimers), uint64(t.due))
	dst = kv.AppendUint64(dst, uint64(t.offset))
	return append(dst, byte(t.what))
}

const timerKeyBytes = tableBytes + 8 + 8 + 1

// readTimer is the inverse of timer; ok is false for a key of another length.
func readTimer(key []byte) (t timerKey, ok bool) {
	if len(key) != timerKeyBytes {
		return timerKey{}, false
	}
	key = key[tableBytes:]
	t.due = event.Millis(binary.BigEndian.Uint64(key))
	t.offset = int64(binary.BigEndian.Uint64(key[8:]))
	t.what = timerKind(key[16])
	return t, true
}

func (k keyspace) parked(dst []byte, key event.Key) []byte {
	return append(k.table(dst, tableParked), key[:]...)
}

func (k keyspace) parkedEntry(dst []byte, key event.Key, offset int64) []byte {
	return kv.AppendUint64(k.parked(dst, key), uint64(offset))
}

const parkedKeyBytes = tableBytes + 16 + 8

// readParked is the inverse of parkedEntry.
func readParked(b []byte) (key event.Key, offset int64, ok bool) {
	if len(b) != parkedKeyBytes {
		return event.Key{}, 0, false
	}
	copy(key[:], b[tableBytes:])
	return key, int64(binary.BigEndian.Uint64(b[tableBytes+16:])), true
}

func (k keyspace) source(dst []byte, incarnation [16]byte) []byte {
	return append(k.table(dst, tableSources), incarnation[:]...)
}

// prefix is the part of a key that comes from the message id alone.
type prefix [4]byte

func prefixOf(key event.Key) prefix { return prefix(key[:4]) }
