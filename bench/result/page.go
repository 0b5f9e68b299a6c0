package result

import "io"

// WritePage writes one page that needs nothing else: of one result what it came to, of several their comparison.
func WritePage(w io.Writer, results ...*Result) error { panic("not drawn yet") }
