// Package burst judges all opens and clicks of one message together: what one request can't tell, the others can.
//
//	hits of a message, by event time ─▶ Judge ─▶ of each: verdict, reasons, repeat?, first?
//	  request's verdict ──────────────────┤
//	  sent, delivered ────────────────────┘
//
//	  self ▶ honeypot, machine by request ▶ soon after delivery ▶ bursts ▶ weights     who stands first decides
//	  then repeats, then firsts
//
// It is pure: no clock, no state, no network, nothing allocated. RULES.md lists the rules.
//
// Not obvious:
//
//   - The verdicts are a function of the set of hits, not of the order in which they came: whoever judges again when a
//     hit comes late gets what he would have got, had it come in time.
//   - Judge first, deduplicate second: a repeat is evidence too, and a burst begins with hits that look like repeats.
//   - A machine's clicks bear on others like anyone's, the sender's own on nobody's.
package burst
