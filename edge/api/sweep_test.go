package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// goodBodies are what each operation with a body takes, but for what stands in the path.
var goodBodies = map[string]string{
	"registerMessages":  `{"account":"default","sender":"alice","message":"m-1"}`,
	"tellEvents":        `{"account":"default","kind":"unsubscribe","message":"m-1"}`,
	"markSelf":          `{}`,
	"putAddresses":      `{"addresses":["203.0.113.7"]}`,
	"denyContacts":      `{"account":"default","contact":"c-1"}`,
	"replayRejects":     `{}`,
	"addSuppressions":   `{"account":"default","address":"bob@example.com"}`,
	"checkSuppressions": `{"account":"default","address":"bob@example.com"}`,
	"putSuppression":    `{"account":"default"}`,
	"reactivate":        `{"account":"default"}`,
	"lift":              `{}`,
	"revertWave":        `{"account":"default","provider":"google","from":"2020-12-14T20:00:00Z","to":"2020-12-16T00:00:00Z"}`,
	"putWebhook":        `{"url":"https://hooks.example.com/carom"}`,
	"resumeWebhook":     `{}`,
	"confirmWave":       `{"account":"default","provider":"google","from":"2020-12-14T20:00:00Z","to":"2020-12-16T00:00:00Z"}`,
}

// sweep asks every operation of openapi.yaml for what is wrong in each of its places.
type sweep struct {
	*testing.T
	w       *world
	secrets map[string]string

	rt     route
	e      endpoint
	method string
	path   string // with its places filled
	op     map[string]any
	body   string // that it takes; empty if none
}

// Every endpoint with a wrong token, a wrong account, unknown and doubled parameters, wrong types, huge values, broken and
// foreign bodies: a problem that names the field. What is answered is held against openapi.yaml besides, as in all tests.
func TestSweep(t *testing.T) {
	w, _, secrets := tokenWorld(t, nil)
	for _, rt := range documented(w.server) {
		otherMethods(t, w, rt, secrets["root"])
		for method, e := range rt.methods() {
			s := &sweep{T: t, w: w, secrets: secrets, rt: rt, e: e, method: strings.ToUpper(method), path: filled(rt.pattern)}
			s.op, _ = contractOnce().operation(s.method, s.path)
			if s.op == nil {
				continue // which TestOpenAPIHasTheRoutes tells
			}
			s.body = goodBodies[at[string](s.op, "operationId")]
			if (s.op["requestBody"] != nil) != (s.body != "") {
				t.Errorf("%s %s: want what it takes in goodBodies, if it takes anything", s.method, rt.pattern)
				continue
			}
			if rt.open {
				continue
			}
			s.tokens()
			s.accounts()
			s.parameters()
			s.places()
			switch {
			case s.body != "":
				s.bodies()
			case s.method != "GET":
				s.noBodies()
			}
		}
	}
}

// otherMethods asks a path for what it does not do: it says what it does.
func otherMethods(t *testing.T, w *world, rt route, secret string) {
	var allow []string
	for _, name := range []string{"get", "post", "put", "delete"} {
		if _, ok := rt.methods()[name]; ok {
			allow = append(allow, strings.ToUpper(name))
		}
	}
	if rt.get.do != nil {
		allow = slices.Insert(allow, 1, "HEAD")
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO"} {
		if slices.Contains(allow, method) {
			continue
		}
		a := w.do(method, filled(rt.pattern), "{}", bearer(secret)...)
		if p := a.problem(t, 405); p.Type != problemType+"method" || a.Header.Get("Allow") != strings.Join(allow, ", ") {
			t.Errorf("%s %s: %s, Allow: %s, want %v", method, rt.pattern, a.body, a.Header.Get("Allow"), allow)
		}
	}
}

// want checks that an answer is a problem that names a field, in one of its members perhaps.
func (s *sweep) want(a answer, status int, field, with string) {
	s.Helper()
	var p problem
	if a.StatusCode != status || json.Unmarshal(a.body, &p) != nil || p.Field != field && !strings.HasPrefix(p.Field, field+"[") && !strings.HasPrefix(p.Field, field+".") {
		s.Errorf("%s %.200s with %s: %d %.300s, want %d and the field %s", s.method, s.path, with, a.StatusCode, a.body, status, field)
	}
}

func (s *sweep) ask(token, path, body string) answer {
	header := []string{"Content-Type", jsonType}
	if token != "" {
		header = append(header, bearer(s.secrets[token])...)
	}
	return s.w.do(s.method, path, body, header...)
}

func (s *sweep) tokens() {
	s.want(s.ask("", s.path, s.body), 401, "Authorization", "no token")
	for _, value := range []string{"Bearer x", "Bearer " + long(5000), "Basic YTpi", "Bearer", s.secrets["root"]} {
		s.want(s.w.do(s.method, s.path, s.body, "Authorization", value), 401, "Authorization", value)
	}
	lacking := map[Scope]string{ScopeRead: "writer", ScopeWrite: "reader", ScopeAdmin: "both"}[s.e.scope]
	s.want(s.ask(lacking, s.path, s.body), 403, "Authorization", "a token without the scope")
}

// accounts asks with a token of another account than is asked about.
func (s *sweep) accounts() {
	field := "account"
	if s.e.accounts == ofAll {
		field = "Authorization"
	}
	s.want(s.ask("nobody", s.path, s.body), 403, field, "a token of another account")
	if s.e.accounts == inQuery || s.e.accounts == inFilter {
		s.want(s.ask("nobody", s.path+"?account=acme", s.body), 403, field, "the account acme")
	}
	if s.e.accounts != inBody {
		return
	}
	without := s.object()
	delete(without, "account")
	s.refused("nobody", without, 403, "account", "no account, which is the default one or all")
	if lines := at[any](s.op, "requestBody", "content", linesType); lines != nil {
		a := s.w.do(s.method, s.path, s.body+"\n\n"+s.body+"\n", append(bearer(s.secrets["nobody"]), "Content-Type", linesType)...)
		for i, line := range a.lines(s.T)[:2] {
			if line["status"] != 403.0 || line["field"] != "account" || line["line"] != float64(1+2*i) {
				s.Errorf("%s %s: line of another account: %v", s.method, s.path, line)
			}
		}
	}
}

// parameters asks with those that it does not know, with doubled ones, and with values that none can have.
func (s *sweep) parameters() {
	if s.rt.pattern == "/metrics" { // which takes any, and needs none
		return
	}
	s.want(s.ask("root", s.path+"?acount=acme", s.body), 400, "acount", "an unknown parameter")
	s.want(s.ask("root", s.path+"?"+url.QueryEscape(long(3000))+"=1", s.body), 400, quoteName(long(3000)), "an unknown parameter of 3000 bytes")
	for _, name := range parametersOf(s.op, "query") {
		if name == "max_behind" { // of the tail, whose answer has no end
			continue
		}
		s.want(s.ask("root", s.path+"?"+name+"=1&"+name+"=1", s.body), 400, name, name+" twice")
		for _, value := range append([]string{"%00" + long(20), long(6000), "%FF%FE" + long(600), "[]" + long(1200), "a%0D%0AX-Injected:1"}, wrongTexts(s.schemaOf(name))...) {
			s.want(s.ask("root", s.path+"?"+name+"="+value, s.body), 400, name, fmt.Sprintf("%s=%.20s", name, value))
		}
	}
	for _, query := range []string{"a=%zz", "account=acme;limit=1", "%"} {
		if p := s.ask("root", s.path+"?"+query, s.body).problem(s.T, 400); p.Type != problemType+"bad-parameter" {
			s.Errorf("%s %s?%s: %+v", s.method, s.path, query, p)
		}
	}
}

// wrongTexts are values of a query that a schema does not allow.
func wrongTexts(schema map[string]any) []string {
	switch {
	case schema["type"] == "integer":
		return []string{"-1", "0", "1.5", "1e3", "0x10", "NaN", "Infinity", "99999999999999999999999999", "%201", "٣"}
	case schema["type"] == "boolean":
		return []string{"TRUE", "1", "yes", "0"}
	case schema["format"] == "date-time":
		return []string{
			"now", "2026-11-21", "2026-11-21T17:45:03", "2026-11-21T17:45:03+01:00", "2026-11-21T17:45:03,5Z", "2026-11-21T25:00:00Z", "1795281903",
			"0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "99999-01-01T00:00:00Z",
		}
	case schema["enum"] != nil:
		return []string{"nonsense", "*", "%20"}
	}
	return nil
}

// schemaOf is that of a parameter of the query.
func (s *sweep) schemaOf(name string) map[string]any {
	for _, p := range at[[]any](s.op, "parameters") {
		if p := contractOnce().followed(p); p["name"] == name {
			return contractOnce().followed(p["schema"])
		}
	}
	return nil
}

// places asks for ids in the path that none can be.
func (s *sweep) places() {
	for _, name := range parametersOf(s.op, "path") {
		for _, value := range []string{"%00", "a%0Ab", long(2000), "%FF"} {
			path := filled(strings.Replace(s.rt.pattern, "{"+name+"}", value, 1))
			s.want(s.ask("root", path, s.body), 400, name, name+" in the path")
		}
	}
}

// object is what the operation takes.
func (s *sweep) object() map[string]any {
	var o map[string]any
	must(s.T, json.Unmarshal([]byte(s.body), &o))
	return o
}

// refused posts an object that must be refused.
func (s *sweep) refused(token string, o map[string]any, status int, field, with string) {
	s.Helper()
	text, err := json.Marshal(o)
	must(s.T, err)
	s.want(s.ask(token, s.path, string(text)), status, field, with)
}

// bodies posts what is no body of the operation.
func (s *sweep) bodies() {
	refused := func(body string, status int, kind string, header ...string) {
		a := s.w.do(s.method, s.path, body, append(bearer(s.secrets["root"]), header...)...)
		if p := a.problem(s.T, status); p.Type != problemType+kind {
			s.Errorf("%s %s with %.40q: %+v", s.method, s.path, body, p)
		}
	}
	for _, body := range []string{"{", "[]", `"x"`, "1", "null{}", "{}{}", "\xff", strings.Repeat("[", 100_000), s.body + "x"} {
		refused(body, 400, "bad-json", "Content-Type", jsonType)
	}
	refused(`{"account":"`+long(2<<20)+`"}`, 413, "too-large", "Content-Type", jsonType)
	for _, mediaType := range []string{"application/xml", "multipart/form-data; boundary=x", jsonType + "; charset=latin1", ";", "application/json;;=", "text/plain; charset=utf-16"} {
		refused(s.body, 415, "media-type", "Content-Type", mediaType)
	}
	for _, encoding := range []string{"gzip", "zstd", "br", "deflate", "identity, gzip", "x"} {
		refused(s.body, 415, "media-type", "Content-Type", jsonType, "Content-Encoding", encoding)
	}

	o := s.object()
	o["acount"] = "acme"
	s.refused("root", o, 400, "acount", "an unknown member")
	properties := s.properties()
	for name, schema := range properties {
		for _, value := range wrongValues(schema) {
			o := s.object()
			o[name] = value
			s.refused("root", o, 400, name, name+" of a wrong type or size")
		}
	}
	for name := range s.object() { // given twice
		text := strings.TrimSuffix(s.body, "}") + `,"` + name + `":null}`
		s.want(s.ask("root", s.path, text), 400, name, name+" twice")
	}
}

// noBodies posts members to who reads none. An empty body, or an object without members, is none.
func (s *sweep) noBodies() {
	s.want(s.ask("root", s.path, `{"account":"acme"}`), 400, "account", "a body")
	for _, header := range [][2]string{{"Content-Type", "application/xml"}, {"Content-Encoding", "gzip"}} {
		a := s.w.do(s.method, s.path, "<x/>", append(bearer(s.secrets["root"]), header[:]...)...)
		if p := a.problem(s.T, 415); p.Type != problemType+"media-type" {
			s.Errorf("%s %s with %v: %+v", s.method, s.path, header, p)
		}
	}
	if p := s.ask("root", s.path, `{"x":"`+long(2<<20)+`"}`).problem(s.T, 413); p.Type != problemType+"too-large" {
		s.Errorf("%s %s: %+v", s.method, s.path, p)
	}
}

// properties are those of the body, their schemas followed to where they stand.
func (s *sweep) properties() map[string]map[string]any {
	c := contractOnce()
	schema := at[map[string]any](s.op, "requestBody", "content", jsonType, "schema")
	all := make(map[string]map[string]any)
	for name, p := range at[map[string]any](c.followed(schema), "properties") {
		all[name] = c.followed(p)
	}
	if len(all) == 0 {
		s.Errorf("%s %s: no properties of its body in openapi.yaml: %v", s.method, s.path, slices.Collect(maps.Keys(schema)))
	}
	return all
}

// wrongValues are some that a schema does not allow.
func wrongValues(schema map[string]any) []any {
	wrong := []any{map[string]any{"x": 1}, []any{[]any{1}}, 1e300}
	switch schema["type"] {
	case "object":
		wrong = append(wrong[1:], "text", map[string]any{"not-a-member": 1})
	case "array":
		wrong = append(wrong, "text", []any{1}, []any{strings.Repeat("\x00", 20)})
	case "boolean":
		wrong = append(wrong, "true", 1)
	case "integer":
		wrong = append(wrong, "1", -1, 1.5)
	default: // a text, or one of several
		wrong = append(wrong, true)
		if schema["format"] == "date-time" {
			wrong = append(wrong, "yesterday", "2026-11-21", "2026-11-21T17:45:03", "99999-01-01T00:00:00Z", "2026-11-21T17:45:03,5Z", "2026-11-21T7:45:03Z",
				"2026-11-21T17:45:03+99:00", " 2026-11-21T17:45:03Z", "2026-11-21T17:45:60Z")
		}
		if schema["enum"] != nil || schema["maxLength"] != nil {
			wrong = append(wrong, "\x00", long(100_000))
		}
	}
	return wrong
}
