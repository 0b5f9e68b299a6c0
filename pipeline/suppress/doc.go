// Package suppress decides about addresses: to whom no mail goes, and how they come back. SUPPRESSIONS.md has the rules.
//
//	addresses ─▶ Partition: facts and orders ─▶ entries ─▶ causes, decisions
//	                 │         one Pebble batch                  │
//	                 ▼                                           ▼
//	      quotas, providers' hours                     log of suppressions      with Kafka a compacted topic
//	                 │                                           │
//	                 ▼                                    every node follows
//	   inquiries and alerts, journaled                           ▼
//	                                               Book ◀── edge/api: Check, Get, List, Decision
//
// It guarantees:
//
//   - Decisions are a function of the log of addresses: the same log gives the same records, byte for byte, whatever the
//     steps and wherever it crashes, but for those that say how far it is. Time comes from the log: event times of facts and
//     orders, log time for waiting.
//   - An order is decided once, however often it is told, and its decision is in the book before anybody is told of it.
//   - What suppresses is computed from the facts that an entry holds. The order in which they come changes nothing, but for
//     orders, which act when the log comes to them, and the breaker, which goes by what is known at a bounce.
//
// Not obvious:
//
//   - A revert or confirm takes as many commits as there are bounces in it, and no record is read meanwhile: it is one
//     decision at one place of the log. Passed stays before it.
//   - What is journaled goes through an outbox that is written with the step: it is told at least once. Refine knows alerts
//     by their id; an inquiry that was answered is answered in vain.
//   - The book's filter may say that a name is there that is not, never the reverse: names go in before their rows do, and
//     again after, for a filter that is being built.
//   - Without Kafka the book empties the log behind it. With Kafka a removal is forgotten after a while, so a node that was
//     away longer reads the topic anew and drops what is not of the new generation. Old versions of what it knows change
//     nothing meanwhile.
package suppress
