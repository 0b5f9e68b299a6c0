package api

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"carom/pipeline/rollup"
)

// methods are those of a route, by what they are called in openapi.yaml.
func (rt *route) methods() map[string]endpoint {
	all := map[string]endpoint{"get": rt.get, "post": rt.post, "put": rt.put, "delete": rt.delete}
	maps.DeleteFunc(all, func(_ string, e endpoint) bool { return e.do == nil })
	return all
}

// documented are the routes that openapi.yaml is to have: all but those between nodes, which may change.
func documented(s *Server) (list []route) {
	for _, rt := range s.routes() {
		if rt.pattern != "/" && !strings.HasPrefix(rt.pattern, "/v1/peer/") {
			list = append(list, rt)
		}
	}
	return list
}

// openapi.yaml has the routes, their methods, scopes and accounts: all of them, and no others.
func TestOpenAPIHasTheRoutes(t *testing.T) {
	w := newWorld(t, nil)
	paths := at[map[string]any](contractOnce().root, "paths")
	known := make(map[string]bool)
	for _, rt := range documented(w.server) {
		for method, e := range rt.methods() {
			name := strings.ToUpper(method) + " " + rt.pattern
			known[name] = true
			op := at[map[string]any](paths, rt.pattern, method)
			if op == nil {
				t.Errorf("%s is not in openapi.yaml", name)
				continue
			}
			scope := at[string](op, "x-scope")
			if want := e.scope.String(); scope != want {
				t.Errorf("%s: x-scope is %q, and the route's scope %q", name, scope, want)
			}
			if _, none := op["security"].([]any); none != rt.open {
				t.Errorf("%s: security: [] is there: %v, the route is open: %v", name, none, rt.open)
			}
			if at[string](op, "summary") == "" || at[string](op, "operationId") == "" || len(at[[]any](op, "tags")) != 1 {
				t.Errorf("%s: want summary, operationId and one tag", name)
			}
			if len(at[[]any](op, "x-codeSamples")) == 0 {
				t.Errorf("%s has no example: want x-codeSamples", name)
			}
			inQuery := e.accounts == inQuery || e.accounts == inFilter
			if asks := slices.Contains(parametersOf(op, "query"), "account"); asks != inQuery && e.accounts != inBody {
				t.Errorf("%s: takes the parameter account: %v, the route says: %v", name, asks, inQuery)
			}
			for _, part := range strings.Split(rt.pattern, "/") {
				if id := strings.Trim(part, "{}"); id != part && !slices.Contains(parametersOf(op, "path"), id) {
					t.Errorf("%s: the parameter %s is missing", name, id)
				}
			}
		}
	}
	for path, item := range paths {
		for method := range item.(map[string]any) {
			if name := strings.ToUpper(method) + " " + path; !known[name] {
				t.Errorf("%s is no route", name)
			}
		}
	}
}

// parametersOf are the names of an operation's parameters.
func parametersOf(op map[string]any, in string) (names []string) {
	for i := range at[[]any](op, "parameters") {
		p := contractOnce().followed(at[[]any](op, "parameters")[i])
		if at[string](p, "in") == in {
			names = append(names, at[string](p, "name"))
		}
	}
	return names
}

// filled is a path with something in each of its places.
func filled(pattern string) string {
	return strings.NewReplacer("{message}", "m-1", "{sender}", "alice", "{contact}", "bob@example.com", "{address}", "bob@example.com", "{name}", "crm", "{id}", "1").Replace(pattern)
}

// Each handler takes the parameters that openapi.yaml names, and says of any other which it takes.
func TestOpenAPIHasTheParameters(t *testing.T) {
	w := newWorld(t, nil)
	for _, rt := range documented(w.server) {
		if slices.Contains([]string{"/metrics", "/livez", "/readyz"}, rt.pattern) { // which take anything
			continue
		}
		for method := range rt.methods() {
			a := w.do(strings.ToUpper(method), filled(rt.pattern)+"?not-a-parameter=1", "{}")
			p := a.problem(t, 400)
			_, list, said := strings.Cut(p.Detail, "which knows ")
			if p.Field != "not-a-parameter" || !said {
				t.Errorf("%s %s: %s", method, rt.pattern, a.body)
				continue
			}
			takes := strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
			slices.Sort(takes)
			op, _ := contractOnce().operation(strings.ToUpper(method), filled(rt.pattern))
			says := parametersOf(op, "query")
			slices.Sort(says)
			says = slices.DeleteFunc(says, func(name string) bool { return name == "max_behind" && rt.pattern == "/v1/events" }) // of the tail
			if !slices.Equal(takes, says) {
				t.Errorf("%s %s takes %v, and openapi.yaml says %v", method, rt.pattern, takes, says)
			}
		}
	}
}

// Each type of problem in the source is that of a documented answer, with its status, and the other way round.
func TestOpenAPIHasTheProblems(t *testing.T) {
	inSource := make(map[string]bool)
	sources, err := filepath.Glob("*.go")
	must(t, err)
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		must(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.Ident); ok && f.Name == "newProblem" {
					if name, ok := n.Args[1].(*ast.BasicLit); ok {
						text, _ := strconv.Unquote(name.Value)
						inSource[text] = true
					}
				}
			case *ast.BinaryExpr:
				if f, ok := n.X.(*ast.Ident); ok && f.Name == "problemType" {
					if name, ok := n.Y.(*ast.BasicLit); ok {
						text, _ := strconv.Unquote(name.Value)
						inSource[text] = true
					}
				}
			}
			return true
		})
	}
	delete(inSource, "method") // of all paths, and documented nowhere: OpenAPI has what may be asked
	said := make(map[string]bool)
	for name, r := range at[map[string]any](contractOnce().root, "components", "responses") {
		for _, p := range at[[]any](r, "x-problems") {
			said[p.(string)] = true
			if !strings.Contains(at[string](r, "description"), "`"+p.(string)+"`") {
				t.Errorf("the answer %s does not say its type %s", name, p)
			}
		}
	}
	if !maps.Equal(inSource, said) {
		t.Errorf("the source has %v,\nopenapi.yaml %v", slices.Sorted(maps.Keys(inSource)), slices.Sorted(maps.Keys(said)))
	}
}

// Every example runs, and every answer is as the document says: it passes through a proxy that checks it.
func TestOpenAPIExamples(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if _, curlErr := exec.LookPath("curl"); err != nil || curlErr != nil {
		t.Skip("no sh or no curl to run the examples with")
	}
	w := newWorld(t, nil)
	target, err := url.Parse(w.base)
	must(t, err)
	var mu sync.Mutex // the end of a tail may come later
	asked := make(map[string]bool)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval = -1
	proxy.ErrorLog = log.New(io.Discard, "", 0) // the tail's end
	proxy.ModifyResponse = func(r *http.Response) error {
		_, pattern := w.server.http.Handler.(*http.ServeMux).Handler(r.Request)
		mu.Lock()
		asked[r.Request.Method+" "+pattern] = true
		mu.Unlock()
		if r.Header.Get("Content-Type") == tailType {
			return nil
		}
		body, err := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		contractCheck(t, r.Request.Method, r.Request.URL.RequestURI(), r.StatusCode, r.Header, body)
		return err
	}
	front := httptest.NewServer(proxy)
	defer front.Close()
	for _, p := range objectAt(publishedOnce().root.(object), "paths") {
		for _, m := range objectOf(p.value) {
			name := strings.ToUpper(m.name) + " " + p.name
			for _, s := range listAt(objectOf(m.value), "x-codeSamples") {
				script := strings.ReplaceAll(textAt(objectOf(s), "source"), "localhost:8081", strings.TrimPrefix(front.URL, "http://"))
				script = strings.ReplaceAll(script, "curl -sN", "curl -sN -m 1")
				if strings.HasPrefix(p.name, "/v1/messages/") {
					w.await(func() bool { return w.get("/v1/messages/m-1").StatusCode == 200 })
				}
				out, err := exec.Command(shell, "-c", script).CombinedOutput()
				if err != nil && !strings.Contains(script, "-m 1") { // which ends by its time limit
					t.Errorf("%s: %v: %s", name, err, out)
				}
				if strings.Contains(string(out), `"type":"`+problemType) {
					t.Errorf("%s: %s: %.1000s", name, script, out)
				}
			}
			mu.Lock()
			if !asked[name] {
				t.Errorf("the example of %s does not ask it", name)
			}
			mu.Unlock()
		}
	}
}

// The examples of objects are what the schemas allow.
func TestOpenAPIExamplesOfObjects(t *testing.T) {
	n := 0
	for name, s := range at[map[string]any](contractOnce().root, "components", "schemas") {
		if at[string](s, "type") != "object" {
			continue
		}
		for _, example := range at[[]any](s, "examples") {
			text, err := json.Marshal(example)
			must(t, err)
			if err := contractOnce().validate([]string{"components", "schemas", name}, text); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			n++
		}
	}
	if n == 0 {
		t.Error("no examples")
	}
}

// What rollup says in an alert is what the schema has.
func TestOpenAPIHasTheAlerts(t *testing.T) {
	text, err := json.Marshal(rollup.Alert{Rule: "score_band", Level: 0.05, From: "good", To: "fair", Window: "7d", AsOf: 1})
	must(t, err)
	must(t, contractOnce().validate([]string{"components", "schemas", "ScoreAlert"}, text))
}

func TestOpenAPIIsServed(t *testing.T) {
	w := newWorld(t, func(o *Options, _ *Dependencies) { o.Token = "0123456789abcdef" }) // which these two don't ask for
	a := w.get("/openapi.json")
	var doc map[string]any
	a.ok(t, &doc)
	if doc["openapi"] != "3.1.0" || doc[anchorsMember] != nil || bytes.Contains(a.body, []byte(`"<<"`)) {
		t.Errorf("%.200s", a.body)
	}
	page := w.get("/docs")
	for _, want := range []string{"GET</span> /v1/senders/{sender}/score", `id="object-Score"`, "curl -s", "unknown-field"} {
		if !strings.Contains(string(page.body), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, never := range []string{"<script", "http-equiv", "src=", "<link", "@import"} {
		if strings.Contains(string(page.body), never) {
			t.Errorf("the page has %q", never)
		}
	}
}
