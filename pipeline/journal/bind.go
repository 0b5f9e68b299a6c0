package journal

import (
	"fmt"

	"carom/kv"
)

// Bind ties the store of the stages to this journal, and refuses one that is tied to another: its offsets would point
// at other records. That is how a replaced disk shows.
//
//	 key                            value
//	┌────────────┬─────────────┐  ┌─────────────────┐
//	│ PrefixMeta │ MetaJournal │  │ incarnation(16) │
//	└────────────┴─────────────┘  └─────────────────┘
func (j *Journal) Bind(state *kv.Store) error {
	key := []byte{kv.PrefixMeta, kv.MetaJournal}
	bound, ok, err := state.Get(nil, key)
	switch {
	case err != nil:
		return fmt.Errorf("bind journal: %w", err)
	case ok && string(bound) == string(j.incarnation[:]):
		return nil
	case ok:
		return fmt.Errorf("journal: folder %s holds another journal (%x) than the one that %s was made from (%x): "+
			"put the former journal back, or move %[3]s away as well and begin anew", j.store.Dir(), j.incarnation, state.Dir(), bound)
	}
	b := state.NewBatch()
	if err := b.Set(key, j.incarnation[:], nil); err != nil {
		return fmt.Errorf("bind journal: %w", err)
	}
	if err := state.Commit(b); err != nil {
		return fmt.Errorf("bind journal: %w", err)
	}
	return b.Close()
}

// Bound reports whether state is tied to a journal: whether it was kept embedded.
func Bound(state *kv.Store) (bool, error) {
	_, ok, err := state.Get(nil, []byte{kv.PrefixMeta, kv.MetaJournal})
	return ok, err
}
