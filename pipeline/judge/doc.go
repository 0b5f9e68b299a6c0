// Package judge tells people from machines in anyone's log of opens and clicks, with the rules that a node applies.
//
//	hits of a log ─▶ request rules (bot) ─▶ by message, until log time has passed the window ─▶ burst ─▶ verdicts,
//	                        │                                                                             in the order
//	                        └── hits that name no message ────────────────────────────────────────────────▶ of the hits
//
// Memory is bounded: so many hits wait, and then the messages that were silent for longest are judged early. Hits may be
// somewhat out of order, as in logs that write a line when a request ends.
package judge
