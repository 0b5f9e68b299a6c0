package event

import (
	"errors"
	"unicode/utf8"
)

// MaxBodyBytes bounds the body of an order, inquiry or alert.
const MaxBodyBytes = 8 << 10

var errBody = errors.New("want a JSON object of at most 8192 bytes of UTF-8")

// CleanBody returns a body in the form in which it stands in a record, without white space between its parts, or an error
// if it is no JSON object, or too large. The result shares no memory with b.
func CleanBody(b []byte) ([]byte, error) {
	if len(b) > MaxBodyBytes || !utf8.Valid(b) {
		return nil, errBody
	}
	in := NewJSONReader(string(b)) // which bounds how deep it is nested
	in.Skip()
	if in.End() != nil {
		return nil, errBody
	}
	if b = compact(b); b[0] != '{' {
		return nil, errBody
	}
	return b, nil
}

// compact returns a copy of a JSON text without the white space between its parts.
func compact(b []byte) []byte {
	out := make([]byte, 0, len(b))
	quoted := false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			out = append(out, c, b[i+1])
			i++
			continue
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			continue
		}
		out = append(out, b[i])
	}
	return out
}

// appendBody appends a body as JSON, as a string if it is none.
func appendBody(dst, body []byte) []byte {
	clean, err := CleanBody(body)
	if err != nil {
		return appendString(dst, string(body))
	}
	return append(dst, clean...)
}
