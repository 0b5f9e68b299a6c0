package kafka

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"carom/kv"
)

// What is kept of a group: version(1)=1 | of each partition: its number(4), offset(8).
const (
	keptVersion byte = 1
	keptSize         = 4 + 8
)

// Keep keeps offsets in the state store, in the place of those that were kept before: how far this node's partitions had
// come when the brokers were asked last. Whoever starts while they are away finds out from it whether his state is whole.
func (g *Group) Keep(store *kv.Store, offsets map[int32]int64) error {
	value := []byte{keptVersion}
	for _, p := range slices.Sorted(maps.Keys(offsets)) {
		value = kv.AppendUint64(kv.AppendUint32(value, uint32(p)), uint64(offsets[p]))
	}
	b := store.NewBatch()
	defer func() { _ = b.Close() }()
	err := b.Set(g.keptKey(), value, nil)
	if err == nil {
		err = store.Commit(b)
	}
	if err != nil {
		return fmt.Errorf("keep the offsets of group %s: %w", g.id, err)
	}
	return nil
}

// Kept returns what Keep kept; nothing if that was never called.
func (g *Group) Kept(store *kv.Store) (map[int32]int64, error) {
	value, ok, err := store.Get(nil, g.keptKey())
	switch {
	case err != nil:
		return nil, fmt.Errorf("read what is kept of group %s: %w", g.id, err)
	case !ok:
		return nil, nil
	case len(value)%keptSize != 1 || value[0] != keptVersion:
		return nil, fmt.Errorf("what is kept of group %s has version %x in %d bytes, this Carom reads %d: use a newer Carom", g.id, value[:min(1, len(value))], len(value), keptVersion)
	}
	offsets := make(map[int32]int64)
	for one := range slices.Chunk(value[1:], keptSize) {
		offsets[int32(binary.BigEndian.Uint32(one))] = int64(binary.BigEndian.Uint64(one[4:]))
	}
	return offsets, nil
}

func (g *Group) keptKey() []byte { return append(appendTable(nil, tableGroups), g.stage...) }
