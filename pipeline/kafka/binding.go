package kafka

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"carom/kv"
)

// A kept topic: version(1)=1 | topic id(16) | number of partitions(4).
const (
	bindingVersion byte = 1
	bindingSize         = 1 + len(TopicID{}) + 4
)

// Bind keeps the id and the number of partitions of each topic, by kind, in the state store at the first start, and
// compares them from then on: what the store knows is of those topics and no others. Its error is SameTopic's. If one
// differs, none that are new are kept.
func Bind(store *kv.Store, topics map[string]Topic) error {
	b := store.NewBatch()
	defer func() { _ = b.Close() }()
	for _, kind := range slices.Sorted(maps.Keys(topics)) {
		topic := topics[kind]
		key := append(appendTable(nil, tableTopics), kind...)
		value, ok, err := store.Get(nil, key)
		if err != nil {
			return fmt.Errorf("read what is kept of topic %s: %w", topic.Name, err)
		}
		if !ok {
			if err := b.Set(key, appendBinding(nil, topic), nil); err != nil {
				return fmt.Errorf("keep topic %s: %w", topic.Name, err)
			}
			continue
		}
		if len(value) == 0 || value[0] != bindingVersion || len(value) != bindingSize {
			return fmt.Errorf("what is kept of topic %s has version %x in %d bytes, this Carom reads %d: use a newer Carom", topic.Name, value[:min(1, len(value))], len(value), bindingVersion)
		}
		partitions := binary.BigEndian.Uint32(value[bindingSize-4:])
		if err := SameTopic(topic, TopicID(value[1:bindingSize-4]), int(partitions)); err != nil {
			return err
		}
	}
	if b.Empty() {
		return nil
	}
	if err := store.Commit(b); err != nil {
		return fmt.Errorf("keep topics: %w", err)
	}
	return nil
}

func appendBinding(dst []byte, t Topic) []byte {
	dst = append(dst, bindingVersion)
	dst = append(dst, t.ID[:]...)
	return binary.BigEndian.AppendUint32(dst, uint32(len(t.Partitions)))
}
