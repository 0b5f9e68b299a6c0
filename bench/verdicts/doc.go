// Package verdicts plays labelled traffic against a running node, over real HTTP, and measures how well the node tells
// people from machines.
//
//	scripts/*.yaml ─ Load ─▶ scripts ─ plan (seeded) ─▶ messages, hits by time, each with the truth
//	                                                        │
//	                            register (API), play (HTTP) ┘─▶ node
//	                                                             │ journal: the verdict at once
//	                                                             │ events:  the verdict after settling
//	                                 confusion matrix, precision, ◀┘
//	                                 recall by script
//
// A script is a data file: who comes to a message, from which networks, with which agents, when, and whether that is a
// person. SCRIPTS.md has the format. The client's address goes into X-Forwarded-For, so the node must trust the player
// as a proxy.
//
// Not obvious:
//
//   - Nobody waits for hours: a message is registered as sent some time ago, so that a visit now is one hours after sending.
//     What happens between the visits to one message happens in real time.
//   - The truth of a hit is the script's. What no one could tell (a provider's proxy that fetches an image when the mail
//     arrives, or when it is read) is "unsure", and counts in no figure.
//   - Every event speaks for one hit. A hit that the node dropped as a repeat has the verdict of the one that it repeats: the
//     same client's, and at most 10 s before it. Whether a node lost such a hit or dropped it, nobody can tell; how many there
//     are is printed.
package verdicts
