// Package mailbox reads mails from where people keep them: a file that holds one, mboxes, Maildirs, folders of folders.
//
//	folder ─▶ Walk ─▶ file ─┐
//	                        ├─▶ Reader ─▶ mail, mail, ...
//	standard input ─────────┘   gzip?      appended to the caller's buffer
//	                            mbox?
//
// A Reader holds one mail at most, and of what it passes over nothing: an mbox may be larger than the memory. Walk lists
// files in the order of their names, folder by folder.
//
// Not obvious:
//
//   - An mbox is what begins with a "From " line. Its next mail begins at a line "From " that has a time and a year, and two
//     of three signs: a blank line before it, a weekday and a month in it, a header behind it. People write sentences that
//     begin with "From ", not every writer quotes them or puts a blank line, and not every mail has a header.
//   - A Content-Length is believed where the next mail begins behind so many bytes of body, or the file ends: then no "From "
//     line among them begins another.
//   - One ">" is removed from lines that begin with ">From ", ">>From ", ... (mboxrd). In an mboxo that changes what was
//     quoted by a human, which no reader of it can know. Nothing is removed where a Content-Length is right and a line
//     "From " stands unquoted: that is an mboxcl2.
//   - The "From " line stays the first line of its mail.
//   - A Maildir's tmp holds mails that are still being written: it is passed over. So are the files that servers keep
//     beside cur and new, hidden files, and whatever is neither file nor folder: a link could lead outside or in a circle.
package mailbox
