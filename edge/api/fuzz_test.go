package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"carom/edge/ref"
	"carom/pipeline/event"
)

// FuzzRequest sends whatever it is to everything: the answer is JSON, and never our fault.
func FuzzRequest(f *testing.F) {
	w := newWorld(f, nil)
	w.seed()
	w.freeze() // else coverage would differ from run to run
	f.Add("GET", "/v1/events", "kind=sent&limit=3&after=AWUAAAAAAAAAAAAB", "", "")
	f.Add("GET", "/v1/journal", "limit=1", "", "")
	f.Add("HEAD", "/v1/senders", "sort=-score&limit=2&window=24h&as_of=2026-11-21T12%3A00%3A00%2B01:00", "", "")
	f.Add("GET", "/v1/senders/s1/score", "account=a1&sequence=q", "", "")
	f.Add("GET", "/v1/senders/s%2F1/sequences", "", "", "")
	f.Add("GET", "/v1/messages/%3Cm-1%3E", "account=a1", "", "")
	f.Add("POST", "/v1/messages", "", "application/json", registration1(1))
	f.Add("POST", "/v1/messages", "", "application/x-ndjson", registration1(1)+"\n{}\n\n"+registration1(2))
	f.Add("POST", "/v1/events", "", "application/jsonl; charset=utf-8", `{"kind":"bounce","message":"m-1","reply":"550 5.1.1 no"}`)
	f.Fuzz(func(t *testing.T, method, path, query, contentType, body string) {
		u, err := url.ParseRequestURI(path)
		if err != nil || u.Path == "/metrics" {
			return
		}
		u.RawQuery = query
		r, err := http.NewRequest(method, "http://localhost/", bytes.NewBufferString(body))
		if err != nil {
			return
		}
		r.URL.Path, r.URL.RawPath, r.URL.RawQuery = u.Path, u.RawPath, query
		r.Header.Set("Content-Type", contentType)
		answer := httptest.NewRecorder()
		w.server.http.Handler.ServeHTTP(answer, r)
		if answer.Code >= 500 {
			t.Fatalf("%s %s?%s: %d %s", method, path, query, answer.Code, answer.Body)
		}
		if answer.Code/100 == 3 { // the mux tidies paths up
			return
		}
		for line := range bytes.Lines(answer.Body.Bytes()) {
			if !json.Valid(line) {
				t.Fatalf("%s %s?%s: %d, no JSON: %q", method, path, query, answer.Code, line)
			}
		}
	})
}

// FuzzFact and FuzzRegistration take what strangers send.
func FuzzFact(f *testing.F) {
	s := registrar(f)
	f.Add(`{"kind":"bounce","message":"m-1","reply":"550 5.1.1 no"}`)
	f.Add(`{"kind":"bounce","message":"m-1","bounce":{"status":"5.2.2","diagnostic":"full","recipient":"bob@example.com"}}`)
	f.Add(`{"kind":"reply","sender":"alice","sequence":"q4","contact":"c","time":"2026-11-21T12:00:00Z","verdict":"unknown"}`)
	f.Fuzz(func(t *testing.T, text string) {
		var e event.Event
		dst, p := s.readFact(text, event.FromTime(testNow), &e, nil)
		if (p == nil) != json.Valid(dst) {
			t.Fatalf("%q: answer %q, problem %+v", text, dst, p)
		}
		if p != nil && (p.Status < 400 || p.Status > 499 || !json.Valid(p.appendJSON(nil))) {
			t.Fatalf("%q: %+v", text, p)
		}
		if p == nil && e.Key != event.KeyOf(e.Account, e.Message) {
			t.Fatalf("%q: the key is not that of %+v", text, e.Ref)
		}
	})
}

func FuzzRegistration(f *testing.F) {
	s := registrar(f)
	f.Add(`{"sender":"alice","message":"m-1","contact":"bob@example.com","links":["https://example.com/"],"sent_at":"2026-11-21T12:00:00Z"}`)
	f.Add(`{"sender":"alice","message":"<m-1>","transactional":true}`)
	f.Add(`{"sender":"alice","message":"m-\u2028\"<&é\\","links":["http://a/","https://example.com/\"&é"]}`)
	f.Fuzz(func(t *testing.T, text string) {
		var e event.Event
		dst, p := s.readRegistration(text, event.FromTime(testNow), &e, nil)
		if (p == nil) != json.Valid(dst) {
			t.Fatalf("%q: answer %q, problem %+v", text, dst, p)
		}
		if p != nil && (p.Status < 400 || p.Status > 499) {
			t.Fatalf("%q: %+v", text, p)
		}
		if p == nil && string(dst) != asEncoded(t, dst) {
			t.Fatalf("%q: answer %s, encoding/json writes %s", text, dst, asEncoded(t, dst))
		}
		if p == nil && (e.Message == "" || e.Sender == "" || e.Key != event.KeyOf(e.Account, e.Message)) {
			t.Fatalf("%q: %+v", text, e)
		}
	})
}

// asEncoded is the answer to a registration as encoding/json writes what is in it.
func asEncoded(t *testing.T, answer []byte) string {
	t.Helper()
	var a struct {
		Message    string          `json:"message"`
		Send       bool            `json:"send"`
		Suppressed json.RawMessage `json:"suppressed,omitempty"`
		Unchecked  bool            `json:"unchecked,omitempty"`
		*ref.Links
	}
	must(t, json.Unmarshal(answer, &a))
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	must(t, enc.Encode(&a))
	return strings.TrimSuffix(b.String(), "\n")
}

func FuzzParseCursor(f *testing.F) {
	f.Add(cursor{log: logEvents, offset: 7}.String())
	f.Add("AWUAAAAAAAAAAAA\n")
	f.Add(cursor{log: logEvents, offsets: []int64{1, 300, 0}}.String())
	f.Fuzz(func(t *testing.T, text string) {
		for n := range 4 {
			if c, err := parseCursors(text, logEvents, n); err == nil && c.String() != text {
				t.Fatalf("%q was read as %+v, which is written %q", text, c, c)
			}
		}
		if c, err := parseCursor(text, logEvents, 0); err == nil && c.String() != text {
			t.Fatalf("%q was read as %+v, which is written %q", text, c, c)
		}
	})
}
