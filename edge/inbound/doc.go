// Package inbound takes the mail that comes back (bounces, complaints, replies, unsubscribes) over SMTP, and answers
// 250 only when what it says is on disk.
//
//	client ─ TCP ─▶ gate        how many connections, and whose; ends them when the server stops
//	                 │
//	                 ▼
//	                conn ◀─▶ go-smtp   serves the connection: greets, hears who calls, says goodbye
//	                 │  lines, order, limits, times, STARTTLS, whose address it is, where a mail ends
//	                 ▼
//	                take ─▶ edge/report ─▶ facts ─▶ Sink ─▶ 250
//	                 └────▶ mailbox  for postmaster and abuse
//
// Guarantees: a mail that got a 250 is in the Sink (or the operator's mailbox) whole; one that came cut short never
// gets there. Whatever fails on our side answers 4xx, and the other side tries again. Nothing is relayed, and no mail is
// ever sent. Size, memory, recipients, errors, connections and time are bounded for every client and for all together.
//
// Not obvious:
//
//   - The library hears of no mail, from MAIL to its end: its readers take a chunk cut short for whole, miss ends, and
//     read what comes after a timeout as commands; and its way through three commands took a fifth of the time of a mail.
//   - Read gives the library one line and no more. When it asks for the next, it has dealt with the last, so conn may
//     look at and change the state of the session without a lock.
//   - TLS sits below conn, and so the library doesn't know of it.
//   - Replies go out when conn is about to wait for the client (fill), not before: one packet for a pipelined group.
//   - Only CRLF ends a line, and only CRLF.CRLF a mail. A bare LF is content in a mail, and an error in a command.
//   - A refused chunk is still read (it isn't commands), and ends the mail (the rest would complete one with a hole).
//   - The clock for a pause in a mail starts anew with every read; the clocks for a command, a mail and a session don't.
//   - A deadline of the transport may pass early (readUntil): fill knows until when it may wait, and looks at the clock.
//   - 5xx loses a bounce for good. It is for what can't become right by trying again.
package inbound
