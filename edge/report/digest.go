package report

import "crypto/sha256"

// traceFields are those that hops add or change, so that they differ when the same mail comes again.
var traceFields = []string{
	"received", "x-received", "return-path", "delivered-to", "x-original-to", "received-spf",
	"authentication-results", "arc-seal", "arc-message-signature", "arc-authentication-results",
}

// digest identifies a mail without a Message-ID: the first half of SHA-256 over the lines of its header, without
// trace fields and line ends, and the beginning of its body.
func (r *reader) digest() (d [16]byte) {
	b := r.scratch
	start := len(b)
	head := r.raw[:len(r.raw)-len(r.body)]
	head = head[:min(len(head), maxDigest)]
	skip := false
	for len(head) > 0 {
		var line []byte
		line, head = cutLine(head)
		if len(line) > 0 && !isBlank(line[0]) {
			skip = isTrace(line)
		}
		if !skip && len(line) > 0 {
			b = append(append(b, line...), '\n')
		}
	}
	b = append(append(b, '\n'), trim(r.body[:min(len(r.body), maxDigest)])...)
	r.scratch = b
	sum := sha256.Sum256(b[start:])
	copy(d[:], sum[:])
	return d
}

// isTrace reports whether a header line begins a trace field or is an mbox "From " line.
func isTrace(line []byte) bool {
	colon, name := fieldName(line)
	if colon < 0 {
		return hasPrefix(line, "From ")
	}
	for _, f := range traceFields {
		if fold(name, f) {
			return true
		}
	}
	return false
}
