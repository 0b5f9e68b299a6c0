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
//	GET /v1/rejects, replay ◀──── log of rejects ─▶ Sink
//
//	/v1/webhooks ──────────────── edge/webhook
//
//	With Kafka, what another node has:
//
//	one message, one sender ◀──── the owner's answer, byte for byte      peers.go
//	GET /v1/senders ◀──────────── pages of all workers, merged           gather.go
//	GET /v1/events, live tail ◀── merger ◀─┬ partitions that are here    merger.go
//	                                       └ remoteReader ◀── its owner  remote.go, watch.go
//
// REFERENCE.md is the contract, with an example for each endpoint.
//
// Guarantees: a 2xx answer to a POST means that its fact is on disk. Lines of a bulk are answered in order, one answer
// a line, and a bad one spoils no other. Every error is a problem object (RFC 9457). Memory and time per request are
// bounded, whatever is sent and however slowly it is read.
//
// Not obvious:
//
//   - A bulk is cut, read, committed and answered by goroutines of its own, because a client may send all of it before it
//     reads one answer: the answers wait in a bounded backlog. When that is full, reading stops. Lines are read in any
//     order where a job says that they may be, and committed and answered in theirs.
//   - Without a token the listener is on loopback, and a web page in a browser on the same host could reach it. Requests
//     of other origins, and those that name the host otherwise than by address or localhost, are refused.
//   - A token's accounts are checked in one place for queries (admitAccount), by the route's word on where the account
//     stands. Of a body, intake checks lines by the account of their events; any other reader asks accountProblem.
//   - openapi.yaml is held against the routes, the handlers' parameters, the source's problems, and, by the tests' do,
//     against every answer of every test. An answer with a new member fails there until the document names it.
//   - A live tail reads from the log by itself. However slow its reader, nothing waits for it.
//   - What a node asks another is never passed on. Nodes that do not agree on the list of workers refuse each other:
//     otherwise a list of senders could lack some of them, or have them twice.
//   - Offsets of copied logs have gaps, but the one before a log's end is always a record. A reader that goes on to the
//     end so never waits.
//   - A tail looks for news after it has taken the bell's channel, and a watch takes its place in a log before whoever
//     joined looks: so no ring is missed.
//   - The id that POST /v1/events answers is worked out here and again in refine (event.IdentityOf): what goes into it
//     must be complete in the event as it is journaled.
package api
