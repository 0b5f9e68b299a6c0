package deploy_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"carom/pipeline/event"
	"carom/pipeline/score"
	"carom/pipeline/suppress"
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

// holds checks that random records are valid, and that they have the members that the schema describes and no others.
func holds(t *testing.T, name string, records func(r *rand.Rand) [][]byte) {
	t.Helper()
	r := newRandom(t)
	var all [][]byte
	for range 200 {
		all = append(all, records(r)...)
	}
	holdsOf(t, name, all)
}

// holdsOf is holds of these records, but for what lies in some members: those that the schema leaves open, or describes
// elsewhere.
func holdsOf(t *testing.T, name string, records [][]byte, open ...string) {
	t.Helper()
	s := schema(t, name)
	seen, described := map[string]bool{}, map[string]bool{}
	for _, b := range records {
		v := parse(t, b)
		if err := s.Validate(v); err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		members(v, "", seen)
	}
	properties(s, "", described)
	for _, paths := range []map[string]bool{seen, described} {
		maps.DeleteFunc(paths, func(path string, _ bool) bool {
			return slices.ContainsFunc(open, func(o string) bool { return strings.HasPrefix(path, o+".") })
		})
	}
	if !maps.Equal(seen, described) {
		t.Errorf("the code writes the members\n%v\n%s describes\n%v", slices.Sorted(maps.Keys(seen)), name, slices.Sorted(maps.Keys(described)))
	}
}

func TestEventSchema(t *testing.T) {
	holds(t, "event.schema.json", func(r *rand.Rand) (list [][]byte) {
		for _, kind := range kinds() {
			e := refined(r, kind)
			list = append(list, e.AppendJSON(nil))
		}
		return list
	})
}

func TestAddressSchema(t *testing.T) {
	holds(t, "address.schema.json", func(r *rand.Rand) (list [][]byte) {
		for _, kind := range addressFactKinds() {
			f := address(r, kind)
			list = append(list, f.AppendJSON(nil))
		}
		return list
	})
}

func TestRejectSchema(t *testing.T) {
	holds(t, "reject.schema.json", func(r *rand.Rand) (list [][]byte) {
		for _, reason := range rejectReasons(t) {
			list = append(list, encoded(t, reject(r, reason)))
		}
		return list
	})
}

func TestScoreSchema(t *testing.T) {
	scorer, err := score.New(score.Default())
	if err != nil {
		t.Fatal(err)
	}
	holds(t, "score.schema.json", func(r *rand.Rand) [][]byte { return [][]byte{encoded(t, scores(r, scorer))} })
}

func words[T ~string](list []T) (words []string) {
	for _, w := range list {
		words = append(words, string(w))
	}
	return words
}

func encoded(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
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
func properties(s *jsonschema.Schema, at string, seen map[string]bool) {
	for ; s.Ref != nil; s = s.Ref {
		for name := range s.Properties {
			seen[at+name] = true
		}
	}
	for _, sub := range s.OneOf {
		properties(sub, at, seen)
	}
	for name, sub := range s.Properties {
		seen[at+name] = true
		properties(sub, at+name+".", seen)
	}
	if each, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
		for _, name := range []string{"24h", "7d", "30d"} { // of scores
			seen[at+name] = true
			properties(each, at+name+".", seen)
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
		{"event.schema.json", "alert_rule", alertRules},
		{"suppression.schema.json", "reason", words(suppress.Reasons())},
		{"suppression.schema.json", "op", []string{suppress.OpAdd, suppress.OpRemove, suppress.OpReactivate, suppress.OpLift, suppress.OpRevert, suppress.OpConfirm}},
		{"reject.schema.json", "reason", rejectReasons(t)},
		{"address.schema.json", "kind", addressKinds(t)},
		{"score.schema.json", "band", []string{string(score.Poor), string(score.Fair), string(score.Good), string(score.Excellent)}},
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

// addressKinds reads the list of pipeline/refine.
func addressKinds(t testing.TB) (list []string) {
	t.Helper()
	ast.Inspect(source(t, "pipeline/refine/address.go"), func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != "addressKinds" {
			return true
		}
		for _, kind := range spec.Values[0].(*ast.CompositeLit).Elts {
			list = append(list, strings.ToLower(kind.(*ast.SelectorExpr).Sel.Name))
		}
		return false
	})
	if len(list) == 0 {
		t.Fatal("pipeline/refine/address.go has no addressKinds")
	}
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
		{"address.schema.json", 0, "added_later", 1, true},
		{"address.schema.json", 0, "bounce.category", "a_new_category", true},
		{"address.schema.json", 0, "recipient", absent, true},
		{"address.schema.json", 0, "id", absent, false},
		{"address.schema.json", 0, "id", "x", false},
		{"address.schema.json", 0, "bounce", absent, false},
		{"address.schema.json", 0, "bounce.hard", "yes", false},
		{"address.schema.json", 0, "alive_at", 0, false},
		{"address.schema.json", 0, "origin.n", absent, false},
		{"score.schema.json", 0, "added_later", 1, true},
		{"score.schema.json", 0, "windows.24h", absent, false},
		{"score.schema.json", 0, "windows.90d", map[string]any{}, false},
		{"score.schema.json", 0, "windows.7d.completed", -1, false},
		{"score.schema.json", 0, "windows.7d.bounce_rate.value", 1.5, false},
		{"score.schema.json", 0, "windows.7d.score.band", "superb", false},
		{"score.schema.json", 0, "windows.7d.score.bands", []any{}, false},
		{"score.schema.json", 0, "as_of", absent, false},
		{"event.schema.json", 2, "alert.added_later", 1, true},
		{"event.schema.json", 2, "alert.rule", "a_new_rule", true},
		{"event.schema.json", 2, "alert", absent, false},
		{"event.schema.json", 2, "alert.rule", absent, false},
		{"event.schema.json", 2, "alert.level", absent, false},
		{"event.schema.json", 2, "alert.of", "100", false},
		{"event.schema.json", 2, "alert.as_of", "2026-11-21", false},
		{"suppression.schema.json", 0, "added_later", 1, true},
		{"suppression.schema.json", 0, "type", "a_new_type", true},
		{"suppression.schema.json", 0, "ended_by", "a_new_end", true},
		{"suppression.schema.json", 0, "type", absent, false},
		{"suppression.schema.json", 0, "address", absent, false},
		{"suppression.schema.json", 0, "hash", "x", false}, // beside an address
		{"suppression.schema.json", 0, "reason", "boredom", false},
		{"suppression.schema.json", 0, "active", absent, false},
		{"suppression.schema.json", 0, "since", nil, false},
		{"suppression.schema.json", 0, "evidence.event", "x", false},
		{"suppression.schema.json", 1, "order", absent, false},
		{"suppression.schema.json", 1, "order.op", "a_new_order", true},
		{"suppression.schema.json", 1, "ok", "false", false},
		{"suppression.schema.json", 2, "contacts", absent, false},
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
