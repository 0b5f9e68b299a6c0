// Package refine turns the raw records of a log into refined events: attributed, judged, deduplicated, each once.
//
//	raw log ─▶ read ─▶ timers that are due ─▶ whose event? ─▶ fact: told before? ──────────▶ first? ─▶ events
//	  ▲                       ▲                   │ nobody's      hit: among the others ─▶ review ─┤
//	  │ tick, if it is        │                   ▼               (a click waits before it is told)├─▶ addresses ◀─ orders, inquiries
//	  │ silent for 1 s        └──────────────── parked ── too long ─▶ rejects                      ├─▶ timeline
//	  │                                                                                            └─▶ status
//	 one step: state + input offset + output = one Pebble batch, synced
//
// The opens and clicks of a message are a set. Whenever one comes, or a fact that bears on them, package burst judges the
// whole set anew, and what differs from what was published is published again, under its id with the next revision:
// verdict, reasons, first, the inferred open. What turns out to be a repeat, or to have been inferred from no human, is
// taken back: its last revision has the verdict unknown and the reason repeat or withdrawn, and counts for nothing. So
// the end does not depend on the order in which the records came, whatever was published on the way. Waiting makes such
// revisions rare, no more.
//
// Guarantees:
//
//   - Every input record's output is in the logs exactly once, whatever crashes; the input may repeat itself.
//   - The output is a function of the input: a replay gives the same bytes. It depends neither on the wall clock, nor
//     on where the steps end, nor on what is cached.
//   - Timeline, status, firsts and inferred open of a message follow from the set of its records, not from their order,
//     as long as it has no more than 64 opens and clicks. Of those that have more, the latest 64 by event time are
//     judged together; the others stay as they were published. Facts told twice with one identity and other details
//     keep the details that came first.
//   - Memory is bounded: cached states, the timers at hand, what is parked, what is kept of one message.
//   - What can't be understood or attributed goes to the rejects with the reason and the bytes; nothing stops the log.
//   - What is known of a message stays for Options.Keep from its first record, in log time, and for a third more at most.
//     Then all of it goes at once, at the cost of one range of each table.
//   - That a message is new is nearly always known without a look at the disk, and one that is known is looked for once,
//     however old it is, as long as Options.RollBytes holds the rolls; a roll says of one or two in a hundred that they may
//     be known. What the disk takes for a look depends on how much of the store fits into memory: BenchmarkRefineLookup.
//   - A state that was lost is rebuilt from the oldest record of the input, and what was shipped is not written again.
//
// A partition sees all records of its messages. Message, Contact, List and Contacts answer from the same state, at any
// time. A list looks at a bounded number of messages for a page, and tells how far it came: pages of several partitions
// are merged up to where all of them did.
//
// Not obvious:
//
//   - A commit may fall between any two units of work (a timer, a fact), even in the middle of an input record: the
//     stored position then says how many events the record has released. Whatever needs to see on disk what this step
//     did asks for a commit first, instead of looking into the batch; but of the timeline entries that it wrote a step
//     knows where their bytes lie.
//   - Timers fire before the record that moves the clock, with that record's origin.
//   - Log time alone ends an epoch, before the record that comes after and after the timers that were due. A click whose
//     message's epoch ends before it were judged does not wait. What is told of a message after its end begins it anew,
//     under the same ids: who told firsts tells them again.
//   - States are looked for on the disk as it was when the step began, which is enough, because what the step changed is
//     in the cache. So nothing may leave the cache before the commit but what an erase or an epoch's end takes, and after
//     those the step ends.
//   - Every change of a state must be followed by cache.touch in the same unit of work; otherwise eviction decides
//     whether the change survives, and the output depends on the size of the cache.
//   - Status, like every answer about a message, follows from latest times by kind, not from a running value: facts
//     come in any order. Hits at hand are not among the stored marks, because their verdicts change.
//   - A click that waits is evidence for others at once, and is itself neither first nor repeat nor cause of anything
//     until it was judged.
//   - A verdict is part of what a repeat is: a scanner's hit never hides a human's. So a hit that is a repeat now may be
//     none later, and repeats are kept too, withheld in the timeline.
//   - Anonymous opens and clicks name no message and are not kept: they are judged once, a click after it waited, an
//     open at once, and not revised. They bear on others as long as they are at hand.
//   - Settings of bursts and repeats may change between two runs. Messages that are touched afterwards are judged anew
//     by the new ones.
//   - Output that is withheld because it was shipped still counts: n of the origins, and the size of a step.
//   - What the log of addresses holds besides events (told.go, known.go, volume.go) has rows of its own, which no epoch takes.
//     A volume is told by a timer, so that a log which falls silent gets the tick that it takes.
//   - A message registered as not sent is registered, and no event: whatever asks whether a message was sent asks for its
//     sent event (recorded), and not for its standing.
//   - The recipient that a report names is published, and never acted on: only the registered one is.
package refine
