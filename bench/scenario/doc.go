// Package scenario plays a scenario against a running node, through its public listeners, and checks that what the node
// acknowledged is what arrived.
//
//	file ─ Load ─▶ Scenario ─ plan: message n, by its number and the seed
//	                            │
//	             ┌──────────────┼──────────────┐
//	        registrations    visitors        mails          many connections
//	             └── API ──── HTTP ──── SMTP ──┘
//	                  try │        │ ack
//	                      ▼        ▼
//	                       ledger ◀── see ── events of the API, from first to last, while the play runs
//	                          │              then, with Kafka, the topics
//	                          └─▶ checks: events, scores, topics ─▶ Report
//
// Guarantees: a fact counts as acknowledged only when its answer came, and then it must be there exactly once; what had no
// answer may be there or not; nothing else may be there. The expectations come from the plan and the answers alone. Memory
// is bounded by the number of facts: see ledger.
//
// Not obvious:
//
//   - Nothing of a message is kept but its number: who sent it, and what becomes of it, is drawn again when it is needed.
//   - An event is known to be of a visitor by its agent, which judging doesn't change. So a wrong verdict is seen as one,
//     and not as one fact missing and another invented.
//   - A person never clicks where a scanner does: amid a burst, nobody's verdict is sure.
//   - Hits that had no answer are not sent again: if both were heard, more than 10 s apart, they would be two facts. Mails
//     and registrations have an identity and could be; registrations are, because a message's life depends on it.
//   - A click or a reply implies an open that nobody sent. Whether one must be there is worked out from what arrived.
//   - Scores are compared with the events that arrived, and those with what was acknowledged.
//   - The messages were sent five days ago, so that their enrollments have completed.
package scenario
