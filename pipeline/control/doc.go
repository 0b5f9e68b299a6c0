// Package control keeps what all nodes must know beyond what mail and its readers tell: who is denied, which addresses
// are a sender's own, whose servers hear of events.
//
//	edge/api ─ Set, Remove ─▶ log of controls      one partition; with Kafka a compacted topic
//	                               │               key: kind/account/name; no value: removed
//	                          every node follows
//	                               ▼
//	                    rows in the node's store   so that a start while Kafka is away knows them
//	                               │
//	                               ▼
//	                         Table, in memory ◀─── Accept asks: Denied, SelfAddresses
//	                    Each, of the rows    ◀─── edge/webhook, when the bell rings
//
// It guarantees: when Set and Remove return nil, the change is durable, and this node's Table has it unless it can't read
// the log just now; the other nodes have it as soon as they have read it. Rows and table follow the order of the log, so
// all nodes end with the same. Denied and SelfAddresses take no lock and do not allocate.
//
// Not obvious:
//
//   - Nothing can tell again who was denied. So without Kafka rows and log stand in the journal's store, not in that of
//     the state, which can be made anew; a node that goes on with Kafka adopts them (Adopt).
//   - Who writes does not touch the table: its own record comes back through the log, in the order that holds for all.
//     So two nodes that contradict each other at the same time agree in the end.
//   - A compacted topic forgets a removal after a while. A node that was away for longer would keep what was removed, so
//     it reads the whole topic anew and drops what is not in it.
//   - A contact that was erased and stays denied is known by his key alone (DeniedKey): no id is kept of him.
//   - The table is bounded. Set refuses what would not fit; what another node let in beyond this node's bound is kept in
//     the rows, counted and logged, and not in the table.
package control
