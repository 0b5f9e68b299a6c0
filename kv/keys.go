package kv

import (
	"bytes"
	"encoding/binary"
)

// The first byte of every key, by store. Never reuse one.
const (
	// Both stores.
	PrefixMeta byte = 0x00 // Meta…(1) -> format version, and what a store must remember of itself

	// The journal.
	PrefixJournalBatch byte = 0x10 // sequence(8) -> one batch of records
	// and, without Kafka, PrefixLog of LogControls and PrefixControl

	// The state store.
	PrefixLog    byte = 0x20 // log(1) partition(2) offset(8) -> record
	PrefixMirror byte = 0x21 // log(1) partition(2) what(1) -> where a copy of a log that is kept elsewhere stands
	PrefixRefine byte = 0x30 // partition(2) table(1) …
	PrefixRollup byte = 0x40 // partition(2) table(1) …
	PrefixKafka  byte = 0x50 // table(1) …

	PrefixControl byte = 0x60 // table(1) …
	PrefixScrub   byte = 0x70 // where the scrubber is

	PrefixWebhook  byte = 0x90 // table(1) …
	PrefixSuppress byte = 0x80 // partition(2) table(1) …
	PrefixBook     byte = 0x81 // table(1) …
)

// The facts that a store remembers of itself, by the byte that follows PrefixMeta.
const (
	MetaFormat      byte = 0 // format version(1)
	MetaIncarnation byte = 1 // journal: 16 random bytes, made with the folder
	MetaJournal     byte = 2 // state: the incarnation of the journal that it was made from
)

// The logs, by the byte that follows PrefixLog.
const (
	LogEvents    byte = 1
	LogRejects   byte = 2
	LogAddresses byte = 3
	LogControls  byte = 4

	LogSuppressions byte = 5
)

// Numbers in keys are big-endian, so that keys sort as their numbers do.

// AppendUint16 appends v, big-endian.
func AppendUint16(key []byte, v uint16) []byte { return binary.BigEndian.AppendUint16(key, v) }

// AppendUint32 appends v, big-endian.
func AppendUint32(key []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(key, v) }

// AppendUint64 appends v, big-endian.
func AppendUint64(key []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(key, v) }

// PrefixEnd returns the first key after all that start with prefix: the end of their range. It is nil, which means
// "no end", if there is no such key.
func PrefixEnd(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}
