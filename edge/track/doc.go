// Package track is the HTTP edge: it answers the open pixel, the click redirect and the unsubscribe link, and hands
// what it heard to the Sink.
//
//	socket ─▶ listener ─▶ fast lane ─▶ fasthttp ─▶ route
//	          bounds,     plain opens  timeouts,     │  /o/TOKEN[.gif]  /c/TOKEN  /u/TOKEN
//	          PROXY       and clicks   sizes         │
//	                          └──────────┬───────────┘
//	                                     ▼
//	                              open the token ──bad──▶ GIF or 404 page, no event
//	                                     ▼
//	                              Sink.HitThen, Hit, Facts     the first tells when it is on disk, the others return then
//	                                     ▼
//	                              GIF, 302 or page
//	                         /self/TOKEN ─▶ cookie and page, no event   only with the option self
//
// It guarantees: the answer is sent after the Sink has said how it went. If an open or a click can't be recorded, the reader
// gets the pixel or the redirect nevertheless, and carom_track_unrecorded_total counts it; an unsubscribe is then
// answered 503. A redirect leads exactly where the token says, byte for byte. A GET never unsubscribes.
//
// Not obvious:
//
//   - The fast lane knows the usual request and no HTTP. What it isn't sure of it gives to fasthttp, with all that comes over
//     the connection after it. Nobody must be able to tell by an answer or an event which of the two it was.
//   - In the fast lane no goroutine waits for the disk: who is told that a hit is on disk writes the answer, as much of it as
//     the client has room for. The rest, which is rare, is written by a goroutine of its own: no slow reader holds up others.
//   - All that a request holds lies in fasthttp's buffers and in the pooled hit, and dies with the handler.
//     The Sink must not retain any of it.
//   - Routes are read from the bytes of the request line. What fasthttp makes of a path (decoding, collapsing slashes,
//     resolving dots) could turn a stranger's URL into one of ours.
//   - fasthttp's Redirect rewrites its target. The Location is set as a header instead, which copies it.
//   - X-Forwarded-For is believed from configured proxies only, from right to left: everything to the left of the first
//     hop that is no proxy of ours was written by the client.
//   - A cookie is set on /self/ only, and read with opens and clicks only. It says whose own browser this is, sealed.
//   - With proxy_protocol, connections of the configured proxies must begin with a PROXY header, and those of others
//     can't have one: whether it is there is never guessed.
//   - fasthttp gives up accepting at the first error that is no time-out, for example when the process is out of file
//     descriptors. The listener waits and goes on instead.
package track
