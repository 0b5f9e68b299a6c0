// Package backup copies a node's stores while it runs, and brings them back.
//
//	state store ─ checkpoint ─┐                     ┌▶ folder: state/ journal/ manifest.json
//	                          ├▶ tar, file by file ─┤
//	journal ───── checkpoint ─┘   with checksums    └▶ Restore: checked, copied, and the sequences jump
//
// It guarantees: what was on disk when a backup began is in it, and the two stores fit together: the state refers to
// nothing that the journal does not hold. A folder that has a manifest is complete, and Restore uses no other.
//
// Not obvious:
//
//   - The state goes first and the journal after it, so the journal is the newer of the two: what lies between is refined
//     again, which gives the same. The other way round the state would be ahead of its input. The journal trims nothing in
//     between.
//   - A checkpoint links files, so it costs little; until it is removed, it keeps what compaction would free.
//   - After a restore the node must give out no sequence that the original gave out after the backup: those are known
//     elsewhere, and what comes under them would be dropped as repeats. So they jump (see Restore), and the offsets of logs
//     of which clients hold cursors as well.
//   - The keys are not in it: they open every reference that was ever sealed. They are copied once, to another place.
package backup
