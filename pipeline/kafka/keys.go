package kafka

import "carom/kv"

// What the package keeps in the state store. Numbers are big-endian.
//
//	0x50 | 0 | incarnation(16)   how far that journal was relayed
//	     | 1 | topic kind        the topic's id and number of partitions
const (
	tableRelay byte = iota
	tableTopics
)

func appendTable(dst []byte, table byte) []byte { return append(dst, kv.PrefixKafka, table) }
