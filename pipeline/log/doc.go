// Package log is the log: append-only, ordered, with offsets. Every arrow between two stages is one.
//
//	stage ─▶ Writer ──▶ partition 0: │0│1│2│3│… ──▶ Reader ─▶ next stage
//	            └ in, or before, the stage's own batch
//
// Two forms have the same interface: Local keeps a log in the Pebble store of the stages; package kafka keeps it
// in a topic. A Mirror is a copy of the latter in the former. The journal is a Reader too, of what this node heard.
// Which form a stage gets is decided in cmd/carom.
//
// Not obvious:
//
//   - Log time never runs back, and it is the only clock that a stage may read. So a replay gives the same output.
//   - A Local record becomes visible only when the batch that holds it is on disk (Writer.Committed).
//   - A Local whose batch was given up has counted its records already: open it anew, or there is a gap.
//   - The newest Local record is never trimmed: it holds the offset and the clock.
//   - To wait without missing a ring, take Bell.Rung before the last look at what is waited for.
//   - A Mirror has the offsets of its source, with gaps: of repeats, of what is not ours, of what the source lost.
package log
