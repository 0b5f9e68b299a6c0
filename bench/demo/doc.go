// Package demo plays a day of a small platform against a running node, over real HTTP and SMTP, and checks that what
// was sent is what was counted.
//
//	plan (seeded) ──▶ expectations ───────────────┐
//	   │                                          ▼
//	   └─▶ play: API, pixels, clicks, mails ─▶ node ─▶ scores, events ─▶ check
//
// Guarantees: the same seed plays the same day; the expectations come from the plan alone, never from the node.
//
// Not obvious: the day lies five days back, so that its enrollments have completed by now.
package demo
