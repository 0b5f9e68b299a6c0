// Package webhook tells other people's servers of an account's events: it POSTs them, signed, in batches.
//
//	log of events, a partition each
//	     │
//	     ▼
//	   feed ─ whose account? ─▶ courier, one a webhook ◀── log of controls: webhooks, pauses
//	     │                         │ reads from the log by itself
//	     └ moves idle ones on      ▼
//	                            batch ─▶ POST, signed ─▶ their server
//	                               │         │ not 2xx: again, later and later, for a day; then paused
//	                               ▼         ▼ 410: disabled
//	                            place in the state store
//
// It guarantees: at least once, each partition in its order, as long as the log holds what was not delivered; what it did
// not is counted. A batch that is sent again, after a restart too, has the same id and the same events, unless the webhook
// was changed meanwhile. No webhook waits for another, and each has at most one batch in memory. No request goes to an
// address that is not public, unless the settings allow it.
//
// deploy/WEBHOOKS.md is the contract.
//
// Not obvious:
//
//   - Where a batch ends is on disk before it is sent: that is why it is the same after a restart.
//   - The feed reads every record once for all webhooks, and looks at the account in its key only. A courier with nothing
//     to do costs a comparison.
//   - A pause speaks of the definition that it judged (Hook.tag). So a change by an operator and a pause by a node that has
//     not heard of it can come in either order: the changed webhook is active.
//   - All nodes that have partitions of events deliver theirs, and a pause or a resumption holds for all of them: it goes
//     through the log of controls. A resumption has a serial number, because a node must go back to a cursor once only.
//   - Addresses are checked when the connection is made, after the name was resolved: a name that was looked up before
//     may mean another host by then.
//   - The alert that a webhook rests is journaled before the pause: if only one of them can be told, it is tried on, and told
//     again under the same id.
//   - On an empty disk a webhook can't know what the disk before had delivered. What had been copied there (Deps.Copied) was,
//     but for a day of trying; what had not, was not, however old it is.
//   - Secrets lie sealed in the log of controls: whoever reads the topic can't sign.
package webhook
