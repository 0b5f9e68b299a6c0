package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// contract is openapi.yaml as tests read it: what a request may be answered.
type contract struct {
	root     map[string]any
	mux      *http.ServeMux // finds the path of a request
	compiler *jsonschema.Compiler

	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema // by place in the document
}

const contractURL = "https://example.com/openapi.json"

var contractOnce = sync.OnceValue(func() *contract {
	c := &contract{mux: http.NewServeMux(), compiler: jsonschema.NewCompiler(), schemas: make(map[string]*jsonschema.Schema)}
	c.compiler.AssertFormat()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(publishedOnce().json))
	if err != nil {
		panic(err)
	}
	c.root, _ = doc.(map[string]any)
	strict(c.root)
	if err := c.compiler.AddResource(contractURL, c.root); err != nil {
		panic(err)
	}
	for path := range at[map[string]any](c.root, "paths") {
		c.mux.Handle(path, http.NotFoundHandler())
	}
	return c
})

// strict allows no members that the document does not name. Readers must: members may be added. Tests must not, or what
// is added stays unsaid.
func strict(v any) {
	switch v := v.(type) {
	case map[string]any:
		_, named := v["properties"].(map[string]any)
		if _, said := v["additionalProperties"]; named && !said && v["type"] != nil {
			v["additionalProperties"] = false
		}
		for _, e := range v {
			strict(e)
		}
	case []any:
		for _, e := range v {
			strict(e)
		}
	}
}

// at follows names through objects; the zero value if it does not get there.
func at[T any](v any, names ...string) (found T) {
	for _, name := range names {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	found, _ = v.(T)
	return found
}

// operation returns what the document says of a request, and its place.
func (c *contract) operation(method, path string) (op map[string]any, place []string) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	path, _, _ = strings.Cut(path, "?")
	r, err := http.NewRequest(method, "http://localhost/", nil)
	if err != nil {
		return nil, nil
	}
	if r.URL, err = r.URL.Parse(path); err != nil {
		return nil, nil
	}
	_, pattern := c.mux.Handler(r)
	place = []string{"paths", pattern, strings.ToLower(method)}
	return at[map[string]any](c.root, place...), place
}

// follow goes on to what a place refers to.
func (c *contract) follow(place []string) []string {
	ref := at[string](at[map[string]any](c.root, place...), "$ref")
	if ref == "" {
		return place
	}
	return strings.Split(strings.TrimPrefix(ref, "#/"), "/")
}

// followed is an object of the document, or that to which it refers.
func (c *contract) followed(v any) map[string]any {
	o, _ := v.(map[string]any)
	if ref := at[string](o, "$ref"); ref != "" {
		return at[map[string]any](c.root, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
	return o
}

// validate checks a JSON text against the schema at a place.
func (c *contract) validate(place []string, text []byte) error {
	var b strings.Builder
	b.WriteString(contractURL + "#")
	for _, name := range place {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(name))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.schemas[b.String()]
	if s == nil {
		var err error
		if s, err = c.compiler.Compile(b.String()); err != nil {
			return err
		}
		c.schemas[b.String()] = s
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// checkedLines is how many lines of an answer are checked.
const checkedLines = 100

// check says in what an answer is not as the document says. Paths that it does not have are between nodes, or none.
func (c *contract) check(method, path string, status int, header http.Header, body []byte) error {
	op, place := c.operation(method, path)
	if op == nil {
		return nil
	}
	place = c.follow(append(place, "responses", strconv.Itoa(status)))
	response := at[map[string]any](c.root, place...)
	if response == nil {
		return fmt.Errorf("status %d is not documented", status)
	}
	if header.Get(headerNext) != "" && at[any](response, "headers", headerNext) == nil {
		return fmt.Errorf("the header %s is not documented", headerNext)
	}
	if method == http.MethodHead {
		return nil
	}
	mediaType, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	content := at[map[string]any](response, "content")
	if content[mediaType] == nil {
		return fmt.Errorf("status %d: the type %q is not documented, but %v (%w)", status, header.Get("Content-Type"), slices.Sorted(maps.Keys(content)), err)
	}
	place = append(place, "content", mediaType)
	switch {
	case mediaType == linesType:
		place = append(place, "x-itemSchema")
		n := 0
		for line := range bytes.Lines(body) {
			if err := c.validate(place, line); err != nil {
				return fmt.Errorf("%w: %s", err, line)
			}
			if n++; n == checkedLines {
				break
			}
		}
		return nil
	case !strings.HasSuffix(mediaType, "json"):
		return nil
	}
	if err := c.validate(append(place, "schema"), body); err != nil {
		return fmt.Errorf("%w: %s", err, body)
	}
	if mediaType != problemMediaType {
		return nil
	}
	var p problem
	if err := json.Unmarshal(body, &p); err != nil {
		return err
	}
	if types := at[[]any](response, "x-problems"); !slices.Contains(types, any(strings.TrimPrefix(p.Type, problemType))) {
		return fmt.Errorf("status %d: the problem %s is not documented, but %v", status, p.Type, types)
	}
	return nil
}

// contractCheck fails the test where an answer is not as the document says.
func contractCheck(t testing.TB, method, path string, status int, header http.Header, body []byte) {
	t.Helper()
	if err := contractOnce().check(method, path, status, header, body); err != nil {
		t.Errorf("openapi.yaml: %s %.200s: %.3000v", method, path, err)
	}
}
