// Package targets makes what load is made of: hits, mails that come back, registrations.
//
//	keys ─▶ Minted ────────────────────────┐
//	list ─▶ URLs ──────────────────────────┴─▶ Hits, of one client
//	keys, shares, sizes, seed ─▶ Generator ─▶ Feed ─▶ one client's mails
//	folder, mbox, addresses ───▶ Corpus ────▶ Feed ─┘
//	Registrations ─────────────▶ Feed ──────▶ one client's requests
//
// Guarantee: every minted hit is of a message of its own, and every generated mail tells one fact, once for each of its
// recipients, of messages that no other speaks of: a right node has as many new events.
//
// Not obvious:
//
//   - What a feed gave is valid until its next call: the memory is used again.
//   - Hits and mails are made ahead of the clients, by one goroutine and in bounded batches, so that what it takes to mint
//     doesn't count as the server's time.
//   - No line of a generated mail begins with a dot, so DATA and BDAT send the same bytes.
package targets
