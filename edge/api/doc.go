// Package api is what sending systems and operators ask over HTTP: it registers messages, takes in facts that other
// systems know, and answers with events, statuses and scores.
//
//	POST /v1/messages ─▶ check ─▶ mint ─┐
//	POST /v1/events ───▶ check ─────────┼▶ Sink (journal) ─▶ answer
//	                                    │
//	GET /v1/events, live tail ◀── log of events
//	GET /v1/journal ◀──────────── journal
//	GET /v1/messages/{message} ◀─ refine
//	GET /v1/senders… ◀─────────── rollup
//
// REFERENCE.md is the contract, with an example for each endpoint.
//
// Guarantees: a 2xx answer to a POST means that its fact is on disk. Lines of a bulk are answered in order, one answer
// a line, and a bad one spoils no other. Every error is a problem object (RFC 9457). Memory and time per request are
// bounded, whatever is sent and however slowly it is read.
//
// Not obvious:
//
//   - A bulk is read, committed and answered by three goroutines, because a client may send all of it before it reads
//     one answer: the answers wait in a bounded backlog. When that is full, reading stops.
//   - Without a token the listener is on loopback, and a web page in a browser on the same host could reach it. Requests
//     of other origins, and those that name the host otherwise than by address or localhost, are refused.
//   - A live tail reads from the log by itself. However slow its reader, nothing waits for it.
//   - The id that POST /v1/events answers is worked out here and again in refine (event.IdentityOf): what goes into it
//     must be complete in the event as it is journaled.
package api
