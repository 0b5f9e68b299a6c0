package refine

import (
	"encoding/binary"

	"carom/kv"
	"carom/pipeline/event"
)

// A partition's keys. Numbers are big-endian.
//
//	0x30 | partition(2) | 0                                      meta
//	                    | 3 | due(8) | offset(8) | what(1)       timers, in the order in which they fire
//	                    | 4 | message key(16) | offset(8)        parked facts; the key's last 12 bytes may be zero
//	                    | 5 | incarnation(16)                    how far each source was read
//	                    | 17, 19                                 of erases: erase.go
//	                    | 32 | account                           how many of its contacts were told: known.go
//	                    | 33 | contact key(16)                   one that was
//	                    | 34                                     how many messages were sent: volume.go
//	                    | 35 | id(16)                            alerts that were told: told.go
//
// What is kept of messages has their epoch in its keys, so that an epoch's end deletes one range of each table, whatever
// else there is. epochs.go says which epoch a message is of.
//
//	0x30 | partition(2) | 6 | epoch(4) | message key(16)                   a message's state
//	                    | 7 | epoch(4) | message key(16) | event id(16)    timeline: the refined event as it was published
//	                    | 20 | epoch(4) …                                  messages by contact: contacts.go
//	                    | 21 | epoch(4) …                                  tombs of erased messages: erase.go
//	                    | 22 | epoch(4) …                                  messages by sender and time of sending: list.go
//	                    | 24 | epoch(4) …                                  which messages are of the epoch: roll.go
//	                    | 23                                               1: nothing is left of before there were epochs
//	                    | 23 | epoch(4)                                    when it begins and ends: epochs.go
//
// Tables 1, 2, 16 and 18 were messages, timeline, contacts and tombs before there were epochs: migrate.go.
type table byte

const (
	tableMeta    table = 0
	tableTimers  table = 3
	tableParked  table = 4
	tableSources table = 5

	tableMessages table = 6
	tableTimeline table = 7
	tableErased   table = 17
	tableScrubs   table = 19
	tableContacts table = 20
	tableTombs    table = 21
	tableSent     table = 22
	tableEpochs   table = 23
	tableRolls    table = 24

	tableContactCounts table = 32
	tableContactsTold  table = 33
	tableVolume        table = 34
	tableAlerts        table = 35
)

// epochTables are the tables that have epochs.
var epochTables = [...]table{tableMessages, tableTimeline, tableContacts, tableTombs, tableSent, tableRolls}

// keyspace appends the keys of one partition.
type keyspace uint16

const tableBytes = 4 // prefix, partition, table

// all appends what all keys of the partition start with.
func (k keyspace) all(dst []byte) []byte {
	return kv.AppendUint16(append(dst, kv.PrefixRefine), uint16(k))
}

func (k keyspace) table(dst []byte, t table) []byte { return append(k.all(dst), byte(t)) }

// epoch appends what all keys of one epoch in a table start with.
func (k keyspace) epoch(dst []byte, t table, e epochID) []byte {
	return kv.AppendUint32(k.table(dst, t), uint32(e))
}

const epochBytes = tableBytes + 4 // prefix, partition, table, epoch

func (k keyspace) message(dst []byte, e epochID, key event.Key) []byte {
	return append(k.epoch(dst, tableMessages, e), key[:]...)
}

// partial appends what all messages of an epoch start with whose ids share the first four bytes of their hash.
func (k keyspace) partial(dst []byte, e epochID, p prefix) []byte {
	return append(k.epoch(dst, tableMessages, e), p[:]...)
}

func (k keyspace) timeline(dst []byte, e epochID, key event.Key) []byte {
	return append(k.epoch(dst, tableTimeline, e), key[:]...)
}

// timelineEntry appends the key of an event in the timeline of s.
func (k keyspace) timelineEntry(dst []byte, s *state, id event.ID) []byte {
	return append(k.timeline(dst, s.epoch, s.key), id[:]...)
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
