// Package log is the log: append-only, ordered, with offsets. Every arrow between two stages is one.
//
//	stage ─▶ Writer ──▶ partition 0: │0│1│2│3│… ──▶ Reader ─▶ next stage
//	            └ in, or before, the stage's own batch
//
// Two forms have the same interface: Local keeps a log in the Pebble store of the stages; package kafka keeps it
// in a topic. The journal is a Reader too, of what this node heard. Which form a stage gets is decided in cmd/carom.
//
// Not obvious:
//
//   - Log time never runs back, and it is the only clock that a stage may read. So a replay gives the same output.
//   - A Local record becomes visible only when the batch that holds it is on disk (Writer.Committed).
package log
