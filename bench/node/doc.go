// Package node is the one client of a running node: of its API as a sending system and an operator, of its tracking
// listener as a reader's mail client, and of its mail listener as another MTA.
//
//	              ┌─ Register, Scores, Timeline ─▶ API
//	Client ───────┼─ Page: events, journal ◀────── API
//	              └─ Hit, Unsubscribe ───────────▶ tracking listener
//	Mailer ───────── Deliver ────────────────────▶ mail listener
//
// Guarantee: a call that returns nil was answered as a right node answers. After an error nobody knows whether the node
// has what was sent.
//
// Not obvious:
//
//   - A mail is delivered byte for byte (BDAT): DATA would rewrite its line ends.
//   - Redirects are answers, and not followed.
package node
