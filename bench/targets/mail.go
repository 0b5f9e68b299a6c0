package targets

import "context"

// Mail is a mail to be sent.
type Mail struct {
	Kind    string   // what it tells: bounce, complaint, reply, ...; or mail, where nobody knows
	From    []byte   // the return path; empty is the null path
	To      [][]byte // recipients
	Content []byte   // lines that end in CRLF
	// Facts is how many events a Carom makes of it for each recipient; -1: not known.
	Facts int
	// Plain says that it ends in CRLF and no line begins with a dot: DATA sends it as it is.
	Plain bool
	// EightBit says that it has bytes beyond ASCII.
	EightBit bool
}

// Mails gives one client its mails. One goroutine uses it.
type Mails interface {
	// Next returns the next mail, which is valid until the following call. It waits no longer than ctx lasts.
	Next(ctx context.Context) (*Mail, error)
}
