// Package kv opens and keeps the Pebble stores. A node has two: the journal, and the state of the stages, so that
// compaction of the one never stalls the other.
//
//	data/journal  what this node heard              (pipeline/journal)
//	data/state    local logs, refine, rollup, …     (pipeline/…)
//
// keys.go lists the first byte of every key; the layouts stand beside their codecs.
//
// Not obvious:
//
//   - Pebble shows a write to readers before it is on disk. Who needs "on disk" must wait for Commit(Sync).
//   - Every store holds its format version; one written by a newer Carom is refused, not guessed at.
package kv
