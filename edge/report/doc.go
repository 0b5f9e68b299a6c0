// Package report decides what an inbound mail or a bare SMTP reply says: that a delivery failed, is late or succeeded,
// that a recipient complained, opted out or answered, or nothing; and why a delivery failed.
//
//	mail ─▶ header, parts ─▶ decoders, in order ─▶ findings ─▶ classify ─▶ facts
//	        slices, no copy   feedback               slices      provider rule
//	                          delivery status                    diagnostic text
//	                          notices of mail systems            enhanced status
//	                          auto-replies                       reply code
//	                          replies
//	                          other
//
// Read and ReadReply take any bytes, never fail and never panic. Their time is linear in the size of what they read, their
// memory bounded by the constants of limits.go; a returned message of megabytes costs nothing when it comes last. They
// may be called from several goroutines: the rule tables are compiled once and never change. What they return keeps
// nothing of the mail alive.
//
// A decoder is a row of the table in decoders.go and a file of its own. A rule is a row of a file below tables/, with its
// source. Fact.Decoder and Fact.Rule say which of both decided; Explain says why, step by step.
//
// Not obvious:
//
//   - Action decides between bounce, delay and delivery (RFC 3464 §2.3.3), not the class of the status: a report that a
//     system has given up after days of 4.x.x is a bounce, and 5.x.x under "delayed" is a delay.
//   - The status that the refusing MTA said beats the Status field, which is what the reporting MTA made of it.
//   - "User unknown" makes an address bad only with a second witness: a status 5.1.x, the refusal of RCPT, or words that
//     only the system says that keeps the mailbox. Filters say it too, most of them in answer to DATA: category filtered, not hard.
//   - A delay is never hard. A bad domain or a closed account is hard only where the failure was called permanent.
//   - The words of a notice count only where a machine wrote: humans paste them into questions, vacations say "not delivered".
//   - An empty envelope means that a machine wrote. A real one means a human only where nothing but a name speaks for a machine.
//   - A human's mail stays a reply whatever he quotes or attaches; a mail system's notice that passes a report on is that report.
//   - Who forwards a report ("Fwd:") tells it on; who answers one ("Re:") writes a reply.
//   - X-Auto-Response-Suppress is no sign of an auto-reply: Outlook puts it into mails of humans too.
//   - A CR alone ends no line, except in a mail that has no LF at its beginning.
package report
