// Package journal is the log of what this node heard. Append returns when the events are on disk; only then does the
// client get its pixel, its redirect or its 250.
//
//	Append   Append   Append …          many goroutines, each encodes its own events
//	    └──────┼──────┘
//	      open batch                    under a mutex; bounded
//	           │ swap
//	       committer ──▶ Pebble         one value a batch, one sync a batch; no timer
//	           │  ╲
//	           │   (tellers, from four cores on) ──▶ those who wait: an Append returns, an AppendThen's done is called
//	           ▼
//	        Read ─▶ refine, relay       up to the last synced sequence
//	           │ Passed
//	           ▼
//	        keeper                      trims, watches the size and the disk
//
// It guarantees: what Append returned nil for is read exactly once, under one sequence number, in one order, whatever
// crashes; the events of one Append are neighbours in one batch. What Append returned an error for is usually not
// there, and never twice. Sequences start at 0 and have no gaps. Log time never runs back.
//
// Shedding. The size is the bytes of all batches since the oldest that is kept. The node turns unready at 70 % of
// max_bytes, then stops recording machine opens (80 %), human opens, machine clicks, human clicks, 5 % apart; Essential
// records are refused with ErrFull at 100 %. Other files that fill the disk count as if they were the journal's: at
// min_free_bytes it is full. Ticks are always recorded, because without them readers could not go on and make room.
//
// Failure. A write that takes longer than 5 s fails its waiters with ErrStalled, and so does every Append until it
// returns: nothing hangs, and when the disk recovers the journal goes on. A write that fails is the end of the
// journal in this process: its records may or may not be on disk, and only opening the folder anew tells. Append then
// fails at once, Health says so, and a restart recovers. The node goes on answering readers meanwhile.
//
// Not obvious:
//
//   - Pebble shows a write before its sync. Readers must stay below the last synced sequence, or they pass on a record
//     that a power cut takes away, and whose sequence number then names another.
//   - The newest batch is never trimmed: it holds the sequence and the clock.
//   - With GOMAXPROCS=1 the fsync holds the only P, nothing joins the open batch meanwhile, and group commit collapses
//     to one record a sync. Whoever owns the process must set at least 2, even on one core.
//   - AppendThen is for those who have no use for a goroutine that waits: the tracking edge writes its answers in done. From
//     four cores on tellers do that while the committer writes the next batch. One done that waits holds up all others.
//   - A batch struct is used again once its last waiter is told. Touch it only while holding a reference.
package journal
