// Package rollup keeps cohorts of enrollments per sender and sequence, and answers with rates and scores: RATES.md says
// what is counted, where and when.
//
//	events ─▶ step: facts by enrollment ─▶ enrollment before, after ─▶ what that changes
//	             │                              │                         │
//	             │         one Pebble batch ────┼─────────────────────────┤
//	             ▼                              ▼                         ▼
//	          position                     enrollments              cohort rows:
//	          offset, origins              facts by event id        hours, with their minutes,
//	                                                                of senders, sequences, providers
//	                                                                and categories of bounces; completions
//	                                                                      │
//	          Score, Senders, Sequences, scores ◀── whole hours, then minutes up to as_of
//	          Providers, Series, Trend, alerts  ◀──┘
//	          Enrollments ◀── completions: whom a count counts
//
// It guarantees:
//
//   - Every event that its log holds is counted exactly once, through any crash: the cohorts, the enrollments and the
//     offset are one batch, and an event whose origin was passed is dropped.
//   - What an enrollment counts as is a function of the set of its events, each in its last revision. The order in
//     which they come, and how often, changes no number.
//   - A score reads rows of hours, never enrollments: at most 720 for 30 days, and 27 for what was sent of late.
//
// Not obvious:
//
//   - What is kept no longer goes in sweeps between two steps (expire.go), by log time; enrollments before the rows that
//     they are counted in.
//   - Nothing happens when an enrollment completes. It is put under its completion time, which may lie in the future, at
//     its first send, and as_of decides whether that counts yet.
//   - Buckets are closed on the right: 17:45:00.000 belongs to the minute that ends then. So as_of 17:45 is a set of
//     whole buckets, and so is as_of minus whole hours.
//   - A late fact moves what was counted before: the old contribution is subtracted, the new one added. Both are computed
//     by today's code. A change of that computation must raise the constant rules, which has the cohorts computed anew.
//   - An enrollment remembers at most 96 facts one by one (enrollment.go), and of the rest what they add up to and how many
//     hits they were. A fact beyond them can't be revised any more: a revision of one is told by its time, and not counted
//     twice. The messages forgotten with them keep the numbers in recent that they had.
//   - Refine takes an event back by a revision with the verdict unknown. It is remembered as counting for nothing, so that
//     no earlier revision brings it back.
//   - The name that a provider is counted under is given when a send is taken, and kept in the enrollment: the table of names
//     may have no room for a domain today and must not make room tomorrow.
//   - Alerts look beside the counting and by the clock of facts. They are no part of what is exact, but each is told once.
//   - An event is known by its id within its enrollment. A revision that moves it to another enrollment would count in both;
//     none does, since events carry the registered identity of their message.
package rollup
