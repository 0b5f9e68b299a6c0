// Package refine turns the raw records of a log into refined events: attributed, judged, deduplicated, each once.
//
//	raw log ─▶ read ─▶ timers that are due ─▶ whose event? ─▶ judge ─▶ seen before? ─▶ first? ─▶ events
//	  ▲                       ▲                   │ nobody's     (clicks wait)             │
//	  │ tick, if it is        │                   ▼                                        ├─▶ addresses
//	  │ silent for 1 s        └──────────────── parked ──── too long ─▶ rejects            ├─▶ timeline
//	  │                                                                                    └─▶ status
//	  │
//	 one step: state + input offset + output = one Pebble batch, synced
//
// Guarantees:
//
//   - Every input record's output is in the logs exactly once, whatever crashes; the input may repeat itself.
//   - The output is a function of the input: a replay gives the same bytes. It depends neither on the wall clock, nor
//     on where the steps end, nor on what is cached.
//   - Memory is bounded: cached states, the timers at hand, what is parked, what is kept of one message.
//   - What can't be understood or attributed goes to the rejects with the reason and the bytes; nothing stops the log.
//   - A state that was lost is rebuilt from the oldest record of the input, and what was shipped is not written again.
//
// A partition sees all records of its messages. Message answers from the same state, at any time.
//
// Not obvious:
//
//   - A commit may fall between any two units of work (a timer, a fact), even in the middle of an input record: the
//     stored position then says how many events the record has released. Whatever needs to see on disk what this step
//     did asks for a commit first, instead of looking into the batch.
//   - Timers fire before the record that moves the clock, with that record's origin.
//   - Every change of a state must be followed by cache.touch in the same unit of work; otherwise eviction decides
//     whether the change survives, and the output depends on the size of the cache.
//   - Status, like every answer about a message, follows from latest times by kind, not from a running value: facts
//     come in any order.
//   - A verdict is part of what a repeat is: a scanner's hit never hides a human's.
//   - Output that is withheld because it was shipped still counts: n of the origins, and the size of a step.
//   - The recipient that a report names is published, and never acted on: only the registered one is.
package refine
