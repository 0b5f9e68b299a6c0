// Package event holds the words that every part of Carom shares: the fact (Event), what is made of it
// (Refined), the message key that brings the facts of one message together, and their codecs.
//
//	edge ─▶ Event ─▶ journal ─▶ refine ─▶ Refined ─▶ rollup, API, consumers
//	        binary (AppendBinary)         JSON (AppendJSON)
//
// It imports nothing of Carom, keeps no state and starts nothing.
//
// Not obvious:
//
//   - A Key may be partial: a bounce known by a Message-ID alone has only its first four bytes (see KnownBy).
//     Those four choose the partition, so it still meets its message.
//   - Times are milliseconds since 1970 in UTC (Millis), because that is what is stored and compared.
//   - The encodings are stored for years: never renumber a field, a Kind, a Verdict or a Flag.
//   - An ID is a hash of what makes two tellings the same fact (IdentityOf), never of the telling. What goes into it is
//     published: a change makes every consumer count again.
//   - JSONReader is strict and names the member it fails at: what reads our own JSON also reads a stranger's.
package event
