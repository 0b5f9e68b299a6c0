package rollup

import "carom/kv"

// Keyspaces are what this package keeps in a store, for figures of its size.
func Keyspaces() []kv.Keyspace {
	var list []kv.Keyspace
	for _, t := range []struct {
		name  string
		table byte
	}{
		{"rollup_names", tableSender},
		{"rollup_names_of_sequences", tableSequence},
		{"rollup_enrollments", tableEnrollment},
		{"rollup_cohorts", tableCohort},
		{"rollup_nameless", tableNameless},
		{"rollup_completions", tableCompletion},
		{"rollup_providers", tableProvider},
	} {
		list = append(list, kv.Keyspace{Name: t.name, Prefix: []byte{kv.PrefixRollup}, Partitioned: true, Table: t.table})
	}
	return list
}
