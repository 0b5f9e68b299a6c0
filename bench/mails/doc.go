// Package mails writes the mails that come back: status reports, replies, auto-replies, complaints. Every one is a whole
// RFC 5322 message with CRLF line ends.
//
//	About: a message, as registered ─▶ StatusReport, Reply, Vacation, Complaint ─▶ text for a mail listener
//	                   Original ─▶ Append...: in many styles and sizes ─▶ load
//
// Not obvious: the same call writes the same mail but for its Date, with the same Message-ID, so sending it again repeats
// the fact.
package mails
