package event

import (
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"
)

// JSONReader reads one JSON text (RFC 8259) from front to back. The caller says what it expects next:
//
//	r := NewJSONReader(text)
//	for name := range r.Members() {
//		switch name {
//		case "sender":
//			s.Sender = r.String()
//		default:
//			r.Skip()
//		}
//	}
//	err := r.End()
//
// The first error sticks: all later calls return zero values and false, so loops end, and End reports it. null stands
// for a member that is not there. Strings without escapes are parts of the text; nothing else is kept.
type JSONReader struct {
	text  string
	pos   int
	err   *JSONError
	first bool // the next member or element is the first of its object or array
	depth int  // objects that are open
	path  [jsonPathMax]string
}

// Nesting is bounded twice: what a caller reads by its own code, what it skips by jsonDepthMax.
const (
	jsonPathMax  = 4
	jsonDepthMax = 64
)

// JSONError says where a text is not what was expected.
type JSONError struct {
	// Field is the member that was read, outer ones before it ("bounce.status"); empty at the top.
	Field string
	// Offset is the byte at which reading stopped, from 0.
	Offset int
	Reason string
	// Unknown is set if the member is none that the caller knows.
	Unknown bool
}

// Error names the field if there is one, otherwise the offset.
func (e *JSONError) Error() string {
	if e.Field != "" {
		return e.Field + ": " + e.Reason
	}
	return fmt.Sprintf("byte %d: %s", e.Offset, e.Reason)
}

// NewJSONReader returns a reader of text.
func NewJSONReader(text string) JSONReader { return JSONReader{text: text} }

// Fail makes the reader fail at the member that was read last.
func (r *JSONReader) Fail(reason string) {
	if r.err != nil {
		return
	}
	r.err = &JSONError{Field: r.field(), Offset: r.pos, Reason: reason}
}

// Unknown makes the reader fail because the last member's name is none that the caller knows.
func (r *JSONReader) Unknown() {
	if r.err == nil {
		r.Fail("unknown field")
		r.err.Unknown = true
	}
}

func (r *JSONReader) field() string {
	n := min(r.depth, jsonPathMax)
	for n > 0 && r.path[n-1] == "" {
		n--
	}
	return strings.Join(r.path[:n], ".")
}

// syntax fails without a field: the text is no JSON there.
func (r *JSONReader) syntax(reason string) {
	if r.err == nil {
		r.err = &JSONError{Offset: r.pos, Reason: reason}
	}
}

// End returns the first error, or an error if the text goes on.
func (r *JSONReader) End() error {
	if r.peek() != 0 || r.err == nil && r.pos < len(r.text) {
		r.syntax("text after the end of the value")
	}
	if r.err != nil {
		return r.err
	}
	return nil
}

// peek passes over white space and returns the next byte, 0 at the end or after an error.
func (r *JSONReader) peek() byte {
	if r.err != nil {
		return 0
	}
	for r.pos < len(r.text) {
		c := r.text[r.pos]
		if c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
		r.pos++
	}
	return 0
}

// Members enters an object and yields the name of each member, whose value the body must read or skip. There are none
// in null and after an error.
func (r *JSONReader) Members() iter.Seq[string] {
	return func(yield func(string) bool) {
		if !r.enter('{', "want an object") {
			return
		}
		depth := r.depth
		r.depth++
		for r.next('}') {
			name := r.name()
			if depth < jsonPathMax {
				r.path[depth] = name
			}
			if r.err != nil || !yield(name) {
				return
			}
		}
		if r.err == nil { // else the path still names where it happened
			r.depth--
			if depth < jsonPathMax {
				r.path[depth] = ""
			}
		}
	}
}

// name reads the name of a member and the colon.
func (r *JSONReader) name() string {
	if r.peek() != '"' {
		r.syntax("want a member name in double quotes")
		return ""
	}
	name := r.quoted()
	if r.peek() != ':' {
		r.syntax("want a colon after the member name")
		return ""
	}
	r.pos++
	return name
}

// Elements enters an array and yields before each element, which the body must read or skip. There are none in null
// and after an error.
func (r *JSONReader) Elements() iter.Seq[struct{}] {
	return func(yield func(struct{}) bool) {
		if !r.enter('[', "want an array") {
			return
		}
		for r.next(']') {
			if !yield(struct{}{}) {
				return
			}
		}
	}
}

func (r *JSONReader) enter(open byte, want string) bool {
	if r.null() || !r.expect(open, want) {
		return false
	}
	r.first = true
	return true
}

// next stands before a member or element, or passes over the end of the object or array and returns false.
func (r *JSONReader) next(end byte) bool {
	first := r.first
	r.first = false
	switch c := r.peek(); {
	case r.err != nil:
		return false
	case c == end:
		r.pos++
		return false
	case first:
		return true
	case c != ',':
		r.syntax("want a comma or " + string(rune(end)))
		return false
	}
	r.pos++
	if r.peek() == end {
		r.syntax("comma before " + string(rune(end)))
	}
	return r.err == nil
}

// null passes over null.
func (r *JSONReader) null() bool {
	if r.peek() != 'n' {
		return false
	}
	r.word("null")
	return true
}

func (r *JSONReader) expect(c byte, want string) bool {
	if r.peek() != c {
		if r.err == nil {
			r.Fail(want)
		}
		return false
	}
	r.pos++
	return true
}

func (r *JSONReader) word(w string) {
	if !strings.HasPrefix(r.text[r.pos:], w) {
		r.syntax("want a value")
		return
	}
	r.pos += len(w)
}

// Bool reads true or false.
func (r *JSONReader) Bool() bool {
	switch r.peek() {
	case 't':
		r.word("true")
		return r.err == nil
	case 'f':
		r.word("false")
		return false
	}
	if !r.null() {
		r.Fail("want true or false")
	}
	return false
}

// Uint reads a whole number of at most limit.
func (r *JSONReader) Uint(limit uint64) uint64 {
	if r.null() || r.err != nil {
		return 0
	}
	start := r.pos
	r.number()
	if r.err != nil {
		return 0
	}
	v, err := strconv.ParseUint(r.text[start:r.pos], 10, 64)
	if err != nil || v > limit {
		r.pos = start
		r.Fail("want a whole number from 0 to " + strconv.FormatUint(limit, 10))
		return 0
	}
	return v
}

// Int reads a whole number.
func (r *JSONReader) Int() int64 {
	if r.peek() != '-' {
		return int64(r.Uint(math.MaxInt64))
	}
	start := r.pos
	r.number()
	if r.err != nil {
		return 0
	}
	v, err := strconv.ParseInt(r.text[start:r.pos], 10, 64)
	if err != nil {
		r.pos = start
		r.Fail("want a whole number of 64 bits")
	}
	return v
}

// number passes over a number, RFC 8259 §6.
func (r *JSONReader) number() {
	start := r.pos
	if r.at('-') {
		r.pos++
	}
	if r.at('0') {
		r.pos++
	} else if r.digits() == 0 {
		r.pos = start
		r.Fail("want a number")
		return
	}
	if r.at('.') {
		r.pos++
		if r.digits() == 0 {
			r.syntax("number without digits after the point")
		}
	}
	if r.at('e') || r.at('E') {
		r.pos++
		if r.at('+') || r.at('-') {
			r.pos++
		}
		if r.digits() == 0 {
			r.syntax("number without digits in the exponent")
		}
	}
}

func (r *JSONReader) at(c byte) bool { return r.pos < len(r.text) && r.text[r.pos] == c }

func (r *JSONReader) digits() (n int) {
	for ; r.pos < len(r.text) && '0' <= r.text[r.pos] && r.text[r.pos] <= '9'; r.pos++ {
		n++
	}
	return n
}

// Raw returns the text of one value of any type.
func (r *JSONReader) Raw() string {
	r.peek()
	start := r.pos
	if r.Skip(); r.err != nil {
		return ""
	}
	return r.text[start:r.pos]
}

// Skip passes over one value of any type.
func (r *JSONReader) Skip() { r.skip(0) }

func (r *JSONReader) skip(depth int) {
	if depth > jsonDepthMax {
		r.syntax("nested too deep")
		return
	}
	switch c := r.peek(); c {
	case '{':
		r.pos++
		for r.first = true; r.next('}'); r.skip(depth + 1) {
			r.name()
		}
	case '[':
		r.pos++
		for r.first = true; r.next(']'); {
			r.skip(depth + 1)
		}
	case '"':
		r.quoted()
	case 't':
		r.word("true")
	case 'f':
		r.word("false")
	case 'n':
		r.word("null")
	default:
		if c != '-' && (c < '0' || c > '9') {
			r.syntax("want a value")
			return
		}
		r.number()
	}
}
