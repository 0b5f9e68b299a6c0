// Package pipeline holds Accept, the first stage: it judges what one request alone can tell, drops a flood of
// repeats, and appends to the journal. When it returns without an error, the event is on disk.
//
//	edge/track ── Hit ───┐
//	edge/inbound ─ Facts ┼▶ Acceptor ─▶ journal
//	edge/api ──── Facts ─┘   bot verdict, repeats, privacy
package pipeline
