package suppress

import "errors"

// ErrNotReady is returned by a book that has never read the log of suppressions to its end: it can't say that nobody is
// suppressed.
var ErrNotReady = errors.New("suppress: the log of suppressions is not read yet")

// ErrCursor is returned by List and Audit for an After that is no cursor of theirs.
var ErrCursor = errors.New("suppress: no cursor of this list")
