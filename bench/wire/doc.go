// Package wire has the clients that make load: lean ones, each on a connection of its own, which implement load.Client.
//
//	bench/targets ─┬▶ mail ─▶ SMTP ── MAIL, RCPT, DATA or BDAT ─▶ server
//	               └▶ hit ──▶ HTTP ── GET or HEAD ──────────────▶   │
//	     load.Answer ◀─────────┴──── replies ◀──────────────────────┘
//
// Guarantee: an answer without an error is one that a right server gives. What a server says is bounded in length and in
// time, and failures of a kind have the same text, so that they can be counted.
//
// Not obvious:
//
//   - An SMTP connection that the server ended between two requests is no failure: the request goes over a new one, once.
//     Of HTTP that holds only if its end was there before the request was sent: a hit whose answer is lost may have been
//     counted.
//   - Close may be called while Do waits; the fields that both look at are guarded.
//   - A mail that was refused by some of its recipients is sent to the others, and is no success.
package wire
