package kafka

import (
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"carom/kv"
)

// What the package keeps in the state store. Numbers are big-endian.
//
//	0x50 | 0 | incarnation(16)   how far that journal was relayed
//	     | 1 | topic kind        the topic's id and number of partitions
//	     | 2 | stage             how far its group's partitions had come, see kept.go
const (
	tableRelay byte = iota
	tableTopics
	tableGroups
)

func appendTable(dst []byte, table byte) []byte { return append(dst, kv.PrefixKafka, table) }

// Bound reports whether the package has kept anything in the store: whether the state in it is that of topics.
func Bound(store *kv.Store) (bool, error) {
	from := []byte{kv.PrefixKafka}
	it, err := store.DB().NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: kv.PrefixEnd(from)})
	if err != nil {
		return false, err
	}
	found := it.First()
	return found, errors.Join(it.Error(), it.Close())
}
