// Package bot judges from one request alone who made it: a person, a privacy proxy, a scanner, or nobody can tell.
//
//	rules/*.tsv ─ Parse ─▶ Rules (immutable)
//	                         │
//	kind, request ─ Judge ───┼─▶ method, purpose headers      certain, first
//	                         ├─▶ agent: exact, else one pass of the automaton over it
//	                         └─▶ event.Actor: verdict, reasons, via
//
// It is pure: no clock, no state, no network. Judge allocates nothing and is safe for concurrent use. What needs other
// hits of the message, or the time of its delivery, is decided in refine.
//
// Not obvious:
//
//   - The order of the lines in agents.tsv is their precedence: the first one that fits gives the verdict. Mail
//     providers' image proxies come first, because lists of crawlers count them as crawlers.
//   - Actor.Reasons of a verdict is shared by all that got it. Nobody may write to it.
//   - A hit that no rule fits is human with no reasons: absence of evidence is all that a single request can give.
//   - A request that isn't GET is a scanner's whatever its agent says, and its reasons name both.
package bot
