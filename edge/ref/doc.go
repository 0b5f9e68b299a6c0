// Package ref seals and opens references: who a tracked URL, a return path or a header speaks of, in a form that
// needs no lookup, can't be forged, and can't be turned into an open redirect.
//
//	keys file ─▶ Keyring ◀──────────────────────── the same file on every node
//	               │
//	  Seal, Mint   │   Open, OpenAddress
//	  at sending   ▼   at the edge
//	https://track/o/TOKEN  /c/TOKEN  /u/TOKEN ─▶ edge/track ──▶ Ref, Key
//	X-Carom-Ref: TOKEN ────────────────────────▶ edge/inbound ▶ Ref, Key
//	b-TOKEN@  r-TOKEN@  u-TOKEN@ ──────────────▶ edge/inbound ▶ Key
//
// Guarantees: whatever opens was sealed by a holder of a key that is not retired, for that purpose, and passes the
// same checks as at sealing. There is one text per sealed content and nonce. Opening a URL token allocates nothing.
// A Keyring never changes and is safe for concurrent use. Nothing here expires or looks at the clock.
//
// Not obvious:
//
//   - The strings of an Opened alias its buffer. Whoever keeps one past the next Open must copy it.
//   - A ref without an account is of DefaultAccount, and says so once opened: otherwise its Key would differ from
//     that of the registered message. For the same reason message ids lose their angle brackets at both ends.
//   - The base64 decoder of the standard library passes over line breaks, even when strict; decodeToken doesn't.
//   - A key's state is looked at before anything is authenticated, so ErrUnknownKey and ErrRetired say what a token
//     claims, ErrForged that the claim is false.
//   - Link, URL and Honeypot belong to clicks. In other tokens they are neither sealed nor believed.
//   - MINTING.md shows how to mint without this package; testdata/vectors.json is the contract. Both are published:
//     never change what they say about version 1.
package ref
