package event

import (
	"bytes"
	"encoding/json"
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
	out := bytes.NewBuffer(make([]byte, 0, len(b)))
	if in.End() != nil || json.Compact(out, b) != nil || out.Len() == 0 || out.Bytes()[0] != '{' {
		return nil, errBody
	}
	return out.Bytes(), nil
}

// appendBody appends a body as JSON, as a string if it is none.
func appendBody(dst, body []byte) []byte {
	clean, err := CleanBody(body)
	if err != nil {
		return appendString(dst, string(body))
	}
	return append(dst, clean...)
}
