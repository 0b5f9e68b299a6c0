package suppress

import "errors"

// ErrCursor is returned by List and Audit for an After that is no cursor of theirs.
var ErrCursor = errors.New("suppress: no cursor of this list")
