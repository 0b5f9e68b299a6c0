package kv

// The first byte of every key, by store. Never reuse one.
const (
	// Both stores.
	PrefixMeta byte = 0x00 // format version, and what a store must remember of itself

	// The journal.
	PrefixJournalBatch byte = 0x10 // sequence(8) -> one batch of records

	// The state store.
	PrefixLog    byte = 0x20 // log(1) partition(2) offset(8) -> record
	PrefixRefine byte = 0x30 // partition(2) table(1) …
	PrefixRollup byte = 0x40 // partition(2) table(1) …
)

// The logs of the state store, by the byte that follows PrefixLog.
const (
	LogEvents  byte = 1
	LogRejects byte = 2
)
