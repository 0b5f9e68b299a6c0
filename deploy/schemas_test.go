package deploy_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"carom/pipeline/event"
)

// schema compiles one of the published schemas. Formats are asserted, so that the schemas hold for those who do.
func schema(t testing.TB, name string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.AssertContent()
	s, err := c.Compile(filepath.Join("schemas", name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// document reads a file as plain JSON values.
func document(t testing.TB, file string) map[string]any {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m, ok := parse(t, b).(map[string]any)
	if !ok {
		t.Fatalf("%s is no object", file)
	}
	return m
}

func parse(t testing.TB, b []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return v
}

func schemaNames(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("schemas/*.schema.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v: %v", files, err)
	}
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	return files
}

// Each schema is one of its draft, and its examples are valid.
func TestSchemaExamples(t *testing.T) {
	for _, name := range schemaNames(t) {
		s := schema(t, name)
		doc := document(t, filepath.Join("schemas", name))
		if doc["$schema"] != "https://json-schema.org/draft/2020-12/schema" {
			t.Errorf("%s: $schema is %v", name, doc["$schema"])
		}
		examples, _ := doc["examples"].([]any)
		if len(examples) == 0 {
			t.Errorf("%s has no examples", name)
		}
		for _, example := range examples {
			if err := s.Validate(example); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// The examples of the event are what the code writes of what it reads there.
func TestEventExamplesAreOurs(t *testing.T) {
	for _, example := range document(t, "schemas/event.schema.json")["examples"].([]any) {
		b, err := json.Marshal(example)
		if err != nil {
			t.Fatal(err)
		}
		var e event.Refined
		if err := e.DecodeJSON(b); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(parse(t, e.AppendJSON(nil)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b, again) {
			t.Errorf("got  %s\nwant %s", again, b)
		}
	}
}

// The example of the design, with an id in place of its dots.
func TestDesignExample(t *testing.T) {
	const example = `{"id":"aebagaaaaaaaaaaaaaaaaaaaaa","revision":0,"kind":"click","time":"2026-11-21T17:45:03.120Z",
 "account":"acme","sender":"alice","sequence":"q4","contact":"c-9812","message":"m-77123","first":true,
 "link":{"index":2,"url":"https://example.com/a"},
 "actor":{"verdict":"human","reasons":[],"via":"gmail"},
 "client":{"ip":"203.0.113.0","user_agent":"…"},
 "origin":{"node":"edge-1","partition":3,"offset":12345,"n":0}}`
	const bounce = `"bounce":{"hard":true,"category":"invalid_recipient","status":"5.1.1","reply_code":"550","action":"failed","recipient":"bob@example.com","remote_mta":"…","diagnostic":"…","provider":"google"}`
	s := schema(t, "event.schema.json")
	for _, text := range []string{
		example,
		strings.Replace(strings.Replace(example, `"click"`, `"bounce"`, 1), `"origin"`, bounce+`,"origin"`, 1),
		strings.Replace(strings.Replace(example, `"click"`, `"open"`, 1), `"origin"`, `"inferred":true,"origin"`, 1),
	} {
		if err := s.Validate(parse(t, []byte(text))); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
}

func TestEventSchema(t *testing.T) {
	r := newRandom(t)
	s := schema(t, "event.schema.json")
	seen := map[string]bool{}
	for range 200 {
		for _, kind := range kinds() {
			e := refined(r, kind)
			b := e.AppendJSON(nil)
			if err := s.Validate(parse(t, b)); err != nil {
				t.Fatalf("%v\n%s", err, b)
			}
			members(parse(t, b), "", seen)
		}
	}
	described := map[string]bool{}
	properties(document(t, "schemas/event.schema.json"), "", described)
	if !maps.Equal(seen, described) {
		t.Errorf("the code writes the members\n%v\nthe schema describes\n%v", slices.Sorted(maps.Keys(seen)), slices.Sorted(maps.Keys(described)))
	}
}

func TestRejectSchema(t *testing.T) {
	r := newRandom(t)
	s := schema(t, "reject.schema.json")
	seen := map[string]bool{}
	for range 200 {
		for _, reason := range rejectReasons(t) {
			b, err := json.Marshal(reject(r, reason))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Validate(parse(t, b)); err != nil {
				t.Fatalf("%v\n%s", err, b)
			}
			members(parse(t, b), "", seen)
		}
	}
	described := map[string]bool{}
	properties(document(t, "schemas/reject.schema.json"), "", described)
	if !maps.Equal(seen, described) {
		t.Errorf("the code writes the members\n%v\nthe schema describes\n%v", slices.Sorted(maps.Keys(seen)), slices.Sorted(maps.Keys(described)))
	}
}

// members collects the paths of all members of objects.
func members(v any, at string, seen map[string]bool) {
	object, _ := v.(map[string]any)
	for name, value := range object {
		seen[at+name] = true
		members(value, at+name+".", seen)
	}
}

// properties collects the paths that a schema describes.
func properties(schema map[string]any, at string, seen map[string]bool) {
	object, _ := schema["properties"].(map[string]any)
	for name, value := range object {
		seen[at+name] = true
		if sub, ok := value.(map[string]any); ok {
			properties(sub, at+name+".", seen)
		}
	}
}

// The words that a schema lists are those of the code, no more and no fewer.
func TestSchemaWords(t *testing.T) {
	var kindNames, verdictNames []string
	for _, k := range kinds() {
		kindNames = append(kindNames, k.String())
	}
	for _, v := range verdicts() {
		verdictNames = append(verdictNames, v.String())
	}
	for _, test := range []struct {
		file, def string
		want      []string
	}{
		{"event.schema.json", "kind", kindNames},
		{"event.schema.json", "verdict", verdictNames},
		{"event.schema.json", "category", reportCategories(t)},
		{"reject.schema.json", "reason", rejectReasons(t)},
	} {
		defs := document(t, filepath.Join("schemas", test.file))["$defs"].(map[string]any)
		var got []string
		for _, word := range defs[test.def].(map[string]any)["enum"].([]any) {
			got = append(got, word.(string))
		}
		slices.Sort(got)
		slices.Sort(test.want)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s, %s: has %v, the code has %v", test.file, test.def, got, test.want)
		}
	}
	sorted := slices.Clone(categories)
	slices.Sort(sorted)
	if !slices.Equal(sorted, reportCategories(t)) {
		t.Error("the categories of the random events are not those of edge/report")
	}
}

// source parses one of our files, for the constants that no package tells.
func source(t testing.TB, file string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", filepath.FromSlash(file)), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// constants returns the literal constants whose name begins with prefix, and the rest of the name.
func constants(t testing.TB, file, prefix string) map[string]string {
	t.Helper()
	found := map[string]string{}
	ast.Inspect(source(t, file), func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Names) != len(spec.Values) {
			return true
		}
		for i, name := range spec.Names {
			rest, ok := strings.CutPrefix(name.Name, prefix)
			if literal, isLiteral := spec.Values[i].(*ast.BasicLit); ok && isLiteral {
				found[rest] = literal.Value
			}
		}
		return true
	})
	if len(found) == 0 {
		t.Fatalf("%s has no constants %s...", file, prefix)
	}
	return found
}

func rejectReasons(t testing.TB) (list []string) {
	t.Helper()
	for _, literal := range constants(t, "pipeline/refine/reject.go", "reject") {
		word, err := strconv.Unquote(literal)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, word)
	}
	slices.Sort(list)
	return list
}

// reportCategories reads the list of edge/report: the longest text in its table of categories.
func reportCategories(t testing.TB) (list []string) {
	t.Helper()
	ast.Inspect(source(t, "edge/report/tables.go"), func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != "categories" {
			return true
		}
		ast.Inspect(spec, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				if text, err := strconv.Unquote(literal.Value); err == nil {
					list = append(list, strings.Fields(text)...)
				}
			}
			return true
		})
		return false
	})
	if len(list) == 0 {
		t.Fatal("edge/report/tables.go has no categories")
	}
	slices.Sort(list)
	return list
}

// What a reader must take, and what it must refuse: each change is made to the schema's first examples.
func TestSchemasRefuse(t *testing.T) {
	for _, test := range []struct {
		schema  string
		example int
		path    string
		value   any // absent: taken away
		ok      bool
	}{
		{"event.schema.json", 0, "added_later", map[string]any{"a": 1}, true},
		{"event.schema.json", 0, "link.added_later", "x", true},
		{"event.schema.json", 0, "actor.reasons", []any{"a_new_reason"}, true},
		{"event.schema.json", 1, "kind", "a_new_kind", true},
		{"event.schema.json", 1, "bounce.category", "a_new_category", true},
		{"event.schema.json", 0, "id", absent, false},
		{"event.schema.json", 0, "id", "aebagaaaaaaaaaaaaaaaaaaaab", false},
		{"event.schema.json", 0, "id", "AEBAGAAAAAAAAAAAAAAAAAAAAA", false},
		{"event.schema.json", 0, "id", 7, false},
		{"event.schema.json", 0, "revision", absent, false},
		{"event.schema.json", 0, "revision", -1, false},
		{"event.schema.json", 0, "revision", 1.5, false},
		{"event.schema.json", 0, "kind", absent, false},
		{"event.schema.json", 0, "kind", "", false},
		{"event.schema.json", 0, "kind", "Click", false},
		{"event.schema.json", 0, "time", 1795283103120, false},
		{"event.schema.json", 0, "time", "2026-11-21T17:45:03Z", false},
		{"event.schema.json", 0, "time", "2026-13-21T17:45:03.120Z", false},
		{"event.schema.json", 0, "account", nil, false},
		{"event.schema.json", 0, "sender", absent, false},
		{"event.schema.json", 0, "first", "true", false},
		{"event.schema.json", 0, "inferred", false, false},
		{"event.schema.json", 0, "link", absent, false},
		{"event.schema.json", 0, "link.index", "2", false},
		{"event.schema.json", 0, "actor", absent, false},
		{"event.schema.json", 0, "actor.verdict", "robot", false},
		{"event.schema.json", 0, "actor.reasons", absent, false},
		{"event.schema.json", 0, "client.ip", "203.0.113", false},
		{"event.schema.json", 1, "bounce.hard", absent, false},
		{"event.schema.json", 1, "bounce.reply_code", 550, false},
		{"event.schema.json", 0, "origin", absent, false},
		{"event.schema.json", 0, "origin.offset", absent, false},
		{"event.schema.json", 0, "origin.partition", -1, false},
		{"reject.schema.json", 0, "added_later", 1, true},
		{"reject.schema.json", 0, "reason", "a_new_reason", true},
		{"reject.schema.json", 0, "bytes", nil, true},
		{"reject.schema.json", 0, "bytes", absent, false},
		{"reject.schema.json", 0, "bytes", "A", false},
		{"reject.schema.json", 0, "reason", absent, false},
		{"reject.schema.json", 0, "incarnation", "ab", false},
		{"reject.schema.json", 0, "time", "2026-11-21T17:45:03.120Z", false},
		{"reject.schema.json", 0, "origin.n", absent, false},
	} {
		example := document(t, filepath.Join("schemas", test.schema))["examples"].([]any)[test.example].(map[string]any)
		change(t, example, test.path, test.value)
		switch err := schema(t, test.schema).Validate(example); {
		case test.ok && err != nil:
			t.Errorf("%s: %s = %v: %v", test.schema, test.path, test.value, err)
		case !test.ok && err == nil:
			t.Errorf("%s: %s = %v is taken", test.schema, test.path, test.value)
		}
	}
}

type nothing struct{}

var absent nothing

func change(t *testing.T, object map[string]any, path string, value any) {
	t.Helper()
	at, name, nested := strings.Cut(path, ".")
	if nested {
		change(t, object[at].(map[string]any), name, value)
		return
	}
	if value != absent {
		object[path] = value
		return
	}
	if _, ok := object[path]; !ok {
		t.Fatalf("the example has no %s", path)
	}
	delete(object, path)
}
