package result

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// kinds are the commands of carom bench whose results these are. Others' have forms of their own.
var kinds = []string{"http", "smtp", "api"}

// kindsText is that in words.
var kindsText = strings.Join(kinds[:len(kinds)-1], ", ") + " or " + kinds[len(kinds)-1]

// maxFile bounds what is read: a day of seconds takes some 20 MB.
const maxFile = 64 << 20

// Write writes the JSON form, one line. It refuses figures that are none.
func (r *Result) Write(w io.Writer) error {
	out := *r
	out.Format = Format
	if err := out.check(); err != nil {
		return fmt.Errorf("write result %q: %w", clip(r.Name), err)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(&out); err != nil {
		return fmt.Errorf("write result %q: %w", clip(r.Name), err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// Read reads the JSON form of one result. What it returns is bounded: every figure is finite and not negative, every
// list and text has a length that a page can show. Text may still be anything.
func Read(in io.Reader) (*Result, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("larger than %d MB", maxFile>>20)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, errors.New("empty: a result is what carom bench writes with --json")
	}
	if err := bounded(data); err != nil {
		return nil, err
	}
	var head struct {
		Format *int   `json:"format"`
		Kind   string `json:"kind"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, explain(data, err)
	}
	switch {
	case head.Format == nil:
		return nil, fmt.Errorf("no result of carom bench %s: it has no \"format\"", kindsText)
	case head.Kind != "" && !slices.Contains(kinds, head.Kind):
		return nil, fmt.Errorf("a result of carom bench %s: only those of carom bench %s are read here", clip(head.Kind), kindsText)
	case *head.Format < 1:
		return nil, fmt.Errorf("format %d is none", *head.Format)
	case *head.Format > Format:
		return nil, fmt.Errorf("format %d is newer than %d, the latest that this carom reads: take a newer carom", *head.Format, Format)
	}
	r := new(Result)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, explain(data, err)
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return r, nil
}

// ReadFile reads a file that --json has written.
func ReadFile(path string) (*Result, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// maxDepth is far beyond the depth of a result.
const maxDepth = 32

// bounded refuses lists that would take many times the memory of their text, before they take it: two bytes of JSON are a
// Point of a hundred. Whether it is JSON at all is for others to say.
func bounded(data []byte) error {
	var lengths [maxDepth]int
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
			if c == '\\' {
				i++
			}
		case c == '[' || c == '{':
			if depth++; depth == maxDepth {
				return fmt.Errorf("no result of carom bench: %d levels deep at byte %d", depth, i)
			}
			lengths[depth] = 0
		case (c == ']' || c == '}') && depth > 0:
			depth--
		case c == ',':
			if lengths[depth]++; lengths[depth] >= maxPoints {
				return fmt.Errorf("a list of more than %d at byte %d", maxPoints, i)
			}
		}
	}
	return nil
}

// explain says where a text is no JSON form of a result.
func explain(data []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax) && int(syntax.Offset) >= len(bytes.TrimSpace(data)):
		return fmt.Errorf("cut short: the text ends within a value, after %d bytes", len(data))
	case errors.As(err, &syntax):
		return fmt.Errorf("no JSON at byte %d: %w", syntax.Offset, err)
	case errors.As(err, &kind) && kind.Field == "":
		return fmt.Errorf("no result of carom bench: a JSON %s, not an object", clip(kind.Value))
	case errors.As(err, &kind):
		return fmt.Errorf("%s: a JSON %s where a %s belongs, at byte %d", clip(kind.Field), clip(kind.Value), kind.Type, kind.Offset)
	}
	return err
}
