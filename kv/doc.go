// Package kv opens and keeps the Pebble stores. A node has two: the journal, and the state of the stages, so that
// compaction of the one never stalls the other.
//
//	data/journal  what this node heard              (pipeline/journal)
//	data/state    local logs, refine, rollup, …     (pipeline/…)
//
// keys.go lists the first byte of every key; the layouts stand beside their codecs.
//
// It guarantees: when Commit returns nil, the batch is on disk. One process has a folder at a time. What
// Pebble considers fatal makes Commit fail, closes Failed, and leaves the rest of Carom running (failure.go tells the
// one exception).
//
// Not obvious:
//
//   - Pebble shows a write to readers before it is on disk. Who needs "on disk" must wait for Commit.
//   - Write through Store.Commit only. Pebble's own Commit asks its logger to end the process when the disk fails; ours
//     does not end it, so such a call would never return.
//   - When Commit fails, nobody knows whether the batch is on disk. Nothing heals that but a new process.
//   - A failed store may hold Pebble's locks for ever, so it is never closed, and its folder stays locked until
//     the process ends.
//   - Every store holds its format version; one written by a newer Carom is refused, not guessed at.
package kv
