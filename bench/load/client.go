package load

import "context"

// Client is one connection to what is measured. One goroutine uses it.
type Client interface {
	// Do makes the next request and waits for its answer, no longer than ctx lasts. After an error the client makes a
	// new connection by itself, at the next call.
	Do(ctx context.Context) Answer
	// Close ends the connection.
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
