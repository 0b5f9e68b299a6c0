package main

import (
	"carom/kv"
	"carom/pipeline/refine"
	"carom/pipeline/rollup"
)

// keyspaces are what a store of a node holds, by the names that the metrics and the plan use.
func keyspaces(role string) []kv.Keyspace {
	logs := func(names map[byte]string) (list []kv.Keyspace) {
		for id := range byte(0xff) {
			if name, ok := names[id]; ok {
				list = append(list, kv.Keyspace{Name: "log_" + name, Prefix: []byte{kv.PrefixLog, id}})
			}
		}
		return list
	}
	control := kv.Keyspace{Name: "controls", Prefix: []byte{kv.PrefixControl}}
	if role == kv.RoleJournal {
		list := []kv.Keyspace{{Name: "journal", Prefix: []byte{kv.PrefixJournalBatch}}, control}
		return append(list, logs(map[byte]string{kv.LogControls: "controls"})...)
	}
	list := append(logs(map[byte]string{kv.LogEvents: "events", kv.LogRejects: "rejects", kv.LogAddresses: "addresses", kv.LogSuppressions: "suppressions"}), control,
		kv.Keyspace{Name: "suppress", Prefix: []byte{kv.PrefixSuppress}}, kv.Keyspace{Name: "suppressions", Prefix: []byte{kv.PrefixBook}})
	return append(append(list, refine.Keyspaces()...), rollup.Keyspaces()...)
}
