package refine

import "carom/kv"

// Keyspaces are what this package keeps in a store, for figures of its size.
func Keyspaces() []kv.Keyspace {
	var list []kv.Keyspace
	for _, t := range []struct {
		name  string
		table table
	}{
		{"refine_messages", tableMessages},
		{"refine_timeline", tableTimeline},
		{"refine_timers", tableTimers},
		{"refine_parked", tableParked},
		{"refine_contacts", tableContacts},
		{"refine_tombs", tableTombs},
		{"refine_sent", tableSent},
		{"refine_rolls", tableRolls},
		{"refine_known_contacts", tableContactsTold},
	} {
		list = append(list, kv.Keyspace{Name: t.name, Prefix: []byte{kv.PrefixRefine}, Partitioned: true, Table: byte(t.table)})
	}
	return list
}
