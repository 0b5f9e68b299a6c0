package load

import "context"

// Client is one connection to what is measured. One goroutine uses it.
type Client interface {
	// Do makes the next request and waits for its answer, no longer than the timeout that the client was made with, and
	// not on when ctx has ended or Close was called. After an error the client makes a new connection by itself, at the
	// next call. It should not allocate: what it costs is the harness's own error.
	Do(ctx context.Context) Answer
	// Close ends the connection. It may be called by another goroutine, while Do waits.
	Close() error
}

// Answer is what became of one request.
type Answer struct {
	Kind  string // what was asked for, of the few kinds that the client knows: open, click, bounce, messages
	Code  int    // HTTP status or SMTP reply code; 0 without an answer
	Items int    // how many facts the request told, as a rule 1
	Bytes int    // sent and received
	Err   error  // no answer, or one that is not what a right server says
}
