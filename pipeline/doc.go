// Package pipeline holds Accept, the first stage: it judges what one request alone can tell, drops a flood of
// repeats, and appends to the journal. When it returns without an error, the event is on disk.
//
//	edge/track ── Hit ───┐
//	edge/inbound ─ Facts ┼▶ Acceptor ─▶ journal
//	edge/api ──── Facts ─┘      │
//	                            ├ bot      who acted, by rules that are replaced while it runs
//	                            ├ repeats  was the same recorded a moment ago?
//	                            ├ self     is it the sender's own? by cookie, by address
//	                            ├ shared   do many messages come from its address?
//	                            └ client   what of it may be kept, by account
//
// It guarantees: nil means that the event is on disk, or one that it repeats is, or that its ref is not to be recorded.
// Any other error means that it is not known to be on disk. Hit allocates nothing. HitThen tells the same, later.
//
// Not obvious:
//
//   - Judging comes before dropping repeats, and a repeat is one within its verdict class: a scanner's hit never hides a
//     person's.
//   - A hit is remembered only after it is on disk. The other way round, a repeat of a lost hit would be answered as
//     recorded.
//   - The repeats are one node's, since its start, and may forget. Refine finds the duplicates that pass; where the first
//     of three hits, each within the window of the last, was forgotten, the third may be dropped though refine would count it.
//   - The verdict self stands above all others: what else the request looks like is then no matter.
//   - Nothing of the client but its hash is kept with anonymous and shared refs.
//   - The user agent and the reasons of the journaled event may live in the request or in the Acceptor's buffers: whoever
//     implements Journal must not retain an event, nor whoever called Hit its reasons.
//   - Rules are swapped as a whole: a hit is judged by the old ones or the new ones, and ReloadRules returns when no later
//     hit can meet the old ones.
package pipeline
