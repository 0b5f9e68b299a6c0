// Package bot judges from one request alone who made it: a person, a privacy proxy, a scanner, or nobody can tell.
//
//	agents.tsv headers.tsv networks.tsv asns.tsv     those of a folder,
//	pfx2as and lists such as apple-egress.csv        else those that are built in
//	          │
//	          └─ Load ─▶ Rules (immutable)
//	                       │
//	kind, request ─ Judge ─┼─▶ address  in networks, lists, prefixes of ASNs: a table each
//	                       ├─▶ agent    known from just now, else one pass of the automaton over it
//	                       ├─▶ headers  Purpose and its like, Accept
//	                       └─▶ event.Actor: verdict, reasons, via; event.Soon
//
// It is pure: no clock, no state but a cache, no network. Judge allocates nothing and is safe for concurrent use. What
// needs other hits of the message, or the time of its delivery, is decided in refine; Soon tells it what that would be.
//
// What a verdict is made of, the first that there is:
//
//  1. a method that isn't GET: scanner
//  2. headers.tsv: what a request says of itself outweighs what its agent looks like
//  3. the worse of what its network and its agent say, from good to bad: human, unknown, proxy, scanner
//  4. human with no reasons: absence of evidence is all that a single request can give
//
// Not obvious:
//
//   - The order of the lines in agents.tsv and headers.tsv is their precedence. Mail providers' image proxies come
//     first, because lists of crawlers count them as crawlers. Of networks the most specific prefix decides; networks.tsv
//     stands above the lists that it names, and those above asns.tsv.
//   - The reasons are those of all rules that support the verdict, and of the weights, which never change it.
//   - Soon never takes a machine's verdict away: it is for human and unknown alone.
//   - The cache is keyed by a random 64-bit hash of the agent and not by the agent; see cache for its odds.
package bot
